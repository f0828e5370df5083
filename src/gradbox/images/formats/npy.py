"""Arrays of NumPy in a file: (h, w) or (h, w, c), and (planes, h, w, c)."""

from math import prod

import numpy as np
from numpy.lib import format as npy_format

from gradbox.errors import ImageError
from gradbox.images.raster import Claim, Layout, Raster, one_plane
from gradbox.images.read import ImageStream
from gradbox.images.reading import Stack

_AXES = {2: "YX", 3: "YXC", 4: "ZYXC"}
_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


def load(stream: ImageStream, stack: Stack | None, claim: Claim) -> Raster:
    """The array of a file.

    Raises:
        ImageError: it has other axes or no numbers, or the file is cut off.
    """
    version = npy_format.read_magic(stream)
    if version not in _HEADERS:
        raise ImageError(f"an NPY file of version {version}: save the array again")
    shape, is_fortran, dtype = _HEADERS[version](stream)
    if len(shape) not in _AXES or dtype.kind not in "buif":
        raise ImageError(f"an array {shape} of {dtype}: an image is (h, w) or (h, w, c) of numbers")
    layout = Layout(shape, _AXES[len(shape)], dtype.itemsize)
    if stream.tell() + layout.bytes > stream.size:
        raise ImageError(
            f"the file is cut off: it has {stream.size - stream.tell():,} bytes of {layout.bytes:,}"
        )
    claim(layout)
    flat = np.frombuffer(stream.read(layout.bytes), dtype=dtype, count=prod(shape))
    numbers = flat.reshape(shape, order="F" if is_fortran else "C")
    return Raster.of_array(one_plane(numbers, layout, stack))
