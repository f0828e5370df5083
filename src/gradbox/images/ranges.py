"""Which numbers of a file are black and which white, as a user says it: `--range`.

`0:4095` names the two numbers, with commas for each channel; `percentile(1, 99.8)`, `asinh` and
`zscale` measure them, of each image or of all images of a call.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from gradbox.errors import UsageError
from gradbox.images.zscale import zscale
from gradbox.specs import build, canonical

Numbers = Float[np.ndarray, "n"]
"""Finite numbers of a channel, or of all of them, in any order."""
Over = Literal["image", "dataset"]
Channels = Literal["together", "apart"]
"""Whether all channels have the same black and white, or each its own."""
Bounds = tuple[tuple[float, float], ...]
"""Black and white: one pair for all channels, or one for each."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PAIRS = re.compile(rf"\s*{_NUMBER}\s*:\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*:\s*{_NUMBER}\s*)*")


@runtime_checkable
class Range(Protocol):
    """How numbers become values from 0, black, to 1, white."""

    @property
    def over(self) -> Over:
        """Of what black and white are measured."""
        ...

    @property
    def channels(self) -> Channels:
        """Whether for each channel apart."""
        ...

    @property
    def between(self) -> tuple[float, ...] | None:
        """Pairs low, high, one after the other, once they are known for all images."""
        ...

    def measured(self, numbers: Numbers) -> tuple[float, float]:
        """Black and white of at least one number."""
        ...

    def curve(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """From [0, 1] to [0, 1], as bright as they shall be."""
        ...


class _Straight:
    """A range whose values are as bright as the numbers say."""

    def curve(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The same values."""
        return values


@dataclass(frozen=True)
class Fixed(_Straight):
    """These numbers, as pairs low, high: one for all channels, or one for each."""

    between: tuple[float, ...]
    over: Over = "image"
    channels: Channels = "apart"

    def __post_init__(self) -> None:
        pairs = bounds_of(self.between)
        if not pairs or len(self.between) % 2 or not all(map(isfinite, self.between)):
            raise ValueError(f"between {self.between} is not finite pairs of black and white")
        for low, high in pairs:
            if low >= high:
                raise ValueError(f"{low:g}:{high:g} has no numbers between: write LOW:HIGH")

    def measured(self, numbers: Numbers) -> tuple[float, float]:
        """Nothing is measured."""
        raise AssertionError("black and white are known")


@dataclass(frozen=True)
class Percentile(_Straight):
    """From the `low` to the `high` percentile, each in [0, 100]."""

    low: float = 1.0
    high: float = 99.8
    over: Over = "image"
    channels: Channels = "together"
    between: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_shares(self.low, self.high)

    def measured(self, numbers: Numbers) -> tuple[float, float]:
        """Two percentiles, between numbers by a straight line."""
        return _percentiles(numbers, self.low, self.high)


@dataclass(frozen=True)
class Asinh:
    """asinh(x / softness) / asinh(1 / softness) of what lies at x from `low` to `high`.

    Below `softness`, above 0, the curve is a straight line, above it a logarithm; `low` and `high`
    are percentiles (Lupton et al., PASP 2004; astropy's `AsinhStretch`).
    """

    softness: float = 0.1
    low: float = 0.0
    high: float = 100.0
    over: Over = "image"
    channels: Channels = "together"
    between: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check_shares(self.low, self.high)
        if not 0 < self.softness <= 1:
            raise ValueError(f"softness {self.softness} is not above 0 and at most 1")

    def measured(self, numbers: Numbers) -> tuple[float, float]:
        """Two percentiles, between numbers by a straight line."""
        return _percentiles(numbers, self.low, self.high)

    def curve(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """A straight line for faint values, a logarithm for bright ones."""
        return np.arcsinh(values / self.softness) / np.arcsinh(1 / self.softness)


@dataclass(frozen=True)
class ZScale(_Straight):
    """IRAF's range of an image of the sky: a line through the sorted numbers, around the median.

    The slope is divided by `contrast`, in (0, 1].
    """

    contrast: float = 0.25
    over: Over = "image"
    channels: Channels = "together"
    between: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.contrast <= 1:
            raise ValueError(f"contrast {self.contrast} is not above 0 and at most 1")

    def measured(self, numbers: Numbers) -> tuple[float, float]:
        """See `zscale`."""
        return zscale(numbers, self.contrast)


RANGES: Mapping[str, type[Range]] = {
    "fixed": Fixed,
    "percentile": Percentile,
    "asinh": Asinh,
    "zscale": ZScale,
}


def to_range(value: str | Range) -> Range:
    """The range that a text names; a value is one already.

    Raises:
        UsageError: an unknown name, option or value.
    """
    if not isinstance(value, str):
        return value
    if not _PAIRS.fullmatch(value):
        if re.match(r"\s*[-+\d.]", value):
            raise UsageError(f"--range {value}: write LOW:HIGH, as in 0:4095, or 0:4095,0:255")
        return build(value, RANGES)
    numbers = tuple(float(one) for one in re.split("[:,]", value))
    try:
        return Fixed(numbers)
    except ValueError as error:
        raise UsageError(f"--range {value}: {error}") from error


def range_text(value: Range) -> str:
    """The text that gives an equal range, with every default."""
    if isinstance(value, Fixed):
        return ",".join(f"{_plain(low)}:{_plain(high)}" for low, high in bounds_of(value.between))
    return canonical(value, RANGES)


def bounds_of(between: Sequence[float]) -> Bounds:
    """Numbers, two by two."""
    return tuple(zip(between[::2], between[1::2], strict=False))


def measure(value: Range, channels: Sequence[Numbers]) -> Range:
    """The range with its `between`, measured of the finite numbers of each channel.

    Raises:
        ValueError: there is no number.
    """
    if value.channels == "together":  # a channel that is taken several times counts once
        channels = [np.concatenate(list({id(one): one for one in channels}.values()))]
    if not all(one.size for one in channels):
        raise ValueError("no number of the image is finite")
    pairs = [value.measured(one) for one in channels]
    return replace(value, between=tuple(x for pair in pairs for x in pair))  # type: ignore[type-var]


def _percentiles(numbers: Numbers, low: float, high: float) -> tuple[float, float]:
    black, white = np.percentile(numbers, (low, high)).tolist()
    return black, white


def _check_shares(low: float, high: float) -> None:
    if not 0 <= low < high <= 100:
        raise ValueError(f"{low:g} and {high:g} are not two percentiles, 0 <= LOW < HIGH <= 100")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
