"""Folders with one text file an image, whole or not there."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from gradbox.errors import UsageError

_REMEDY = "rename one of them, or choose a format that keeps all images in one file"


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


def check_files(image_ids: Iterable[str], suffix: str) -> None:
    """Refuse images that cannot have a file each, before there is anything to write.

    Raises:
        UsageError: an id leads out of the folder, or two images would have one file.
    """
    owners: dict[PurePosixPath, str] = {}
    for image_id in image_ids:
        name = _beside(image_id, suffix)
        if name in owners:
            raise UsageError(f"{owners[name]} and {image_id} would both have {name}: {_REMEDY}")
        owners[name] = image_id
    for name, image_id in owners.items():
        for parent in name.parents:
            if parent in owners:
                raise UsageError(
                    f"{owners[parent]} would have the file {parent}, and {image_id} the folder of "
                    f"this name: {_REMEDY}"
                )


def write_beside(folder: Path, image_id: str, suffix: str, text: str) -> None:
    """Write the file of an image: its id below `folder`, with this suffix.

    Raises:
        UsageError: what `check_files` refuses.
    """
    name = _beside(image_id, suffix)
    path = folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            f"{image_id} and another image would both have {name}: {_REMEDY}"
        ) from None


def _beside(image_id: str, suffix: str) -> PurePosixPath:
    name = PurePosixPath(image_id).with_suffix(suffix)
    if name.is_absolute() or ".." in name.parts:
        raise UsageError(f"{image_id} lies outside the images; give ids below their folder")
    return name
