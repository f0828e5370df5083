"""Image files opened without surprises: never a pipe, a device or more than the memory holds."""

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any

from gradbox.errors import ImageError
from gradbox.images.memory import BUDGET

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe waits


class _Unmapped(io.RawIOBase):
    """An open file without a name or number.

    By its number libtiff would map the file, and end the process where it is cut meanwhile; other
    readers would go past Python.
    """

    name = ""

    def __init__(self, descriptor: int) -> None:
        self._file = io.FileIO(descriptor)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()
        super().close()


class ImageStream(io.BufferedReader):
    """An open image file of `size` bytes; it can be read after the file was deleted."""

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__(_Unmapped(descriptor))
        self.size = size


def open_image(path: Path) -> ImageStream:
    """A file that can be an image, open to be read.

    Raises:
        ImageError: it cannot be read, is no file, is empty or too large.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise ImageError("there is no such file") from None
    except OSError as error:
        raise ImageError(f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"there can be no file of this name: {error}") from error
    try:
        status = os.fstat(descriptor)
        _check(status)
        return ImageStream(descriptor, status.st_size)
    except BaseException:
        os.close(descriptor)
        raise


def hash_image(path: Path) -> str:
    """SHA-256 of an image file in hex.

    Raises:
        ImageError: as `open_image`.
    """
    with open_image(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("this is a folder, not an image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("this is a pipe or a device, not an image file")
    if not status.st_size:
        raise ImageError("the file is empty")
    if status.st_size > BUDGET:
        raise ImageError(
            f"the file has {status.st_size / 1e6:,.0f} MB, more than {BUDGET / 1e6:,.0f} MB: make "
            "it smaller"
        )
