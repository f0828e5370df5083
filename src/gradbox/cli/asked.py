"""The command that was typed, as `run.json` keeps it: all that repeats it but where it writes."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_WORDS: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


@contextmanager
def typed(words: Sequence[str]) -> Iterator[list[str]]:
    """Take these words, without the program's name, for those that were typed."""
    before = _WORDS.set(tuple(words))
    try:
        yield list(words)
    finally:
        _WORDS.reset(before)


def asked() -> dict[str, Any] | None:
    """The words that were typed without --out and --overwrite, and in which folder; None of none.

    >>> with typed(["locate", "cat.jpg", "--out", "boxes", "--top", "2"]):
    ...     asked()["words"]
    ['locate', 'cat.jpg', '--top', '2']
    """
    words = [word for word in without("--out", _WORDS.get()) if word != "--overwrite"]
    return {"words": words, "folder": os.getcwd()} if words else None


def without(option: str, words: Iterable[str]) -> Iterator[str]:
    """The words without an option and its value."""
    rest = iter(words)
    for word in rest:
        if word == option:
            next(rest, None)
        elif not word.startswith(f"{option}="):
            yield word
