"""From the numbers of a file to the channels of an input, in 0..255, as a `Reading` says."""

from collections.abc import Callable, Sequence
from math import ceil, sqrt

import numpy as np
from jaxtyping import Float32, Shaped

from gradbox.errors import ImageError, UsageError
from gradbox.images.pixels import blocks, divided, full_scale, reduced, smaller, sound, to_8_bit
from gradbox.images.ranges import Fixed, Numbers, Range, bounds_of, measure, range_text
from gradbox.images.raster import Raster
from gradbox.images.reading import Reading
from gradbox.localization import Pixels

MEASURED = 2**21
"""Numbers of which an image's black and white are measured; of more, evenly some."""
_NO_NUMBER = "no number of the image is finite"

Levels = Callable[[Shaped[np.ndarray, "h w c"]], Pixels]


def to_pixels(raster: Raster, reading: Reading, channels: int, step: int = 1) -> Pixels:
    """The channels of an input: uint8 where no range is said, else float32 in 0..255.

    Where the file itself says what is black and white, that goes without saying; so do 8 bits, and
    unsigned numbers of up to 16 bits, which are scaled as `to_rgb` does. What is not finite is
    black, plus infinity white. With a `step` each pixel is the mean of step x step.

    Raises:
        ImageError: channels or a range have to be said, there is no such channel, or no number is
            finite.
        UsageError: the range is one of a data set, and was not measured.
    """
    chosen = chosen_channels(raster, reading, channels)
    levels = _levels(raster, reading, chosen)
    out: Pixels | None = None
    is_finite = False
    for block in blocks(raster.size):
        numbers = raster.read(block)[..., list(chosen)]
        is_finite = is_finite or bool(np.isfinite(numbers).any())
        values = levels(numbers)
        if out is None:
            out = np.empty((*divided(raster.size, step), channels), dtype=values.dtype)
        out[smaller(block, step)] = reduced(values, step)
    if out is None or not is_finite:
        raise ImageError(_NO_NUMBER)
    return out


def chosen_channels(raster: Raster, reading: Reading, channels: int) -> tuple[int, ...]:
    """Which channels of the file become those of the input, from 0.

    Raises:
        ImageError: that has to be said, or there is no such channel.
    """
    if reading.channels is not None:
        if max(reading.channels) >= raster.channels:
            known = "only 0" if raster.channels == 1 else f"0 to {raster.channels - 1}"
            raise ImageError(f"no channel {max(reading.channels)}: the image has {known}")
        return reading.channels
    if raster.channels == channels:
        return tuple(range(channels))
    if raster.channels == 1 and channels == 3:
        return (0, 0, 0)
    if raster.channels == 3 and channels == 1 and _is_grey(raster):
        return (0,)
    example = ",".join(str(i % raster.channels) for i in range(channels))
    raise ImageError(
        f"the image has {_count(raster.channels)} and the network takes {_count(channels)}: say "
        f"which with --channels, as in {example}"
    )


def numbers_of_channels(raster: Raster, chosen: Sequence[int], most: int) -> list[Numbers]:
    """The finite numbers of some channels; of more than `most`, evenly some."""
    height, width = raster.size
    kinds = dict.fromkeys(chosen)
    step = max(1, ceil(sqrt(height * width * len(kinds) / most)))
    parts: dict[int, list[np.ndarray]] = {channel: [] for channel in kinds}
    for rows, columns in blocks(raster.size):
        block = raster.read((rows, columns))
        some = block[-rows.start % step :: step, -columns.start % step :: step]
        for channel, part in parts.items():
            numbers = some[..., channel].ravel()
            part.append(numbers[np.isfinite(numbers)].astype(np.float64))
    found = {channel: np.concatenate(part) for channel, part in parts.items()}
    return [found[channel] for channel in chosen]


def _levels(raster: Raster, reading: Reading, chosen: Sequence[int]) -> Levels:
    """What makes values in 0..255 of the chosen channels of a block."""
    black_and_white = _range(raster, reading, chosen)
    if black_and_white is not None:
        return _Stretch(black_and_white, inverted=raster.inverted)
    kind = raster.read((slice(0, 1), slice(0, 1))).dtype
    if kind.kind not in "bu" or kind.itemsize > 2:
        numbers = np.concatenate(numbers_of_channels(raster, chosen, MEASURED))
        if not numbers.size:
            raise ImageError(_NO_NUMBER)
        raise ImageError(
            f"numbers of {kind.name} from {numbers.min():g} to {numbers.max():g}: say which are "
            "black and white with --range LOW:HIGH, 'percentile(1, 99.8)', asinh or zscale"
        )
    full = 255.0 if kind.itemsize == 1 else _peak(raster, chosen)
    white = 255 if raster.inverted else 0

    def levels(numbers: Shaped[np.ndarray, "h w c"]) -> Pixels:
        if kind.kind == "b":
            numbers = numbers.astype(np.uint8) * 255
        return to_8_bit(numbers, full) ^ white  # 255 - x of a byte

    return levels


class _Stretch:
    """From numbers to float32 in 0..255 by a range whose black and white are known."""

    def __init__(self, of: Range, *, inverted: bool) -> None:
        assert of.between is not None
        self._curve = of.curve
        self._low, self._high = np.array(bounds_of(of.between), dtype=np.float64).T
        self._inverted = inverted

    def __call__(self, numbers: Shaped[np.ndarray, "h w c"]) -> Float32[np.ndarray, "h w c"]:
        values = numbers.astype(np.float64)
        with np.errstate(all="ignore"):  # infinity less infinity, and 0 / 0 where all is black
            values = (values - self._low) / (self._high - self._low)
        values = self._curve(np.nan_to_num(values, nan=0.0).clip(0.0, 1.0))
        values = 255.0 * (1.0 - values if self._inverted else values)
        return values.astype(np.float32)


def _range(raster: Raster, reading: Reading, chosen: Sequence[int]) -> Range | None:
    """The range that is said, by the user or the file, with black and white; None where none is."""
    said = reading.range
    if said is None:
        return None if raster.bounds is None else Fixed(raster.bounds)
    assert not isinstance(said, str)
    if said.between is None:
        if said.over == "dataset":
            raise UsageError(
                f"--range {range_text(said)} is of all images of a data set, which are not known "
                "here: say LOW:HIGH, or over=image"
            )
        try:
            return measure(said, numbers_of_channels(raster, chosen, MEASURED))
        except ValueError as error:
            raise ImageError(str(error)) from error
    if len(said.between) not in (2, 2 * len(chosen)):
        raise UsageError(
            f"--range {range_text(said)} is of {_count(len(said.between) // 2)} and the network "
            f"takes {_count(len(chosen))}"
        )
    return said


def _peak(raster: Raster, chosen: Sequence[int]) -> float:
    """What becomes 255: see `full_scale`."""
    peak = 0.0
    for block in blocks(raster.size):
        numbers = raster.read(block)[..., list(chosen)]
        peak = max(peak, float(sound(numbers).max(initial=0)))
    return full_scale(peak, numbers.dtype)


def _is_grey(raster: Raster) -> bool:
    parts = (raster.read(block) for block in blocks(raster.size))
    return all(bool((part == part[..., :1]).all()) for part in parts)


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
