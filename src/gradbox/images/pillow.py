"""Images that Pillow reads: opened without its warnings, loaded with all their bits."""

import ctypes
from contextlib import suppress
from dataclasses import replace

from PIL import ExifTags, Image, _imaging
from PIL.JpegImagePlugin import JpegImageFile

from gradbox.errors import ImageError
from gradbox.images.heic import is_heic, open_heic
from gradbox.images.pixels import (
    Read,
    numbers_of,
    numbers_of_bytes,
    numbers_of_halves,
    stored_numbers_of,
)
from gradbox.images.raster import Raster
from gradbox.images.read import ImageStream
from gradbox.images.wide import (
    choose_both_bytes,
    choose_byte,
    has_wide_colors,
    has_wide_gray_alpha,
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_START = 16
"""Bytes from which a file is known."""

with suppress(AttributeError, OSError):  # where libtiff cannot be reached, it prints
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def open_by_pillow(stream: ImageStream) -> Image.Image:
    """The header of an image; `Image.open` would warn of large ones, which no thread can catch.

    Raises:
        ImageError: it is of no known format.
    """
    Image.init()
    stream.seek(0)
    start = stream.read(_START)
    stream.seek(0)
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(start) is True:
            return factory(stream, "")
    if is_heic(start):
        return open_heic(stream)
    raise ImageError(
        f"this is no image of a known format ({', '.join(FORMATS)}, HEIC, FITS, DICOM, NPY)"
    )


def loaded(
    image: Image.Image, stream: ImageStream, step: int, *, stored: bool
) -> tuple[Raster, int]:
    """The numbers of an opened image, and by how much they still have to be reduced.

    Colours and gray become RGB or RGBA unless they are wanted as they are `stored`.
    """
    if has_wide_colors(image):
        wide = _wide(stream, (image.height, image.width, len(image.getbands())), step)
        return replace(wide, is_colour=not stored), 1
    if step > 1 and isinstance(image, JpegImageFile):
        image.draft(None, (image.width // step, image.height // step))
        step = 1
    if gray_alpha := has_wide_gray_alpha(image):
        choose_both_bytes(image)
    image.load()
    numbers = (numbers_of_bytes(image), 2) if gray_alpha else _numbers(image, stored)
    return _raster(image, *numbers, stored=stored), step


def of_image(image: Image.Image, *, stored: bool) -> Raster:
    """The numbers of an image in memory."""
    image.load()
    return _raster(image, *_numbers(image, stored), stored=stored)


def _numbers(image: Image.Image, stored: bool) -> tuple[Read, int]:
    """How the numbers of a loaded image are read, and how many channels they have."""
    return stored_numbers_of(image) if stored else numbers_of(image)


def _raster(image: Image.Image, read: Read, channels: int, *, stored: bool) -> Raster:
    return Raster(
        read=read,
        size=(image.height, image.width),
        channels=channels,
        is_colour=not stored,
        orientation=orientation_of(image),
    )


def _wide(stream: ImageStream, shape: tuple[int, int, int], step: int) -> Raster:
    """16-bit colours: of each byte an image of its own, one after the other."""
    orientations = []

    def load(high: bool) -> Image.Image:
        image = open_by_pillow(stream)
        choose_byte(image, high=high)
        image.load()
        orientations.append(orientation_of(image))
        return image

    numbers = numbers_of_halves(load, shape, step)
    return Raster.of_array(numbers, orientation=orientations[-1])


def orientation_of(image: Image.Image) -> int:
    """EXIF's number, 1 for upright.

    Asked after loading: a PNG may end with it, and a TIFF has then been turned already.
    """
    return image.getexif().get(ExifTags.Base.Orientation, 1)
