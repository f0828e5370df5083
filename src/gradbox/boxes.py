"""Boxes as (N, 4) float64 arrays: xmin, ymin, xmax, ymax in pixels, origin top left, half-open.

Half-open: xmax and ymax lie one past the last pixel, so width = xmax - xmin. No function changes
its argument.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike

Boxes = Float[np.ndarray, "n 4"]
Box = Float[np.ndarray, "4"]
BoxChoice = Literal["largest", "each", "single"]
"""Which boxes of an image are used: the largest, all, or the only one (else none)."""


def as_boxes(values: ArrayLike) -> Boxes:
    """A new (N, 4) float64 array from nested numbers; no boxes give (0, 4).

    Raises:
        ValueError: another shape, a number that is not finite, or xmax < xmin or ymax < ymin.
    """
    boxes = np.array(values, dtype=np.float64)
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes have the shape (N, 4), not {boxes.shape}")
    if not np.isfinite(boxes).all():
        raise ValueError("a box has a coordinate that is not a finite number")
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError("a box has xmax < xmin or ymax < ymin")
    return boxes


def from_inclusive(boxes: Boxes, first_pixel: int = 1) -> Boxes:
    """Half-open boxes from inclusive pixel numbers counted from `first_pixel` (1 in VOC's XML)."""
    return boxes - np.array([first_pixel, first_pixel, first_pixel - 1, first_pixel - 1])


def from_xywh(boxes: Boxes) -> Boxes:
    """Half-open boxes from left, top, width, height (COCO's and CUB's order)."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def clip(boxes: Boxes, height: float, width: float) -> Boxes:
    """The part of each box inside an image of this size."""
    limits = np.array([width, height, width, height], dtype=np.float64)
    return np.clip(boxes, 0.0, limits)


def area(boxes: Boxes) -> Float[np.ndarray, "n"]:
    """Areas in square pixels."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def iou(a: Boxes, b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every box of `a` with every box of `b`, in [0, 1].

    Two boxes without area have IoU 0, also with themselves.
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    inter = sides[..., 0] * sides[..., 1]
    total = area(a)[:, None] + area(b)[None, :] - inter
    return np.divide(inter, total, out=np.zeros_like(inter), where=total > 0)


def inclusive_iou(a: Boxes, b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """IoU of boxes whose xmax and ymax are the last pixel itself (wsolevaluation's convention)."""
    one_past = np.array([0.0, 0.0, 1.0, 1.0])
    return iou(a + one_past, b + one_past)


def union(boxes: Boxes) -> Float[np.ndarray, "4"]:
    """The smallest box that holds all of them.

    Raises:
        ValueError: no boxes.
    """
    if len(boxes) == 0:
        raise ValueError("the union of no boxes is not defined")
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def largest(boxes: Boxes) -> int:
    """Index of the box with the largest area, the first one of equals."""
    return int(np.argmax(area(boxes)))


def choose(boxes: Boxes, which: BoxChoice) -> Float[np.ndarray, "k 4"]:
    """The boxes of one image that are used; none where there is none, or not a single one."""
    if which == "each" or len(boxes) == 0:
        return boxes
    if which == "single":
        return boxes if len(boxes) == 1 else boxes[:0]
    return boxes[[largest(boxes)]]


def centered(height: float, width: float, shares: Sequence[float]) -> Float[np.ndarray, "4"]:
    """The box in the middle of an image that takes these shares (of height, of width), in [0, 1].

    >>> centered(100, 200, (0.8, 0.5)).tolist()
    [50.0, 10.0, 150.0, 90.0]
    """
    share_h, share_w = shares
    dx, dy = (width - width * share_w) / 2, (height - height * share_h) / 2
    return np.array([dx, dy, width - dx, height - dy])


def bounding(mask: Shaped[np.ndarray, "h w"]) -> Float[np.ndarray, "4"]:
    """The smallest box that holds every true pixel of a mask.

    Raises:
        ValueError: no pixel is true.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        raise ValueError("a mask without a true pixel has no bounding box")
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def centers(boxes: Boxes) -> Float[np.ndarray, "n 2"]:
    """Centres as (x, y)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def spanning(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "4"]:
    """The smallest box that holds all points (x, y).

    >>> spanning(np.array([[3.0, 1], [0, 5], [2, 2]])).tolist()
    [0.0, 1.0, 3.0, 5.0]
    """
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float64)


def turned(box: Box, degrees: float, about: Sequence[float]) -> Float[np.ndarray, "4"]:
    """The smallest box that holds a box turned clockwise, as it looks, about the point (x, y).

    >>> turned(np.array([0.0, 0, 4, 2]), 90, about=(0, 0)).round(9).tolist()
    [-2.0, 0.0, 0.0, 4.0]
    """
    xmin, ymin, xmax, ymax = box
    corners = np.array([[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]) - about
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return spanning(corners @ np.array([[cos, sin], [-sin, cos]]) + about)


def around_ellipse(
    center: Sequence[float], radii: Sequence[float], degrees: float
) -> Float[np.ndarray, "4"]:
    """The smallest box that holds an ellipse turned clockwise, as it looks, about its centre.

    >>> around_ellipse((5, 5), (3, 1), 90).round(9).tolist()
    [4.0, 2.0, 6.0, 8.0]
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    across, down = radii
    half = np.hypot([across * cos, across * sin], [down * sin, down * cos])
    return np.concatenate([center - half, center + half])
