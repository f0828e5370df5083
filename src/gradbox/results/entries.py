"""The results of a run, line by line: where each stands on disk, and what it depends on.

`predictions.jsonl` has the lines of a finished run, `images.jsonl` for each its CRC-32 and its
`Input`; a line counts only with its entry there. Until then they stand in parts.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from gradbox.results.inputs import Input
from gradbox.results.parts import Line, from_bytes

PREDICTIONS = "predictions.jsonl"
INPUTS = "images.jsonl"


@dataclass(frozen=True)
class Entry:
    """A result that was written: where its line stands, and what it depends on."""

    input: Input
    file: Path
    start: int
    end: int
    is_error: bool


def final_entries(path: Path) -> Iterator[tuple[str, Entry]]:
    """Those lines of the gathered files that are as they were written."""
    if not (path / PREDICTIONS).exists() or not (path / INPUTS).exists():
        return
    with (path / INPUTS).open("rb") as stream:
        known = dict(filter(None, map(_input_of, stream)))
    start = 0
    with (path / PREDICTIONS).open("rb") as stream:
        for raw in stream:
            line, end = from_bytes(raw), start + len(raw)
            image_id = None if line is None else line.get("image")
            if line is not None and isinstance(image_id, str) and image_id in known:
                checksum, needed = known[image_id]
                if checksum == zlib.crc32(raw):
                    yield image_id, Entry(needed, path / PREDICTIONS, start, end, "error" in line)
            start = end


def _input_of(raw: bytes) -> tuple[str, tuple[int, Input]] | None:
    """An image, its line's CRC-32 and its input, as `images.jsonl` has them; None if damaged."""
    record = from_bytes(raw) or {}
    image_id, checksum = record.pop("image", None), record.pop("line", None)
    if not isinstance(image_id, str) or not isinstance(checksum, int):
        return None
    try:
        return image_id, (checksum, Input.from_json(record))
    except TypeError:
        return None


def entry_of_part(line: Line) -> tuple[str, Entry]:
    """The image of a line of a part, and its entry."""
    needed = Input.from_json(line.record["input"])
    is_error = "error" in line.record["line"]
    return line.record["image"], Entry(needed, line.file, line.start, line.end, is_error)


def lines_of(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """The lines of `predictions.jsonl`, wherever they stand; neighbours open their file once."""
    for file, neighbours in groupby(entries, key=lambda entry: entry.file):
        with file.open("rb") as stream:
            for entry in neighbours:
                stream.seek(entry.start)
                record = json.loads(stream.read(entry.end - entry.start))
                yield record.get("line", record)
