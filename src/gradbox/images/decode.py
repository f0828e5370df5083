"""Any image file or array to upright pixels in 0..255, with the channels of a network.

Safe in threads: no global state of Pillow or `warnings` is changed, except that libtiff no longer
prints to the terminal what Pillow raises anyway. Embedded colour profiles are not applied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradbox.errors import ImageError
from gradbox.geometry import Size
from gradbox.images.levels import chosen_channels, numbers_of_channels, to_pixels
from gradbox.images.pillow import open_by_pillow, orientation_of
from gradbox.images.pixels import to_rgb
from gradbox.images.ranges import Numbers
from gradbox.images.raster import Raster
from gradbox.images.read import ImageStream, open_image
from gradbox.images.reading import NOTHING_SAID, Reading
from gradbox.images.sources import STEPS, Take, Wanted, broken_is_an_error, read
from gradbox.localization import RGB, ImageSource, Pixels

NO_MEMORY = "there is not enough memory for the image: make it smaller"

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


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright image: `size` is its (height, width).

    `pixels` (h, w, c) are a smaller copy of a very large one, or of a JPEG where that is enough.
    """

    pixels: Pixels
    size: Size


def load_rgb(source: ImageSource) -> RGB:
    """Upright (h, w, 3) RGB in 0..255: EXIF orientation applied, transparency over white.

    A file is a JPEG, PNG, WebP, BMP, TIFF, GIF (first frame), PPM or HEIC image, or one of the
    `formats` whose numbers say themselves what they are; an array is (h, w), (h, w, 3) RGB or
    (h, w, 4) RGBA. 16-bit numbers are scaled by the smallest of 8, 10, 12, 14 and
    16 bits that holds the image's maximum, so 12-bit data in a 16-bit file keeps its brightness;
    alpha has its own maximum. Float TIFFs do the same, but are in 0..1 where nothing is above 1;
    what is negative or not finite becomes 0. The result may share memory with a given array.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
    """
    return decode(source, steps=(1,)).pixels


def decode(
    source: ImageSource | ImageStream,
    *,
    channels: int = 3,
    reading: Reading = NOTHING_SAID,
    steps: Sequence[int] = STEPS,
    take: Take = lambda _: None,
    enough: int | None = None,
) -> Decoded:
    """The same in bounded memory, of a very large file a smaller copy, for any number of channels.

    Args:
        source: as for `load_rgb`; for what is said of its numbers, or other channels than 3, an
            array is (h, w) or (h, w, c) of any numbers.
        channels: how many the network takes; 3 are RGB.
        reading: what is said of the numbers.
        steps: by how much a file may be reduced; the first that makes it small enough is taken.
        take: called once, before the pixels are decoded.
        enough: the shorter side in pixels that a JPEG may be reduced to while it is decoded; None
            for the usual size.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
        UsageError: the range is one of a data set, and was not measured.
    """

    def finish(raster: Raster, step: int) -> Pixels:
        if raster.is_colour:
            return to_rgb(raster.read, raster.size, step)
        return to_pixels(raster, reading, channels, step)

    try:
        wanted = Wanted(channels, reading, steps, take, enough)
        pixels, size, turn = read(source, wanted, finish)
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    swapped, row_step, column_step = _TURNS.get(turn, _TURNS[1])
    turned = (pixels.swapaxes(0, 1) if swapped else pixels)[::row_step, ::column_step]
    upright = np.require(turned, requirements=["C", "W"])
    return Decoded(upright, size[::-1] if swapped else size)


def numbers(source: ImageSource, *, channels: int, reading: Reading, most: int) -> list[Numbers]:
    """The finite numbers of each channel of an input, as the file has them; see `decode`.

    Of more than `most`, evenly some.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
    """

    def finish(raster: Raster, _: int) -> list[Numbers]:
        return numbers_of_channels(raster, chosen_channels(raster, reading, channels), most)

    try:
        found, _, _ = read(source, Wanted(channels, reading, (1,), lambda _: None), finish)
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    return found


def stored_size(path: Path) -> Size:
    """(height, width) of an image file from its header alone, before EXIF orientation.

    Raises:
        ImageError: one line that says why the header cannot be read, without the path.
    """
    with open_image(path) as stream, broken_is_an_error():
        image = open_by_pillow(stream)
        return image.height, image.width


def upright_size(path: Path) -> Size:
    """(height, width) of an image file as it is looked at, from its header alone.

    Raises:
        ImageError: one line that says why the header cannot be read, without the path.
    """
    with open_image(path) as stream, broken_is_an_error():
        image = open_by_pillow(stream)
        swapped, _, _ = _TURNS.get(orientation_of(image), _TURNS[1])
        return (image.width, image.height) if swapped else (image.height, image.width)


def is_blank(pixels: Pixels) -> bool:
    """Whether every pixel is the same: all white, all black or any other constant."""
    first_row = pixels[0]
    return bool((first_row == first_row[0]).all() and (pixels == first_row).all())
