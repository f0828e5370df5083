"""How much of a heat map lies in a box, and the frame crossing that every estimator shares."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gradbox.boxes import Boxes
from gradbox.estimators.estimator import Heatmaps
from gradbox.geometry import Frame, Size


def overlap(
    low: Float[np.ndarray, "n"], high: Float[np.ndarray, "n"], length: int
) -> Float[np.ndarray, "n length"]:
    """The share of each pixel [i, i + 1) of a line that lies in each interval [low, high)."""
    start = np.arange(length)
    inside = np.minimum(high[:, None], start + 1) - np.maximum(low[:, None], start)
    return np.maximum(inside, 0.0)


def place(
    heatmaps: Heatmaps, boxes: Float[np.ndarray, "b 4"], frames: Sequence[Frame]
) -> tuple[Boxes, Float[np.ndarray, "b"]]:
    """Boxes in pixels of the maps, brought to original pixels, with their scores.

    A map may have any size; it is taken to cover the network input. Each box is clipped to its
    image and is at least one pixel wide and high. A map that is zero everywhere says nothing: it is
    answered with the whole image and score 0.
    """
    size = heatmaps.shape[1:]
    inside = np.concatenate(
        [to_image(box[None], size, frame) for box, frame in zip(boxes, frames, strict=True)]
    )
    limits = np.array([frame.original[::-1] for frame in frames], dtype=np.float64)
    blank = ~np.any(heatmaps, axis=(1, 2), keepdims=True)[:, 0]
    whole = np.concatenate([np.zeros_like(limits), limits], axis=1)
    placed = np.where(blank, whole, inside)
    return placed, share_inside(heatmaps, placed, frames)


def to_image(boxes: Boxes, size: Size, frame: Frame) -> Boxes:
    """Boxes in pixels of one map of this size in original pixels, clipped, a pixel at least."""
    inside = frame.to_original(boxes * _input_pixels(size, frame))
    limits = np.array(frame.original[::-1], dtype=np.float64)
    middle = np.clip((inside[:, :2] + inside[:, 2:]) / 2, 0.5, limits - 0.5)
    low, high = np.minimum(inside[:, :2], middle - 0.5), np.maximum(inside[:, 2:], middle + 0.5)
    return np.concatenate([low, high], axis=1)


def share_inside(
    heatmaps: Heatmaps, boxes: Float[np.ndarray, "b 4"], frames: Sequence[Frame]
) -> Float[np.ndarray, "b"]:
    """The share of each map's total inside a box in original pixels, in [0, 1]: a box's score.

    Pixels count by the part of them that is covered. A map of zeros has the score 0.
    """
    total = heatmaps.sum(axis=(1, 2), dtype=np.float64)
    height, width = heatmaps.shape[1:]
    xmin, ymin, xmax, ymax = np.concatenate(
        [
            frame.to_input(box[None]) / _input_pixels(heatmaps.shape[1:], frame)
            for frame, box in zip(frames, boxes, strict=True)
        ]
    ).T
    rows, columns = overlap(ymin, ymax, height), overlap(xmin, xmax, width)
    covered = (rows[:, None, :] @ heatmaps)[:, 0]  # (b, w): each column's sum inside the box
    inside = np.sum(covered * columns, axis=1)
    return np.minimum(inside / np.where(total > 0, total, 1.0), 1.0)


def _input_pixels(size: Size, frame: Frame) -> Float[np.ndarray, "4"]:
    """The size of one map pixel in input pixels, as (x, y, x, y)."""
    scale_y, scale_x = (have / n for have, n in zip(frame.input, size, strict=True))
    return np.array([scale_x, scale_y, scale_x, scale_y])
