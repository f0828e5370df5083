"""The kinds of files that Pillow does not read, each read in a file of its own.

`load(stream, stack, claim)` gives a `Raster`, one plane of the file's numbers; `claim` is told the
size before anything as large as that is loaded. The libraries are extras.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gradbox.images.formats import dicom, fits, npy, tiff
from gradbox.images.raster import Claim, Raster
from gradbox.images.read import ImageStream
from gradbox.images.reading import Stack

Load = Callable[[ImageStream, Stack | None, Claim], Raster]


@dataclass(frozen=True)
class Format:
    """A kind of files, known by the bytes `magic` from `at` on."""

    name: str
    magic: tuple[bytes, ...]
    load: Load
    at: int = 0

    def is_of(self, start: bytes) -> bool:
        """Whether a file that begins with these bytes is one."""
        return start.startswith(self.magic, self.at)


TIFF = Format("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), tiff.load)
OTHERS = (
    Format("FITS", (b"SIMPLE  =",), fits.load),
    Format("DICOM", (b"DICM",), dicom.load, at=128),
    Format("NPY", (b"\x93NUMPY",), npy.load),
)
START = 132
"""Bytes from which a file is known."""
