"""Numbers of any depth to 8-bit RGB, block by block: nothing but the result is as large as it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped, UInt8, UInt16
from PIL import Image

from gradbox.geometry import Size
from gradbox.localization import RGB, Pixels

Block = tuple[slice, slice]
"""Rows and columns."""
Read = Callable[[Block], Shaped[np.ndarray, "h w channels"]]
"""The numbers of one block of an image: one or three colours, and maybe alpha behind them."""

_SIDE = 512
"""Rows and columns of a block, a multiple of every step."""
_BRIGHT, _DARK = 99.5, 128.0
_FULL_SCALES = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16))


def to_rgb(read: Read, size: Size, step: int = 1) -> RGB:
    """The numbers of an image of this (height, width) as RGB in 0..255, transparency over white.

    What is not 8 bits is scaled by the smallest of 8, 10, 12, 14 and 16 bits that holds the image's
    maximum, alpha by its own; floats by 1 where nothing is above it. With a `step` each pixel of
    the result is the mean of step x step.
    """
    color_scale, alpha_scale = _full_scales(read, size)
    out = np.empty((*divided(size, step), 3), dtype=np.uint8)
    for block in blocks(size):
        color, alpha = _split(read(block))
        rgb = np.broadcast_to(to_8_bit(color, color_scale), (*color.shape[:2], 3))
        if alpha.size:
            rgb = _over_white(rgb, to_8_bit(alpha, alpha_scale))
        out[smaller(block, step)] = reduced(rgb, step)
    return out


def as_rgb(pixels: Pixels) -> RGB:
    """What people and networks of colours see of an image of any channels.

    One channel is grey; of more than three the first three are red, green and blue, and a third
    that is not there is 0.
    """
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels).astype(np.uint8)
    channels = pixels.shape[2]
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    if channels == 2:
        return np.pad(pixels, ((0, 0), (0, 0), (0, 1)))
    return np.ascontiguousarray(pixels[..., :3])


def readable(pixels: Pixels) -> RGB:
    """A picture for people: `as_rgb`, and brighter where a said range leaves nearly all dark."""
    if pixels.dtype != np.uint8:
        bright = float(np.percentile(pixels, _BRIGHT))
        if 0 < bright < _DARK:
            pixels = (pixels * (_DARK / bright)).clip(max=255)
    return as_rgb(pixels)


def numbers_of(image: Image.Image) -> tuple[Read, int]:
    """The numbers of a loaded image, 8-bit ones as RGB or RGBA, and how many channels they have."""
    return _numbers_as(image, "RGBA" if image.has_transparency_data else "RGB")


def stored_numbers_of(image: Image.Image) -> tuple[Read, int]:
    """The numbers of a loaded image with the channels that are stored, and how many these are."""
    stored = {"1": "L", "L": "L", "LA": "LA"}
    colours = "RGBA" if image.has_transparency_data else "RGB"
    return _numbers_as(image, stored.get(image.mode, colours))


def _numbers_as(image: Image.Image, mode: str) -> tuple[Read, int]:
    if image.mode[0] in "IF":
        return lambda block: np.asarray(_cut(image, block))[..., None], 1

    def read(block: Block) -> UInt8[np.ndarray, "h w channels"]:
        part = _cut(image, block)
        numbers = np.asarray(part if part.mode == mode else part.convert(mode))
        return numbers if numbers.ndim == 3 else numbers[..., None]

    return read, len(mode)


def numbers_of_bytes(image: Image.Image) -> Read:
    """The 16-bit numbers of a loaded image whose channels are high and low bytes in turn."""

    def read(block: Block) -> UInt16[np.ndarray, "h w channels"]:
        pairs = np.asarray(_cut(image, block)).astype(np.uint16)
        return pairs[..., ::2] << 8 | pairs[..., 1::2]

    return read


def numbers_of_halves(
    load: Callable[[bool], Image.Image], shape: tuple[int, int, int], step: int
) -> UInt16[np.ndarray, "h w channels"]:
    """The 16-bit numbers whose high and low bytes are two images; with a `step`, their means.

    Args:
        load: gives the high bytes for True, the low ones for False; one image at a time is used.
        shape: height, width and channels of these images.
        step: 1 for the numbers themselves.
    """
    height, width, channels = shape
    numbers = np.zeros((*divided((height, width), step), channels), dtype=np.uint16)
    for weight in (256, 1):
        for place, means in _means(load(weight == 256), step):
            numbers[place] += np.rint(weight * means).astype(np.uint16)
    return numbers


def _means(
    image: Image.Image, step: int
) -> Iterator[tuple[tuple[slice, slice, int], Float32[np.ndarray, "h w"]]]:
    """The means of step x step of a loaded image, by block and channel, with their place."""
    for block in blocks((image.height, image.width)):
        for channel, band in enumerate(_cut(image, block).split()):
            means = np.asarray(band.convert("F").reduce(step))
            yield (*smaller(block, step), channel), means


def _cut(image: Image.Image, block: Block) -> Image.Image:
    """One block of a loaded image."""
    rows, columns = block
    whole = (0, 0, image.width, image.height)
    box = (columns.start, rows.start, columns.stop, rows.stop)
    return image if box == whole else image.crop(box)


def reduced(pixels: Shaped[np.ndarray, "h w c"], step: int) -> Shaped[np.ndarray, "rows columns c"]:
    """The means of step x step."""
    if step == 1:
        return pixels
    if pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).reduce(step))
    channels = (np.ascontiguousarray(channel) for channel in np.moveaxis(pixels, 2, 0))
    return np.stack([np.asarray(Image.fromarray(one).reduce(step)) for one in channels], axis=2)


def blocks(size: Size) -> Iterator[Block]:
    """The parts of an image, each small."""
    height, width = size
    for top in range(0, height, _SIDE):
        for left in range(0, width, _SIDE):
            yield slice(top, min(top + _SIDE, height)), slice(left, min(left + _SIDE, width))


def smaller(block: Block, step: int) -> Block:
    """Where a block lies in the image that is made of means."""
    rows, columns = (slice(part.start // step, -(-part.stop // step)) for part in block)
    return rows, columns


def divided(size: Size, step: int) -> Size:
    """The size of the image that is made of means of step x step."""
    return -(-size[0] // step), -(-size[1] // step)


def _split(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha, which has no channel where there is none."""
    colors = 3 if numbers.shape[2] > 2 else 1
    return numbers[..., :colors], numbers[..., colors:]


