"""What can go wrong for a user: each message says what came, why not, and what to type."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """The call itself is wrong: an unknown name, a broken file, options that do not go together."""


class ImageError(ValueError):
    """One image cannot be used; the others of the run are not affected.

    `image_id` is the image, where it is known; the message does not repeat it.
    """

    def __init__(self, message: str, *, image_id: str | None = None) -> None:
        super().__init__(message)
        self.image_id = image_id

    def of(self, image_id: str) -> "ImageError":
        """The same, of this image."""
        named = ImageError(str(self), image_id=image_id)
        named.__cause__ = self.__cause__
        return named


class GradboxWarning(UserWarning):
    """What is likely a mistake and does not stop a run: one line."""


NOT_FINITE = "the network returned NaN or infinity"


def nearest(name: str, names: Iterable[str], count: int = 3) -> str:
    """The names most like `name`, ready to end a message; empty when nothing is near.

    >>> nearest("sensitivty", ["sensitivity", "dam"])
    ' (did you mean sensitivity?)'
    >>> nearest("zebra", ["sensitivity", "dam"])
    ''
    """
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.5)
    return f" (did you mean {' or '.join(by_lower[c] for c in close)}?)" if close else ""


def expect(value: object, kind: type, instead: str) -> None:
    """Refuse an argument of another type than `kind`, before it fails somewhere inside.

    >>> expect("dogs.csv", dict, "read it first")
    Traceback (most recent call last):
    gradbox.errors.UsageError: 'dogs.csv' is no dict: read it first
    """
    if not isinstance(value, kind):
        what = repr(value) if isinstance(value, str) else f"an object of type {_kind_of(value)}"
        raise UsageError(f"{what} is no {kind.__name__}: {instead}")


def _kind_of(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
