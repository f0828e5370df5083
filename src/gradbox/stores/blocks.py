"""Bytes that are fetched from elsewhere, read as a file."""

import io
import os
from collections.abc import Callable
from typing import Any

BLOCK = 4 * 2**20
"""Bytes that are fetched at once, and the most that are held."""
_AFTER_A_JUMP = 2**18


class Blocks(io.RawIOBase):
    """A file, of whose bytes `read(start, count)` gives some, or a part of it; `size` is its own.

    It holds one block, which is smaller after a jump: so one may jump through a large file.

    Args:
        read: gives bytes of the file.
        size: bytes of the file.
        part: the first byte and the number of bytes of what is read as a file of its own.
        close: is called when it is closed.

    Raises:
        EOFError: the file ends before the part does.
    """

    name = ""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        part: tuple[int, int] | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._first, self.size = part or (0, size)
        self._close = close
        if self._first + self.size > size:
            close()
            raise EOFError(f"the file ends at byte {size}")
        self._read = read
        self._at = self._start = 0
        self._block = b""
        self._count = BLOCK

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence] + offset
        if self._at < 0:
            raise ValueError(f"a place before the start: {self._at}")
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of a file."""
        count = min(len(buffer), self.size - self._at)
        if count <= 0:
            return 0
        if not 0 <= self._at - self._start < len(self._block):
            self._fetch()
        inside = self._at - self._start
        part = self._block[inside : inside + count]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """As of a file."""
        if not self.closed:
            self._close()
        super().close()

    def _fetch(self) -> None:
        follows = self._at == self._start + len(self._block)
        self._count = min(BLOCK, 4 * self._count) if follows else _AFTER_A_JUMP
        self._start = self._at
        self._block = self._read(self._first + self._at, min(self._count, self.size - self._at))
