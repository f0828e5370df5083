"""Files that are either whole or not there, and hashes of what went in."""

import hashlib
import json
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from gradbox.errors import UsageError

_LONGEST_NAME = 255
"""Bytes that the name of a file may have."""


def check_new_file(path: Path, *, overwrite: bool) -> None:
    """Refuse, before long work, a file that could not be written at its end; makes its folder.

    Raises:
        UsageError: a folder, a file that is there and not to be overwritten, or no place to write.
    """
    if path.is_dir():
        example = path / "learned.safetensors"
        raise UsageError(f"{path} is a folder: --out takes a file, as in {example}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already: give another --out, or --overwrite")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): give another") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it gets the final name only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start = os.fsencode(path.name)[:200].decode("utf-8", "ignore")  # a name has at most 255 bytes
    partial = path.with_name(f".{start}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def file_of(folder: Path, image_id: str, suffix: str) -> Path:
    """Where a file about an image lies: its id and the suffix; a name that is too long is cut."""
    *folders, name = image_id.split("/")
    longest = _LONGEST_NAME - len(suffix)
    if len(name.encode()) > longest:
        start = name.encode()[: longest - 9].decode("utf-8", "ignore")
        name = f"{start}~{hash_bytes(image_id.encode())[:8]}"
    return folder.joinpath(*folders, f"{name}{suffix}")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as a whole file."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with an indent as a whole file; a NaN is an error, not a file nobody can read."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def scratch(owner: object) -> BinaryIO:
    """A temporary file without a name, open for as long as `owner` is there."""
    file = TemporaryFile()  # noqa: SIM115
    weakref.finalize(owner, file.close)
    return file


def hash_bytes(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content in hex, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
