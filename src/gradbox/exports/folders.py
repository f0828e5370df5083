"""Folders with one text file an image, whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from gradbox.errors import UsageError


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; it replaces `path` only when the block ends well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.replaced")
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(replaced)
        partial.rename(path)
    finally:
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def write_beside(folder: Path, image_id: str, suffix: str, text: str) -> None:
    """Write the file of an image: its id below `folder`, with this suffix.

    Raises:
        UsageError: the id leads out of the folder, or another image has had this file.
    """
    name = PurePosixPath(image_id).with_suffix(suffix)
    if name.is_absolute() or ".." in name.parts:
        raise UsageError(f"{image_id} lies outside the images; give ids below their folder")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(
            f"{image_id} and another image would both have {name}: rename one of them, or choose "
            "a format that keeps all images in one file"
        ) from None
