"""The images of a list of files and folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.localization import Sample

IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".heic",
        ".heif",
        ".fits",
        ".fit",
        ".fts",
        ".dcm",
        ".dicom",
        ".npy",
    ]
)
"""Lower-case suffixes of the files that are taken from a folder."""


def find_images(paths: Sequence[Path], *, apart_from: Path | None = None) -> list[Sample]:
    """One sample for each image that `find_files` finds.

    Raises:
        UsageError: no path, a path that does not exist, or a folder without images.
    """
    found = find_files(paths, apart_from=apart_from)
    return [Sample(image_id=image_id, source=file) for image_id, file in found.items()]


def find_files(paths: Sequence[Path], *, apart_from: Path | None = None) -> dict[str, Path]:
    r"""Each file given and each image in each folder given, subfolders included, by image id.

    Folders are read in sorted order, without hidden files and folders, and without following links
    to folders; a file is taken whatever its suffix. An image id is relative to the folder given, or
    to the folder of the file given; for several paths, to their common parent; bytes of a name that
    are no UTF-8 are written as `\xff`. An image that is reached twice is taken once. What lies in
    the folder `apart_from`, the results, is no input.

    Raises:
        UsageError: no path, a path that does not exist, or a folder without images.
    """
    if not paths:
        raise UsageError("no images: name at least one image or folder")
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"{path} does not exist: give the path of an image or of a folder")
    starts = [os.path.abspath(path if path.is_dir() else path.parent) for path in paths]
    root = os.path.commonpath(starts)
    found: dict[str, Path] = {}
    for path in paths:
        for file in _images_in(path, apart_from) if path.is_dir() else [path]:
            found.setdefault(id_of(Path(os.path.relpath(os.path.abspath(file), root))), file)
    return found


def id_of(path: Path) -> str:
    r"""A relative path as text that can be written; bytes that are no UTF-8 become `\xff`.

    >>> id_of(Path("a\udcff.png"))
    'a\\xff.png'
    """
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _images_in(folder: Path, apart_from: Path | None) -> list[Path]:
    results = _below(apart_from, folder)

    def shown(file: Path) -> bool:
        inside = file.relative_to(folder)
        if results is not None and inside.is_relative_to(results):
            return False
        return not any(part.startswith(".") for part in inside.parts)

    suffixed = (file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    files = sorted(file for file in suffixed if shown(file) and not file.is_dir())
    if not files:
        raise UsageError(
            f"no image in the folder {folder}: give one that holds files ending in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return files


def _below(path: Path | None, folder: Path) -> Path | None:
    """The path seen from the folder, None where it does not lie in it."""
    if path is None or not path.resolve().is_relative_to(folder.resolve()):
        return None
    return path.resolve().relative_to(folder.resolve())
