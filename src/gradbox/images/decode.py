"""Any image file to upright 8-bit RGB.

Safe in threads: no global state of Pillow or `warnings` is changed, except that libtiff no longer
prints to the terminal what Pillow raises anyway. Embedded colour profiles are not applied.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import ExifTags, Image, _imaging
from PIL.JpegImagePlugin import JpegImageFile

from gradbox.errors import ImageError
from gradbox.geometry import Size
from gradbox.images.cost import RESIZING, decoding_bytes
from gradbox.images.memory import BUDGET
from gradbox.images.pixels import numbers_of, numbers_of_bytes, numbers_of_halves, to_rgb
from gradbox.images.read import ImageStream, open_image
from gradbox.images.wide import (
    choose_both_bytes,
    choose_byte,
    has_wide_colors,
    has_wide_gray_alpha,
)
from gradbox.localization import RGB, ImageSource

MAX_PIXELS = 2 * 89_478_485
"""Pixels of the largest image that is decoded: the number at which Pillow refuses, not warns."""
FULL_PIXELS = 2**26
"""Pixels of the largest file that `decode` gives at its full size."""
NO_MEMORY = "there is not enough memory for the image: make it smaller"
STEPS = (1, 2, 4)
"""By how much `decode` may reduce a larger one."""

Take = Callable[[int], None]
"""Is told how many bytes of memory are needed, and returns when they are there."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")

# EXIF orientation -> swap rows and columns first, then the step along rows and along columns.
_TURNS = {
    1: (False, 1, 1),
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}

