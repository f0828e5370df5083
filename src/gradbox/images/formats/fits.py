"""FITS by astropy: the first image of a file, row 0 first, as it is stored."""

from functools import cache
from typing import Any

from gradbox.errors import ImageError
from gradbox.images.raster import Claim, Layout, Raster, axes_of_planes, one_plane
from gradbox.images.read import ImageStream
from gradbox.images.reading import Stack

_WIDEST = 8
"""Bytes of a number, as those of some files are scaled."""


@cache
def _fits() -> Any:
    try:
        from astropy.io import fits
    except ImportError as error:
        raise ImageError("FITS needs astropy: pip install 'gradbox[fits]'") from error
    return fits


def load(stream: ImageStream, stack: Stack | None, claim: Claim) -> Raster:
    """The first image of a file; of more than two axes, all but the last two are planes.

    Raises:
        ImageError: astropy is not installed, or the file has no image, is cut off, or has no such
            plane.
    """
    fits = _fits()
    _check_whole(fits, stream)
    units = fits.open(stream, memmap=False, lazy_load_hdus=True)
    try:
        found = next((unit for unit in units if unit.is_image and len(unit.shape) > 1), None)
        if found is None:
            kinds = ", ".join(type(unit).__name__ for unit in units)
            raise ImageError(f"there is no image in this FITS file, only {kinds}")
        layout = Layout(found.shape, axes_of_planes(len(found.shape) - 2) + "YX", _WIDEST)
        claim(layout)
        numbers = found.data
    finally:
        units.close(closed=False)  # the stream is the caller's
    return Raster.of_array(one_plane(numbers, layout, stack))


def _check_whole(fits: Any, stream: ImageStream) -> None:
    """Refuse a file that ends within the numbers of a unit, of which astropy only warns."""
    while stream.tell() < stream.size:
        try:
            header = fits.Header.fromfile(stream)
        except EOFError:
            break
        end = stream.tell() + header.data_size
        if end > stream.size:
            raise ImageError(f"the file is cut off: it has {stream.size:,} bytes of {end:,}")
        stream.seek(stream.tell() + header.data_size_padded)
    stream.seek(0)
