"""The command that was typed, as `run.json` keeps it: all that repeats it but where it writes."""

import os
from collections.abc import Iterator, Sequence
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
    words = list(_kept(iter(_WORDS.get())))
    return {"words": words, "folder": os.getcwd()} if words else None


def _kept(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--overwrite" and not word.startswith("--out="):
            yield word
