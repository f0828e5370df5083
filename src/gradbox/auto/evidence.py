"""What speaks for a box and against it: a few numbers of the maps inside it, on its rim and around.

All maps are on one grid; a box is the smallest around the cells of an object.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gradbox import boxes as bx

FEATURES = (
    "inside",
    "on_object",
    "rim",
    "highest",
    "outside",
    "filled",
    "share",
    "wider",
    "tighter",
    "size",
    "border",
    "log_probability",
    "log_objects",
    "further",
)
"""The numbers, in the order of the columns of `evidence`; see there."""

_RIM = 0.25
_LOW, _HIGH = 0.3, 0.65
_LEAST_PROBABILITY = 1e-6

Map = Float[np.ndarray, "h w"]


def evidence(
    heatmap: Map, foreground: Map, objects: Bool[np.ndarray, "n h w"], probability: float
) -> Float[np.ndarray, "n k"]:
    """A row for each object, the main one first, a column for each of `FEATURES`.

    Args:
        heatmap: what the objects are parts of.
        foreground: P in [0, 1] that a cell is part of an object of any class.
        objects: the cells of each object; at least one each.
        probability: that of the class.

    The columns are the mean of P inside the box, on the object's cells and on the rim (a quarter of
    the box's sides wide, outside of it); the highest P inside; the mean of P outside of the box;
    the share of the box that the object fills; the share of the heat map's total inside; the IoU of
    the box with those that lower (0.3) and higher (0.65) shares of the object's peak would give;
    the root of the box's share of the image; on how many of the four borders it lies, as a share;
    the logarithms of the class's probability and of the number of objects; and 0 for the main
    object, 1 for a further one.
    """
    total = float(heatmap.sum()) or 1.0
    rows = []
    for number, cells in enumerate(objects):
        box = _span(cells)
        inside, rim = _filled(box, cells.shape), _filled(_widened(box, cells.shape), cells.shape)
        rim &= ~inside
        peak = float(heatmap[cells].max())
        wider = _part_with(heatmap >= _LOW * peak, cells)
        tighter = cells & (heatmap >= _HIGH * peak)
        rows.append(
            (
                _mean(foreground, inside),
                _mean(foreground, cells),
                _mean(foreground, rim),
                float(foreground[inside].max()),
                _mean(foreground, ~inside),
                float(cells.sum() / inside.sum()),
                float(heatmap[inside].sum()) / total,
                _iou(box, _span(wider)),
                _iou(box, _span(tighter)),
                float(np.sqrt(inside.mean())),
                _on_border(box, cells.shape),
                float(np.log(max(probability, _LEAST_PROBABILITY))),
                float(np.log(len(objects))),
                float(number > 0),
            )
        )
    return np.array(rows)


def _span(cells: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    xmin, ymin, xmax, ymax = bx.bounding(cells).astype(int).tolist()
    return xmin, ymin, xmax, ymax


def _widened(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    xmin, ymin, xmax, ymax = box
    dx, dy = (max(1, round(_RIM * side)) for side in (xmax - xmin, ymax - ymin))
    return max(0, xmin - dx), max(0, ymin - dy), min(shape[1], xmax + dx), min(shape[0], ymax + dy)


def _filled(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    xmin, ymin, xmax, ymax = box
    cells = np.zeros(shape, dtype=bool)
    cells[ymin:ymax, xmin:xmax] = True
    return cells


def _mean(values: Map, where: Bool[np.ndarray, "h w"]) -> float:
    return float(values[where].mean()) if where.any() else 0.0


def _part_with(
    mask: Bool[np.ndarray, "h w"], cells: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """The connected parts of a mask that an object's cells lie in."""
    _, numbered = cv2.connectedComponents(mask.astype(np.uint8))
    numbers = np.unique(numbered[cells & mask])
    return np.isin(numbered, numbers) & mask


def _iou(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    return float(bx.iou(bx.as_boxes([one]), bx.as_boxes([other]))[0, 0])


def _on_border(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> float:
    xmin, ymin, xmax, ymax = box
    return ((xmin == 0) + (ymin == 0) + (xmax == shape[1]) + (ymax == shape[0])) / 4
