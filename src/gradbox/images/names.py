"""Which names are those of images, and the image ids that are made of names."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gradbox.stores import StoredFile

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
"""Lower-case suffixes of the files that are taken from a folder or a tar."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as it was found: its id, where it is, and its class where that is known.

    A `source` that is a text is read by `source_of`.
    """

    image_id: str
    source: str | Path | StoredFile
    label: str | None = None


def is_image(name: str) -> bool:
    """Whether a file of this name is taken from a folder."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def id_of(path: Path) -> str:
    r"""A relative path as text that can be written; bytes that are no UTF-8 become `\xff`.

    >>> id_of(Path("a\udcff.png"))
    'a\\xff.png'
    """
    return writable(path.as_posix())


def id_of_name(name: str) -> str:
    """A name that somebody wrote, as an image id: without what leads out of a folder.

    >>> id_of_name("./a/../b.jpg"), id_of_name("/data/b.jpg"), id_of_name("s3://photos/b.jpg")
    ('b.jpg', 'data/b.jpg', 'photos/b.jpg')
    """
    return joined(os.path.normpath(name.partition("://")[2] or name).split("/"))


def joined(parts: Iterable[str]) -> str:
    """An image id of the parts of a path; those that are no names are left out."""
    return writable("/".join(part for part in parts if part.strip("/") not in ("", ".", "..")))


def writable(name: str) -> str:
    r"""A name as text that can be written; bytes that are no UTF-8 become `\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
