"""JSON arrays too long for the memory."""

import json
from typing import Any, TextIO


class JsonArray:
    """Writes the items of an array to a text stream, one a line, without its brackets."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._separator = "\n"

    def append(self, item: Any) -> None:
        """Write one more item; a NaN is a ValueError, not a file nobody can read."""
        self._stream.write(self._separator + json.dumps(item, allow_nan=False))
        self._separator = ",\n"
