"""The names of classes: in a model card, in a file with one a line, or of ImageNet."""

import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from gradbox.errors import UsageError


def read_names(root: Path, value: str | Sequence[str] | None) -> Sequence[str]:
    """The names that a card gives itself, or in a file beside it.

    Raises:
        UsageError: the file cannot be read, or a name is empty.
    """
    if value is None:
        return ()
    names, where = value, "a name list of the card"
    if isinstance(value, str):
        where = str(root / value)
        try:
            names = class_lines((root / value).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{where}: cannot be read as one class name a line") from error
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise UsageError(
                f"{where}: name {number}, of class {number - 1}, is empty: write one for each "
                "output"
            )
    return names


def class_lines(text: str) -> tuple[str, ...]:
    r"""The names in a file with one a line; empty lines at its end are none.

    Lines end as in text files, and not wherever `str.splitlines` sees an end: a name may hold a
    form feed or U+0085, and the names behind it must not shift.

    >>> class_lines("\ufeffa\x85b\r\nc\n\n")
    ('a\x85b', 'c')
    """
    lines = io.StringIO(text.removeprefix("\ufeff"), newline=None).read().split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(lines)


def imagenet1k_wnids() -> tuple[str, ...]:
    """The 1000 WordNet ids of ImageNet-1k in the usual class order."""
    return _data_lines("imagenet1k_wnids.txt")


def imagenet1k_names() -> tuple[str, ...]:
    """The 1000 class names of ImageNet-1k in the usual order, as torchvision writes them."""
    return _data_lines("imagenet1k_names.txt")


def _data_lines(name: str) -> tuple[str, ...]:
    text = resources.files("gradbox.models").joinpath("data", name).read_text("utf-8")
    return tuple(text.removesuffix("\n").split("\n"))