with suppress(AttributeError, OSError):  # where libtiff cannot be reached, it prints
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright image: `size` is its (height, width), `rgb` a smaller copy of a very large one."""

    rgb: RGB
    size: Size


def load_rgb(source: ImageSource) -> RGB:
    """Upright (h, w, 3) RGB in 0..255: EXIF orientation applied, transparency over white.

    A file is a JPEG, PNG, WebP, BMP, TIFF, GIF (first frame) or PPM image; an array is (h, w),
    (h, w, 3) RGB or (h, w, 4) RGBA. 16-bit numbers are scaled by the smallest of 8, 10, 12, 14 and
    16 bits that holds the image's maximum, so 12-bit data in a 16-bit file keeps its brightness;
    alpha has its own maximum. Float TIFFs do the same, but are in 0..1 where nothing is above 1;
    what is negative or not finite becomes 0. The result may share memory with a given array.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
    """
    return decode(source, steps=(1,)).rgb


def decode(
    source: ImageSource, *, steps: Sequence[int] = STEPS, take: Take = lambda _: None
) -> Decoded:
    """The same in bounded memory: of a very large file, a smaller copy.

    Args:
        source: as for `load_rgb`.
        steps: by how much a file may be reduced; the first that makes it small enough is taken.
        take: called once, before the pixels are decoded.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
    """
    if callable(source):
        source = source()
    try:
        if isinstance(source, (str, Path)):
            return _from_file(Path(source), steps, take)
        rgb = _in_memory(source, take)
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    return Decoded(rgb, (rgb.shape[0], rgb.shape[1]))


def is_blank(rgb: RGB) -> bool:
    """Whether every pixel is the same: all white, all black or any other constant."""
    first_row = rgb[0]
    return bool((first_row == first_row[0]).all() and (rgb == first_row).all())


def _in_memory(source: Image.Image | np.ndarray, take: Take) -> RGB:
    if isinstance(source, np.ndarray):
        return _from_array(source, take)
    _check_size(source.height, source.width)
    take(RESIZING * source.height * source.width)
    with _broken_is_an_error():
        source.load()
        rgb = to_rgb(numbers_of(source), (source.height, source.width))
        return _upright(rgb, _orientation(source))


def _from_array(array: Shaped[np.ndarray, "..."], take: Take) -> RGB:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not shaped or array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"an array {array.shape} of {array.dtype}: an image is (h, w), (h, w, 3) or (h, w, 4) "
            "of uint8 or uint16"
        )
    height, width = array.shape[:2]
    _check_size(height, width)
    take(RESIZING * height * width)
    numbers = array if array.ndim == 3 else array[..., None]
    if array.dtype == np.uint8 and numbers.shape[2] == 3:
        return np.require(array, requirements=["C", "W"])
    return to_rgb(lambda block: numbers[block], (height, width))


def _from_file(path: Path, steps: Sequence[int], take: Take) -> Decoded:
    with open_image(path) as stream, _broken_is_an_error():
        image = _open(stream)
        height, width = image.height, image.width
        _check_size(height, width)
        step, cost = _step(image, stream.size, steps)
        take(cost)
        if has_wide_colors(image):
            shape = (height, width, len(image.getbands()))
            rgb, orientation = _loaded_wide(stream, shape, step)
        else:
            rgb, orientation = _loaded(image, step)
        del image  # the memory of its pixels, before they are turned
    swapped, _, _ = _TURNS[orientation]
    return Decoded(_upright(rgb, orientation), (width, height) if swapped else (height, width))


def _open(stream: ImageStream) -> Image.Image:
    """The header of an image; `Image.open` would warn of large ones, which no thread can catch."""
    Image.init()
    stream.seek(0)
    start = stream.read(16)
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(start) is True:
            stream.seek(0)
            return factory(stream, "")
    raise ImageError(f"this is no image of a known format ({', '.join(_FORMATS)})")


def _step(image: Image.Image, file_size: int, steps: Sequence[int]) -> tuple[int, int]:
    """By how much an opened image has to be reduced, and the bytes of memory that it then takes."""
    pixels = image.height * image.width
    for step in steps:
        cost = decoding_bytes(image, step, file_size)
        if cost <= BUDGET and (pixels <= FULL_PIXELS * step**2 or step == steps[-1]):
            return step, cost
    raise ImageError(
        f"the image has {image.height} x {image.width} pixels and takes {_mb(cost)} of memory to "
        f"decode, more than {_mb(BUDGET)}: make it smaller"
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _loaded(image: Image.Image, step: int) -> tuple[RGB, int]:
    """The pixels of an opened image as they are stored, and their EXIF orientation."""
    if step > 1 and isinstance(image, JpegImageFile):
        image.draft(None, (image.width // step, image.height // step))
        step = 1
    if gray_alpha := has_wide_gray_alpha(image):
        choose_both_bytes(image)
    image.load()
    read = numbers_of_bytes(image) if gray_alpha else numbers_of(image)
    return to_rgb(read, (image.height, image.width), step), _orientation(image)


def _loaded_wide(stream: ImageStream, shape: tuple[int, int, int], step: int) -> tuple[RGB, int]:
    """The same of 16-bit colours: of each byte an image of its own, one after the other."""
    orientations = []

    def load(high: bool) -> Image.Image:
        image = _open(stream)
        choose_byte(image, high=high)
        image.load()
        orientations.append(_orientation(image))
        return image

    numbers = numbers_of_halves(load, shape, step)
    return to_rgb(lambda block: numbers[block], numbers.shape[:2]), orientations[-1]


def _orientation(image: Image.Image) -> int:
    """Asked after loading: a PNG may end with it, and a TIFF has then been turned already."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in _TURNS else 1


def _upright(rgb: RGB, orientation: int) -> UInt8[np.ndarray, "H W 3"]:
    swap, row_step, column_step = _TURNS[orientation]
    turned = (rgb.swapaxes(0, 1) if swap else rgb)[::row_step, ::column_step]
    return np.require(turned, requirements=["C", "W"])


def _check_size(height: int, width: int) -> None:
    if height == 0 or width == 0:
        raise ImageError(f"the image has no pixels: it is {height} high and {width} wide")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"the image has {height} x {width} pixels, more than {MAX_PIXELS:,}: make it smaller"
        )


@contextmanager
def _broken_is_an_error() -> Iterator[None]:
    """Decoders raise exceptions of any type on a broken file; not every text speaks for itself."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        spoken = isinstance(error, OSError | SyntaxError | ValueError) and str(error)
        raise ImageError(f"the image is broken: {spoken or repr(error)}") from error
