"""Where the tiles of an image lie."""

import numpy as np

from gradbox.boxes import Boxes
from gradbox.geometry import Size

_WHOLE = 1.5
"""Up to so many sides of a tile an image is not large: the whole shows as much."""


def grid(size: Size, side: int, overlap: float) -> Boxes:
    """The tiles (n, 4) of an image of this (height, width), row by row; none for one not large.

    Neighbours share at least `overlap` of their `side`. The last row and column are moved inward,
    so no tile reaches beyond the image; a tile is as high or wide as the image where that is less.

    >>> grid((100, 250), 100, 0.2).tolist()
    [[0.0, 0.0, 100.0, 100.0], [80.0, 0.0, 180.0, 100.0], [150.0, 0.0, 250.0, 100.0]]
    """
    if max(size) <= _WHOLE * side:
        return np.zeros((0, 4))
    (height, tops), (width, lefts) = (_starts(length, side, overlap) for length in size)
    return np.array(
        [[left, top, left + width, top + height] for top in tops for left in lefts], dtype=float
    )


def _starts(length: int, side: int, overlap: float) -> tuple[int, list[int]]:
    """How long a tile is along one axis, and where each begins."""
    if length <= side:
        return length, [0]
    step = max(1, int(side * (1 - overlap)))
    count = 1 + -(-(length - side) // step)
    return side, [min(i * step, length - side) for i in range(count)]
