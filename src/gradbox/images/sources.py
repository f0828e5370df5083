"""From an image file or array to its numbers, by whatever reads its kind, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Size
from gradbox.images.cost import decoding_bytes, made_bytes, resizing_bytes
from gradbox.images.formats import OTHERS, START, TIFF, Format
from gradbox.images.formats.plain_tiff import is_for_pillow
from gradbox.images.memory import BUDGET
from gradbox.images.pillow import loaded, of_image, open_by_pillow
from gradbox.images.raster import Layout, Raster
from gradbox.images.read import ImageStream, open_image
from gradbox.images.reading import Reading
from gradbox.localization import ImageFile, ImageSource

T = TypeVar("T")
MAX_PIXELS = 2 * 89_478_485
"""Pixels of the largest image that is decoded: the number at which Pillow refuses, not warns."""
FULL_PIXELS = 2**26
"""Pixels of the largest file that `decode` gives at its full size."""
STEPS = (1, 2, 4)
"""By how much `decode` may reduce a larger one."""
JPEG_STEPS = (8, 4, 2, 1)
"""By how much a JPEG is reduced while it is decoded, which takes less time and memory."""

Take = Callable[[int], None]
"""Is told how many bytes of memory are needed, and returns when they are there."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of an image, and in which memory.

    `enough` is the shorter side in pixels that a JPEG may be reduced to, None for none.
    """

    channels: int
    reading: Reading
    steps: Sequence[int]
    take: Take
    enough: int | None = None

    @property
    def is_usual(self) -> bool:
        """Whether colours are wanted, and nothing is said."""
        return self.channels == 3 and not self.reading

    def of_jpeg(self, size: Size) -> int:
        """The most by which a JPEG may be reduced; 1 where its numbers are measured.

        It divides both sides: half a pixel beyond the edge would shift the image.
        """
        if self.enough is None or not self.is_usual:
            return 1
        fitting = (step for step in JPEG_STEPS if size[0] % step == size[1] % step == 0)
        return next((step for step in fitting if min(size) >= step * self.enough), 1)

    def step(self, size: Size, cost: Callable[[int], int], least: int = 1) -> int:
        """By how much an image is reduced, once there is the memory that this costs."""
        pixels = size[0] * size[1]
        _check_size(*size)
        steps = [least, *(step for step in self.steps if step > least)]
        for step in steps:
            needed = cost(step)
            fits = pixels <= FULL_PIXELS * step**2 or step == steps[-1]
            if needed <= BUDGET and fits:
                self.take(needed)
                return step
        raise ImageError(
            f"the image has {size[0]} x {size[1]} pixels and takes {_mb(needed)} of memory to "
            f"decode, more than {_mb(BUDGET)}: make it smaller"
        )

    def claim(self, layout: Layout, file_size: int) -> int:
        """The same of numbers that are loaded all at once."""

        def cost(step: int) -> int:
            pixels = layout.size[0] * layout.size[1] // step**2
            return file_size + layout.bytes + made_bytes(pixels, self.channels)

        return self.step(layout.size, cost)


def read(
    source: ImageSource | ImageStream, wanted: Wanted, finish: Callable[[Raster, int], T]
) -> tuple[T, Size, int]:
    """What is made of the numbers of an image, its (height, width) as stored, its orientation.

    `finish` makes it of the numbers and of by how much they still have to be reduced.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
    """
    if callable(source):
        source = source()
    if isinstance(source, ImageFile):
        with open_image(source) as stream:
            return read(stream, wanted, finish)
    if isinstance(source, ImageStream):
        with broken_is_an_error():
            return _read_file(source, wanted, finish)
    size = _size_in_memory(source)
    wanted.step(size, lambda _: resizing_bytes(size[0] * size[1], wanted.channels))
    if isinstance(source, np.ndarray):
        raster = _of_array(source, wanted)
    else:
        with broken_is_an_error():
            raster = of_image(source, stored=not wanted.is_usual)
    return finish(raster, 1), size, raster.orientation


def _read_file(
    stream: ImageStream, wanted: Wanted, finish: Callable[[Raster, int], T]
) -> tuple[T, Size, int]:
    found = _format(stream, wanted)
    if found is not None:
        steps: list[int] = []
        raster = found.load(
            stream,
            wanted.reading.stack,
            lambda layout: steps.append(wanted.claim(layout, stream.size)),
        )
        return finish(raster, steps[0]), raster.size, raster.orientation
    image = open_by_pillow(stream)
    size = image.height, image.width
    more = 0 if wanted.is_usual else made_bytes(1, wanted.channels)

    def cost(step: int) -> int:
        return decoding_bytes(image, step, stream.size) + more * size[0] * size[1] // step**2

    least = wanted.of_jpeg(size) if isinstance(image, JpegImageFile) else 1
    step = wanted.step(size, cost, least)
    raster, step = loaded(image, stream, step, stored=not wanted.is_usual)
    del image  # the memory of its pixels, before they are turned
    return finish(raster, step), size, raster.orientation


def _format(stream: ImageStream, wanted: Wanted) -> Format | None:
    """What reads a file, None for Pillow."""
    stream.seek(0)
    start = stream.read(START)
    found = next((one for one in (TIFF, *OTHERS) if one.is_of(start)), None)
    stack, is_said = wanted.reading.stack, not wanted.is_usual
    if found is TIFF and is_for_pillow(stream, stack, is_said=is_said):
        found = None
    stream.seek(0)
    return found


def _size_in_memory(source: Image.Image | np.ndarray) -> Size:
    if not isinstance(source, np.ndarray):
        return source.height, source.width
    if source.ndim not in (2, 3) or source.dtype.kind not in "buif":
        raise ImageError(
            f"an array {source.shape} of {source.dtype}: an image is (h, w) or (h, w, c) of numbers"
        )
    return source.shape[0], source.shape[1]


def _of_array(array: Shaped[np.ndarray, "h w *c"], wanted: Wanted) -> Raster:
    """The numbers of an array; 8 and 16 bits are colours where these are wanted."""
    numbers = array if array.ndim == 3 else array[..., None]
    raster = Raster.of_array(numbers)
    is_colour = array.dtype in (np.uint8, np.uint16) and raster.channels in (1, 3, 4)
    return replace(raster, is_colour=wanted.is_usual and is_colour)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _check_size(height: int, width: int) -> None:
    if height == 0 or width == 0:
        raise ImageError(f"the image has no pixels: it is {height} high and {width} wide")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"the image has {height} x {width} pixels, more than {MAX_PIXELS:,}: make it smaller"
        )


@contextmanager
def broken_is_an_error() -> Iterator[None]:
    """Decoders raise exceptions of any type on a broken file; not every text speaks for itself."""
    try:
        yield
    except (ImageError, MemoryError, UsageError):
        raise
    except Exception as error:
        spoken = isinstance(error, OSError | SyntaxError | ValueError) and _one_line(error)
        raise ImageError(f"the image is broken: {spoken or repr(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
