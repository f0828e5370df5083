"""What was found in the whole image and in its tiles made one: no box cut off, none twice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from gradbox import boxes as bx
from gradbox.boxes import Box, Boxes
from gradbox.geometry import Size
from gradbox.localization import Localization

_TOUCHES = 0.02
"""A box that comes so near to a border, as a share of the tile, ends there for want of more."""

_SAME = 0.5
"""The IoU above which two boxes are of the same object."""


@dataclass(frozen=True, eq=False)
class InTile:
    """What was found in one tile, a box (4,) in original pixels."""

    tile: Box
    found: Localization


def merged(whole: Localization, tiles: Sequence[InTile]) -> Localization:
    """The whole image's localization with the boxes of its tiles, class by class, best first.

    A box that its tile's inner border cuts off is left out where one that is not cut would end in
    the same box at that border. Of boxes on the same object the one with the highest score stays:
    non-maximum suppression at an IoU of 0.5. Scores of different views are compared by the class's
    probability there: each is multiplied by it. The heat map stays, and the mask if the main box
    does.
    """
    views = [whole, *(one.found for one in tiles)]
    boxes = np.concatenate([one.boxes for one in views])
    shown = np.repeat(
        [np.array([0, 0, *whole.size[::-1]]), *(one.tile for one in tiles)],
        [len(one.boxes) for one in views],
        axis=0,
    )
    cut = cut_off(boxes, shown, whole.size)
    labels = [label for one in views for label in one.labels]
    probabilities = np.array([p for one in views for p in one.label_scores])
    scores = probabilities * np.array([score for one in views for score in one.scores])
    peaks = [peak for one in views for peak in one.peaks]
    shares = [share for one in views for share in one.map_shares]
    kept: list[int] = []
    for label in dict.fromkeys(labels):
        of_class = np.flatnonzero([other == label for other in labels])
        stays = surviving(boxes[of_class], scores[of_class], shown[of_class], cut[of_class])
        kept.extend(of_class[stays].tolist())
    return replace(
        whole,
        boxes=boxes[kept],
        labels=tuple(labels[i] for i in kept),
        label_scores=tuple(probabilities[kept].tolist()),
        scores=tuple(scores[kept].tolist()),
        names=(),
        peaks=tuple(peaks[i] for i in kept) if len(peaks) == len(boxes) else (),
        map_shares=tuple(shares[i] for i in kept) if len(shares) == len(boxes) else (),
        mask=whole.mask if kept[:1] == [0] else None,
    )


def cut_off(boxes: Boxes, shown: Boxes, size: Size) -> Bool[np.ndarray, "n"]:
    """Which boxes touch a border of what was shown that is none of the image of this size."""
    inner = shown != np.array([0, 0, size[1], size[0]])
    near = _TOUCHES * np.tile(shown[:, 2:] - shown[:, :2], 2)
    return np.any(inner & (np.abs(boxes - shown) <= near), axis=1)


def surviving(
    boxes: Boxes, scores: Float[np.ndarray, "n"], shown: Boxes, cut: Bool[np.ndarray, "n"]
) -> Int[np.ndarray, "k"]:
    """The boxes of one class that stay, best first: not cut off, not twice, no score of 0.

    `shown` is for each box the part of the image that it was found in. Boxes with the same score
    keep their order; a score of 0 stays only if there is no other.
    """
    entire = boxes[~cut]
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if cut[i] and (bx.iou(boxes[[i]], _part_in(shown[i], entire)) > _SAME).any():
            continue
        if kept and (scores[i] == 0 or (bx.iou(boxes[[i]], boxes[kept]) > _SAME).any()):
            continue
        kept.append(i)
    return np.array(kept, dtype=int)


def _part_in(tile: Box, boxes: Boxes) -> Boxes:
    """What of each box lies in a tile; without area where nothing does."""
    return np.clip(boxes, np.tile(tile[:2], 2), np.tile(tile[2:], 2))
