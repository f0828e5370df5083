"""Whether an image id is there twice among any number of them."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from gradbox.files import scratch

_SIZE = 8
"""Bytes of a digest; that two of fifty million ids have the same by chance is 1 in 15,000."""


class Seen:
    """A digest of each id that was seen, in a temporary file."""

    def __init__(self) -> None:
        self._file = scratch(self)

    def add(self, image_ids: Iterable[str]) -> None:
        """See these ids."""
        self._file.write(b"".join(map(_digest, image_ids)))

    def again(self) -> tuple[int, frozenset[int]]:
        """How many were seen before, and the first digests of these; nothing is seen afterwards."""
        self._file.flush()
        if not self._file.tell():
            return 0, frozenset()
        digests = np.memmap(self._file, np.uint64, "r+")
        digests.sort()
        twins = digests[1:][digests[1:] == digests[:-1]]
        return len(twins), frozenset(map(int, twins[:_FEW]))


_FEW = 1000


def is_of(image_id: str, digests: frozenset[int]) -> bool:
    """Whether the digest of an id is one of these."""
    return int.from_bytes(_digest(image_id), "little") in digests


def _digest(image_id: str) -> bytes:
    return blake2b(image_id.encode(), digest_size=_SIZE).digest()
