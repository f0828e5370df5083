"""Image files opened without surprises: never a pipe, a device or more than the memory holds."""

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any

from gradbox.errors import ImageError
from gradbox.images.memory import BUDGET
from gradbox.stores import StoredFile, address, source_of

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

    def __init__(self, raw: io.RawIOBase, size: int) -> None:
        super().__init__(raw)
        self.size = size


def open_image(source: str | Path | StoredFile) -> ImageStream:
    """A file that can be an image, open to be read; a text is a path, or what `source_of` reads.

    Raises:
        ImageError: it cannot be read, is no file, is empty or too large.
        StoreError: it lies in a store that cannot be used.
    """
    source = _file(source)
    return _open_stored(source) if isinstance(source, StoredFile) else _open_path(source)


def image_stat(source: str | Path | StoredFile) -> tuple[int, int] | None:
    """Bytes of an image file, and the time in ns of its last change, or that of the tar it is in.

    None where there is no such file. What a store has listed is not asked for again.

    Raises:
        StoreError: as `open_image`.
    """
    source = _file(source)
    if isinstance(source, StoredFile):
        return source.stat()
    try:
        status = source.stat()
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def hash_image(source: str | Path | StoredFile) -> str:
    """SHA-256 of an image file in hex.

    Raises:
        ImageError: as `open_image`.
        StoreError: as `open_image`.
    """
    with open_image(source) as stream:
        return hash_stream(stream)


def hash_stream(stream: ImageStream) -> str:
    """SHA-256 in hex of all that an open file holds."""
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _file(source: str | Path | StoredFile) -> Path | StoredFile:
    return source_of(address(source)) if isinstance(source, str) else source


def _open_path(path: Path) -> ImageStream:
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
        _check_kind(status)
        _check_size(status.st_size)
        return ImageStream(_Unmapped(descriptor), status.st_size)
    except BaseException:
        os.close(descriptor)
        raise


def _open_stored(file: StoredFile) -> ImageStream:
    try:
        blocks = file.open()
    except FileNotFoundError:
        raise ImageError("there is no such file") from None
    except EOFError as error:
        raise ImageError(f"{file.place} cannot be read to its end: {error}") from error
    except OSError as error:
        raise ImageError(f"the file cannot be read: {error.strerror}") from error
    _check_size(blocks.size)
    return ImageStream(blocks, blocks.size)


def _check_kind(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("this is a folder, not an image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("this is a pipe or a device, not an image file")


def _check_size(size: int) -> None:
    if not size:
        raise ImageError("the file is empty")
    if size > BUDGET:
        raise ImageError(
            f"the file has {size / 1e6:,.0f} MB, more than {BUDGET / 1e6:,.0f} MB: make it smaller"
        )
