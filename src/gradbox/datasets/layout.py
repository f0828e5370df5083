"""What the layouts share: the parts of their text, their folders, and reading numbers."""

import io
import math
import os
import re
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.images.listing import list_images

FORMS = {
    "coco": "coco:IMAGES@FILE.json",
    "csv": "csv:DIR",
    "cub": "cub:DIR@test",
    "cvat": "cvat:IMAGES@FILE.xml",
    "folder": "folder:DIR",
    "imagenet": "imagenet:DIR@val",
    "labelstudio": "labelstudio:IMAGES@FILE.json",
    "list": "list:FILE",
    "parquet": "parquet:FILE",
    "scenes": "scenes:N",
    "voc": "voc:DIR@2007/test",
    "yolo": "yolo:DIR",
}
"""What to type for each kind of data set."""

ABOUT = {
    "coco": "left, top, width, height; class names from the categories; crowds are left out",
    "csv": "DIR/images and DIR/boxes.csv, a line for each box: "
    "image,width,height,class,xmin,ymin,xmax,ymax (pixels, xmax and ymax exclusive); "
    "DIR/meta.csv with image,label and DIR/masks where they exist",
    "cub": "Caltech-UCSD Birds-200-2011, also @train and @all",
    "cvat": "CVAT for images 1.1; polygons, masks and ellipses as boxes; a tag is the class",
    "folder": "images without boxes; the first folder below DIR is the class; also s3://, gs:// and"
    " .tar files, where a .cls beside an image names it",
    "imagenet": "ILSVRC2012 with its XML boxes, also @loc and @folders; classes are wnids",
    "labelstudio": "Label Studio's JSON or JSON-MIN, with what people corrected; outlines as boxes",
    "list": "images without boxes that a text, CSV or parquet file lists, with their classes; also"
    " at s3:// and gs://",
    "parquet": "a row for each image, read as it is asked for, for millions: path, class, width, "
    "height, boxes, labels, mask",
    "scenes": "generated pictures with exact boxes and masks, as in scenes:1000,seed=7,size=192",
    "voc": "VOCdevkit, any year and split; @2007/test,difficult keeps difficult objects",
    "yolo": "DIR/images, DIR/labels and DIR/data.yaml or classes.txt; yolo:DIR@val is a part",
}
"""What lies behind each kind, in a line."""

LARGEST_SIDE = 2**31 - 1
"""Pixels: more than any image file can say."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


def divide(kind: str, rest: str) -> tuple[str, str]:
    """What stands before and after the last `@`.

    Raises:
        UsageError: there is no `@`.
    """
    before, at, after = rest.rpartition("@")
    if not at:
        raise UsageError(f"'{kind}:{rest}' lacks the part after '@': write {FORMS[kind]}")
    return before, after


def folder(kind: str, text: str) -> Path:
    """The folder that the user named.

    Raises:
        UsageError: there is no such folder.
    """
    path = os.path.expanduser(text)
    if not os.path.isdir(path):  # unlike Path.is_dir it answers for every text
        raise UsageError(f"'{kind}:{text}': there is no folder {text!r}; write {FORMS[kind]}")
    return Path(path)


def file(text: str) -> Path:
    """The file that the user named, whether or not it is there."""
    return Path(os.path.expanduser(text))


def first_folder(kind: str, *candidates: Path) -> Path:
    """The first of these folders that exists.

    Raises:
        UsageError: none does.
    """
    for path in candidates:
        if os.path.isdir(path):
            return path
    looked = " or ".join(str(path) for path in candidates)
    raise UsageError(f"{kind}: there is no folder {looked}; write {FORMS[kind]} and check DIR")


def images_under(root: Path) -> dict[str, Path]:
    """All images below a folder by id, the path relative to it, with `/`; sorted.

    Raises:
        UsageError: there is no image.
    """
    found = ((one.image_id, one.source) for one in list_images([root]))
    return {image_id: source for image_id, source in sorted(found) if isinstance(source, Path)}


def shared(labels: Iterable[str]) -> str | None:
    """The one class that all boxes of an image have, or None."""
    different = set(labels)
    return different.pop() if len(different) == 1 else None


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; a pipe or device, which may never end, is none.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    if not os.path.isfile(path):
        raise UsageError(f"there is no file {path}: check the folder of the data set")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark; line ends stay as they are.

    Raises:
        UsageError: the file is missing or not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from None


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """The first word of each line that has one, and what stands behind it.

    Only blanks and tabs part words, and only line ends of text files lines: names may hold what
    `str.split` and `str.splitlines` take for such.

    Raises:
        UsageError: the file is missing or not UTF-8.
    """
    for line in io.StringIO(read_text(path), newline=None):
        first, *rest = re.split(r"[ \t]+", line.strip(" \t\n"), maxsplit=1)
        if first:
            yield first, "".join(rest)


def shortened(value: object) -> str:
    """A value of a file as it stands in a message: on one line, and not longer than that."""
    return _SHORT.repr(value)


def number(value: object, where: str) -> float:
    """A finite number from a cell of a file.

    Raises:
        UsageError: it is none; the message begins with `where`.
    """
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        raise UsageError(f"{where}: {shortened(value)} is not a finite number; write one")
    return result


def stated_size(height: object, width: object, where: str) -> Size | None:
    """The size of an image as an annotation states it; None where a side is 0.

    Raises:
        UsageError: a side is no whole number of pixels; the message begins with `where`.
    """
    sides = [number(height, f"{where}: height"), number(width, f"{where}: width")]
    for name, side in zip(("height", "width"), sides, strict=True):
        if side != round(side) or not 0 <= side <= LARGEST_SIDE:
            raise UsageError(f"{where}: {name} {side:g}: write a whole number of pixels")
    return (int(sides[0]), int(sides[1])) if all(sides) else None


def words(value: object, where: str) -> str:
    """A text from a cell of a file.

    Raises:
        UsageError: it is none, empty, or cannot be written as UTF-8; the message begins with
            `where`.
    """
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where}: {shortened(value)} is no text; write some")
    if value != value.encode(errors="replace").decode():  # JSON's escapes can halve a character
        raise UsageError(f"{where}: {shortened(value)} is not whole text; write it as UTF-8")
    return value
