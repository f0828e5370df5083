"""The numbers of an image as its file has them: one plane, any channels, any depth."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Shaped

from gradbox.errors import ImageError
from gradbox.geometry import Size
from gradbox.images.pixels import Read
from gradbox.images.reading import Stack

_ROWS, _COLUMNS, _CHANNELS = "Y", "X", "CS"
_PLANES = "QPITZ"


@dataclass(frozen=True)
class Layout:
    """What the header of a file says: the length of each axis, and which it is.

    `axes` has a letter for each: Y rows, X columns, C and S channels, all others planes of a stack.
    """

    shape: tuple[int, ...]
    axes: str
    bytes_each: int

    @property
    def size(self) -> Size:
        """(height, width)."""
        return self.length(_ROWS), self.length(_COLUMNS)

    @property
    def bytes(self) -> int:
        """Bytes of all numbers."""
        return prod(self.shape) * self.bytes_each

    def length(self, kinds: str) -> int:
        """The number of rows, columns, channels or planes."""
        return prod(n for n, axis in zip(self.shape, self.axes, strict=True) if axis in kinds)

    @property
    def stacked(self) -> str:
        """The axes of a stack."""
        return "".join(axis for axis in self.axes if axis not in _ROWS + _COLUMNS + _CHANNELS)


def axes_of_planes(count: int) -> str:
    """The letters of axes that have no name.

    Raises:
        ImageError: there are too many.
    """
    if count > len(_PLANES):
        raise ImageError(f"the image has {count + 2} axes: save one plane of it")
    return _PLANES[len(_PLANES) - count :]


Claim = Callable[[Layout], None]
"""Is told what is about to be loaded, and returns when there is memory for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """The numbers of an image of one plane, (h, w, c), read block by block.

    `orientation` is EXIF's. `is_colour` says that they are as `to_rgb` takes them. `bounds` are
    black and white where the file itself says them; `inverted` says that the lowest is white.
    """

    read: Read
    size: Size
    channels: int
    is_colour: bool = False
    orientation: int = 1
    bounds: tuple[float, float] | None = None
    inverted: bool = False

    @classmethod
    def of_array(cls, numbers: Shaped[np.ndarray, "h w c"], **more: Any) -> "Raster":
        """The numbers of an array; `more` are the other fields."""
        if numbers.dtype.kind not in "buif":
            raise ImageError(f"an image is of real numbers, not of {numbers.dtype}")
        height, width, channels = numbers.shape
        return cls(
            read=lambda block: numbers[block], size=(height, width), channels=channels, **more
        )


def one_plane(
    numbers: Shaped[np.ndarray, "..."], layout: Layout, stack: Stack | None
) -> Shaped[np.ndarray, "h w c"]:
    """The numbers of a file as (h, w, c), one plane made of several as it is said.

    Raises:
        ImageError: nothing is said of several planes, or there is no such plane.
    """
    height, width = layout.size
    order = [layout.axes.index(axis) for axis in layout.stacked + _ROWS + _COLUMNS]
    order += [i for i, axis in enumerate(layout.axes) if axis in _CHANNELS]
    count, channels = layout.length(layout.stacked), layout.length(_CHANNELS)
    planes = numbers.transpose(order).reshape(count, height, width, channels)
    if count == 1:
        return planes[0]
    match stack:
        case None:
            raise ImageError(
                f"{count} planes: say which with --stack max, mean, middle or a number from 0 to "
                f"{count - 1}, or channels where they are these"
            )
        case "max":
            return planes.max(axis=0)
        case "mean":
            return planes.mean(axis=0, dtype=np.float64)
        case "middle":
            return planes[count // 2]
        case "channels":
            return np.moveaxis(planes, 0, 2).reshape(height, width, count * channels)
        case int():
            if stack >= count:
                raise ImageError(f"no plane {stack}: the file has {count}, from 0 to {count - 1}")
            return planes[stack]
