"""How a long job shows that it moves."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Track = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Shows progress: passes on groups of images; so many images in all; a title."""


def silent(groups: Iterable[Any], _count: int, _title: str) -> Iterable[Any]:
    """No progress bar."""
    return groups


_INSIDE: ContextVar[Track] = ContextVar("inside", default=silent)


def inside(groups: Iterable[Any], count: int, title: str) -> Iterable[Any]:
    """Passes on groups of the steps of one image, and shows them to the `listening` of this thread.

    Args:
        groups: of steps; each has a length.
        count: so many steps in all.
        title: what they are.
    """
    return _INSIDE.get()(groups, count, title)


@contextmanager
def listening(track: Track) -> Iterator[None]:
    """Shows by `track` what goes on `inside` an image."""
    before = _INSIDE.get()
    _INSIDE.set(track)
    try:
        yield
    finally:
        _INSIDE.set(before)
