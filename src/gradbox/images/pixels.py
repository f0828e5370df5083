"""Numbers of any depth to 8-bit RGB, block by block: nothing but the result is as large as it."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, Shaped, UInt8, UInt16
from PIL import Image

from gradbox.geometry import Size
from gradbox.localization import RGB

Block = tuple[slice, slice]
"""Rows and columns."""
Read = Callable[[Block], Shaped[np.ndarray, "h w channels"]]
"""The numbers of one block of an image: one or three colours, and maybe alpha behind them."""

_SIDE = 512
"""Rows and columns of a block, a multiple of every step."""
_FULL_SCALES = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16))


def to_rgb(read: Read, size: Size, step: int = 1) -> RGB:
    """The numbers of an image of this (height, width) as RGB in 0..255, transparency over white.

    What is not 8 bits is scaled by the smallest of 8, 10, 12, 14 and 16 bits that holds the image's
    maximum, alpha by its own; floats by 1 where nothing is above it. With a `step` each pixel of
    the result is the mean of step x step.
    """
    color_scale, alpha_scale = _full_scales(read, size)
    out = np.empty((*_divided(size, step), 3), dtype=np.uint8)
    for block in _blocks(size):
        color, alpha = _split(read(block))
        rgb = np.broadcast_to(_to_8_bit(color, color_scale), (*color.shape[:2], 3))
        if alpha.size:
            rgb = _over_white(rgb, _to_8_bit(alpha, alpha_scale))
        reduced = rgb if step == 1 else np.asarray(Image.fromarray(rgb).reduce(step))
        out[_smaller(block, step)] = reduced
    return out


def numbers_of(image: Image.Image) -> Read:
    """The numbers of a loaded image."""
    if image.mode[0] in "IF":
        return lambda block: np.asarray(_cut(image, block))[..., None]
    mode = "RGBA" if image.has_transparency_data else "RGB"

    def read(block: Block) -> UInt8[np.ndarray, "h w channels"]:
        part = _cut(image, block)
        return np.asarray(part if part.mode == mode else part.convert(mode))

    return read


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
    numbers = np.zeros((*_divided((height, width), step), channels), dtype=np.uint16)
    for weight in (256, 1):
        for place, means in _means(load(weight == 256), step):
            numbers[place] += np.rint(weight * means).astype(np.uint16)
    return numbers


def _means(
    image: Image.Image, step: int
) -> Iterator[tuple[tuple[slice, slice, int], Float32[np.ndarray, "h w"]]]:
    """The means of step x step of a loaded image, by block and channel, with their place."""
    for block in _blocks((image.height, image.width)):
        for channel, band in enumerate(_cut(image, block).split()):
            means = np.asarray(band.convert("F").reduce(step))
            yield (*_smaller(block, step), channel), means


def _cut(image: Image.Image, block: Block) -> Image.Image:
    """One block of a loaded image."""
    rows, columns = block
    whole = (0, 0, image.width, image.height)
    box = (columns.start, rows.start, columns.stop, rows.stop)
    return image if box == whole else image.crop(box)


def _blocks(size: Size) -> Iterator[Block]:
    height, width = size
    for top in range(0, height, _SIDE):
        for left in range(0, width, _SIDE):
            yield slice(top, min(top + _SIDE, height)), slice(left, min(left + _SIDE, width))


def _smaller(block: Block, step: int) -> Block:
    """Where a block lies in the image that is made of means."""
    rows, columns = (slice(part.start // step, -(-part.stop // step)) for part in block)
    return rows, columns


def _divided(size: Size, step: int) -> Size:
    return -(-size[0] // step), -(-size[1] // step)


def _split(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha, which has no channel where there is none."""
    colors = 3 if numbers.shape[2] > 2 else 1
    return numbers[..., :colors], numbers[..., colors:]


def _full_scales(read: Read, size: Size) -> tuple[float, float]:
    """What becomes 255 in the colours and in alpha."""
    peaks = [0.0, 0.0]
    for block in _blocks(size):
        numbers = read(block)
        if numbers.dtype == np.uint8:
            return 255.0, 255.0
        for i, part in enumerate(_split(numbers)):
            peaks[i] = max(peaks[i], float(_sound(part).max(initial=0)))
    scales = (1.0, *_FULL_SCALES) if numbers.dtype.kind == "f" else _FULL_SCALES
    color, alpha = (next((scale for scale in scales if peak <= scale), peak) for peak in peaks)
    return color, alpha


def _sound(values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """The same with 0 for what is negative or not finite."""
    return np.where(np.isfinite(values), values, 0).clip(min=0)


def _to_8_bit(values: Shaped[np.ndarray, "*shape"], full: float) -> UInt8[np.ndarray, "*shape"]:
    if values.dtype == np.uint8:
        return values
    return np.rint(_sound(values) * np.float32(255 / full)).astype(np.uint8)


def _over_white(rgb: RGB, alpha: UInt8[np.ndarray, "h w 1"]) -> RGB:
    weight = alpha.astype(np.uint16)
    return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
