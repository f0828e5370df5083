"""How the numbers of a file become the channels of an input: said by the user, never guessed."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from gradbox.errors import UsageError
from gradbox.images.ranges import Range, range_text, to_range

Stack = Literal["max", "mean", "middle", "channels"] | int
"""What is taken of the planes of a stack: one made of all, the middle one, each as a channel, or
one by its number from 0."""
STACKS = ("max", "mean", "middle", "channels")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is said of the numbers of image files; None is said of what goes without saying.

    `channels` are those of the file that become the input's, from 0, in this order; one may be
    taken several times. `range` says which numbers are black and which white, see `ranges`; a text
    is read. `stack` says what is taken of a file of several planes.

    Raises:
        UsageError: no channel, one below 0, or an unknown range or stack.
    """

    channels: tuple[int, ...] | None = None
    range: Range | str | None = None
    stack: Stack | None = None

    def __post_init__(self) -> None:
        if self.channels is not None and (not self.channels or min(self.channels) < 0):
            raise UsageError(f"channels {self.channels}: write numbers from 0, as in 2,1,0")
        if isinstance(self.range, str):
            object.__setattr__(self, "range", to_range(self.range))
        _check_stack(self.stack)

    @classmethod
    def of_texts(cls, channels: str | None, span: str | None, stack: str | None) -> "Reading":
        """What the texts of `--channels`, `--range` and `--stack` say.

        Raises:
            UsageError: one of them says something else.
        """
        return cls(
            channels=None if channels is None else _parse_channels(channels),
            range=span,
            stack=None if stack is None else _parse_stack(stack),
        )

    @property
    def is_of_dataset(self) -> bool:
        """Whether black and white are those of a data set, and still to be measured."""
        said = None if self.range is None else to_range(self.range)
        return said is not None and said.over == "dataset" and said.between is None

    def over(self, other: "Reading") -> "Reading":
        """What is said here, and of what is not, what another says."""
        said = {name: getattr(self, name) for name in ("channels", "range", "stack")}
        return replace(other, **{name: one for name, one in said.items() if one is not None})

    def __bool__(self) -> bool:
        return self != Reading()

    @property
    def about(self) -> dict[str, str]:
        """What is said, by name, as on the command line."""
        said = {
            "channels": self.channels and ",".join(map(str, self.channels)),
            "range": self.range and range_text(to_range(self.range)),
            "stack": self.stack,
        }
        return {name: str(value) for name, value in said.items() if value is not None}

    def __str__(self) -> str:
        """In one line, empty where nothing is said."""
        return ", ".join(f"{name} {value}" for name, value in self.about.items())


def _parse_channels(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and word.isascii() for word in words):
        raise UsageError(f"--channels {text}: write numbers from 0, as in 2,1,0")
    return tuple(map(int, words))


def _parse_stack(text: str) -> Stack:
    stack: Any = int(text) if text.isdecimal() and text.isascii() else text
    _check_stack(stack)
    return stack


def _check_stack(stack: Any) -> None:
    is_plane = isinstance(stack, int) and stack >= 0
    if stack is not None and not is_plane and stack not in STACKS:
        raise UsageError(
            f"stack {stack!r}: write {', '.join(STACKS)} or the number of a plane, from 0"
        )


NOTHING_SAID = Reading()