def _full_scales(read: Read, size: Size) -> tuple[float, float]:
    """What becomes 255 in the colours and in alpha."""
    peaks = [0.0, 0.0]
    for block in blocks(size):
        numbers = read(block)
        if numbers.dtype == np.uint8:
            return 255.0, 255.0
        for i, part in enumerate(_split(numbers)):
            peaks[i] = max(peaks[i], float(sound(part).max(initial=0)))
    color, alpha = (full_scale(peak, numbers.dtype) for peak in peaks)
    return color, alpha


def full_scale(peak: float, dtype: np.dtype[Any]) -> float:
    """What becomes 255 where this is the maximum."""
    scales = (1.0, *_FULL_SCALES) if dtype.kind == "f" else _FULL_SCALES
    return next((scale for scale in scales if peak <= scale), peak)


def sound(values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """The same with 0 for what is negative or not finite."""
    return np.where(np.isfinite(values), values, 0).clip(min=0)


def to_8_bit(values: Shaped[np.ndarray, "*shape"], full: float) -> UInt8[np.ndarray, "*shape"]:
    """0 to 255 of what is 0 to `full`; 8 bits stay as they are."""
    if values.dtype == np.uint8:
        return values
    return np.rint(sound(values) * np.float32(255 / full)).astype(np.uint8)


def _over_white(rgb: RGB, alpha: UInt8[np.ndarray, "h w 1"]) -> RGB:
    weight = alpha.astype(np.uint16)
    return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
