"""TIFF by tifffile: any number of channels and bits, stacks, and the axes of OME and ImageJ."""

import logging
import threading
from functools import cache
from typing import Any

from gradbox.errors import ImageError
from gradbox.images.raster import Claim, Layout, Raster, one_plane
from gradbox.images.read import ImageStream
from gradbox.images.reading import Stack

_MIN_IS_WHITE = 0
_COMPRESSED = "imagecodecs"


class _Complaints(logging.Handler):
    """What tifffile says is broken, of each thread; it goes on with what is left."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._of_thread = threading.local()

    def forget(self) -> None:
        self._of_thread.first = None

    @property
    def first(self) -> str | None:
        return getattr(self._of_thread, "first", None)

    def emit(self, record: logging.LogRecord) -> None:
        if self.first is None:
            self._of_thread.first = record.getMessage().split("> ", 1)[-1]


_complaints = _Complaints()


@cache
def _tifffile() -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise ImageError("this TIFF needs tifffile: pip install 'gradbox[tiff]'") from error
    logging.getLogger("tifffile").addHandler(_complaints)
    return tifffile


def load(stream: ImageStream, stack: Stack | None, claim: Claim) -> Raster:
    """The first image, or stack of images, of a file.

    Raises:
        ImageError: tifffile is not installed, or the file is cut off or has no such plane.
    """
    tifffile = _tifffile()
    _complaints.forget()
    with tifffile.TiffFile(stream) as file:
        if not file.series:
            raise ImageError("there is no image in this TIFF")
        series = file.series[0]
        page = series.keyframe
        layout = Layout(series.shape, series.axes, series.dtype.itemsize)
        claim(layout)
        try:
            numbers = series.asarray(maxworkers=1)
        except ValueError as error:
            if _COMPRESSED in str(error):
                raise ImageError(f"{error}: pip install 'gradbox[tiff]'") from error
            raise
    if _complaints.first:
        raise ImageError(f"the image is broken: {_complaints.first}")
    orientation = page.tags.get(274)
    return Raster.of_array(
        one_plane(numbers, layout, stack),
        orientation=1 if orientation is None else int(orientation.value),
        inverted=page.photometric == _MIN_IS_WHITE,
    )
