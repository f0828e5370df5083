"""What the layouts share: the parts of their text, their folders, and reading numbers."""

import math
from collections.abc import Iterable
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.images.find import find_images

FORMS = {
    "coco": "coco:IMAGES@FILE.json",
    "csv": "csv:DIR",
    "cub": "cub:DIR@test",
    "folder": "folder:DIR",
    "imagenet": "imagenet:DIR@val",
    "scenes": "scenes:N",
    "voc": "voc:DIR@2007/test",
}
"""What to type for each kind of data set."""


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
    path = Path(text).expanduser()
    if not text or not path.is_dir():
        raise UsageError(f"'{kind}:{text}': there is no folder {text!r}; write {FORMS[kind]}")
    return path


def first_folder(kind: str, *candidates: Path) -> Path:
    """The first of these folders that exists.

    Raises:
        UsageError: none does.
    """
    for path in candidates:
        if path.is_dir():
            return path
    looked = " or ".join(str(path) for path in candidates)
    raise UsageError(f"{kind}: there is no folder {looked}; write {FORMS[kind]} and check DIR")


def images_under(root: Path) -> list[str]:
    """Ids of all images below a folder: paths relative to it, with `/`, sorted.

    Raises:
        UsageError: there is no image.
    """
    return sorted(sample.image_id for sample in find_images([root]))


def shared(labels: Iterable[str]) -> str | None:
    """The one class that all boxes of an image have, or None."""
    different = set(labels)
    return different.pop() if len(different) == 1 else None


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark.

    Raises:
        UsageError: the file is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}: check the folder of the data set") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from None


def number(value: object, where: str) -> float:
    """A finite number from a cell of a file.

    Raises:
        UsageError: it is none; the message begins with `where`.
    """
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        raise UsageError(f"{where}: {value!r} is not a finite number; write one")
    return result
