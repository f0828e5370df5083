"""Mask scores: pure functions over (H, W) bool masks, and `MaskScores`, a state that adds up.

A ratio whose denominator is empty (nothing predicted, nothing true) is 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, fsum, hypot
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int

from gradbox.geometry import Mask
from gradbox.scores.columns import Columns

RATIOS = ("iou", "precision", "recall")
"""What `Overlap` has of two masks."""
MEASURES = (*RATIOS, "boundary_f")
"""What is scored of each mask."""
_PIXELS = ("both", "predicted", "truth")
BOUNDARY_TOLERANCE = 0.0075
"""How far a contour may lie from the true one, as a share of the image's diagonal."""
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def mask_iou(predicted: Mask, truth: Mask) -> float:
    """Intersection over union of two masks."""
    return Overlap.of(predicted, truth).iou


def oracle_iou(heatmap: Float[np.ndarray, "H W"], truth: Mask) -> float:
    """The best IoU that any threshold (heatmap >= t) of this one map reaches.

    The threshold is chosen by looking at the truth: an upper bound of what the map holds, for
    analysis, never the score of a method. One sort, O(n log n).

    Raises:
        ValueError: the map holds a NaN.
    """
    if np.isnan(heatmap).any():
        raise ValueError("a heatmap with NaN has no order of its pixels")
    order = np.argsort(-heatmap, axis=None)
    falling = heatmap.ravel()[order]
    inter = np.cumsum(truth.ravel()[order])
    union = np.arange(1, len(order) + 1) + int(truth.sum()) - inter
    last_of_equals = np.append(falling[1:] != falling[:-1], True)
    return float((inter / union)[last_of_equals].max())


def contour(mask: Mask) -> Mask:
    """The pixels of a mask that have a side in common with one outside it.

    The edge of the image is no contour: what lies beyond it is not known.
    """
    inner = cv2.erode(mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_REPLICATE)
    return mask & (inner == 0)


def boundary_f(predicted: Mask, truth: Mask) -> float:
    """The F-measure of the contour pixels of two masks of the same size, in [0, 1].

    Precision is the share of the predicted contour within `BOUNDARY_TOLERANCE`, rounded up to whole
    pixels, of the true one, recall the reverse. Where a mask has no contour (no pixel, or all), it
    is 1 if both are the same and else 0. (Csurka et al., "What is a good evaluation measure for
    semantic segmentation?", BMVC 2013; Perazzi et al., DAVIS, CVPR 2016.)
    """
    ours, theirs = contour(predicted), contour(truth)
    if not ours.any() or not theirs.any():
        return float(np.array_equal(predicted, truth))
    reach = ceil(BOUNDARY_TOLERANCE * hypot(*truth.shape))
    precision = (_distances(theirs)[ours] <= reach).mean()
    recall = (_distances(ours)[theirs] <= reach).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _distances(pixels: Mask) -> Float[np.ndarray, "H W"]:
    """From the middle of each pixel to that of the nearest of these, in pixels."""
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of one predicted and one true mask, or of many pooled."""

    both: int
    predicted: int
    truth: int

    @classmethod
    def of(cls, predicted: Mask, truth: Mask) -> "Overlap":
        """Count the pixels of two masks of the same size."""
        return cls(int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum()))

    @property
    def iou(self) -> float:
        """Intersection over union."""
        return _ratio(self.both, self.predicted + self.truth - self.both)

    @property
    def precision(self) -> float:
        """The share of the predicted pixels that are true."""
        return _ratio(self.both, self.predicted)

    @property
    def recall(self) -> float:
        """The share of the true pixels that are predicted."""
        return _ratio(self.both, self.truth)


@dataclass(frozen=True, slots=True)
class MaskScore:
    """The scores of one predicted mask, with the number of its image in the run."""

    image: int
    overlap: Overlap
    boundary_f: float

    @classmethod
    def of(cls, image: int, predicted: Mask, truth: Mask) -> "MaskScore":
        """Score a mask against the true one of the same size."""
        return cls(image, Overlap.of(predicted, truth), boundary_f(predicted, truth))


class MaskScores:
    """The masks scored so far; `a + b` is what one pass over the images of both would give.

    One mask of each image.
    """

    def __init__(self) -> None:
        self._masks = Columns(
            {"image": "i4", **dict.fromkeys(_PIXELS, "i8"), **dict.fromkeys(MEASURES, "f8")}
        )

    @classmethod
    def of(cls, masks: Iterable[MaskScore]) -> "MaskScores":
        """The state after these images."""
        scores = cls()
        for one in masks:
            scores.add(one)
        return scores

    def add(self, one: MaskScore) -> None:
        """Count the mask of one more image."""
        overlap = one.overlap
        pixels = (getattr(overlap, name) for name in _PIXELS)
        ratios = (getattr(overlap, name) for name in RATIOS)
        self._masks.append((one.image, *pixels, *ratios, one.boundary_f))

    def __add__(self, other: "MaskScores") -> "MaskScores":
        both = MaskScores()
        both._masks.extend(self._masks)
        both._masks.extend(other._masks)
        return both

    def __len__(self) -> int:
        return len(self._masks)

    @property
    def images(self) -> Int[np.ndarray, "n"]:
        """The number of each mask's image: the groups of a bootstrap."""
        return self._masks["image"]

    @property
    def pooled(self) -> Overlap:
        """The pixels of all images together."""
        return Overlap(*(int(self._masks[name].sum()) for name in _PIXELS))

    def values(self, name: str) -> Float[np.ndarray, "n"]:
        """One of `MEASURES` of each image."""
        return self._masks[name]

    def summary(self) -> dict[str, Any]:
        """Means over the images, and the ratios of all pixels pooled; None without images.

        A mean counts each image alike, a pooled ratio each pixel: large objects weigh more.
        """
        n = len(self)
        summary: dict[str, Any] = {"n_masks": n}
        for name in MEASURES:
            summary[f"mean_{name}"] = fsum(self.values(name)) / n if n else None
        pooled = self.pooled
        for ratio in RATIOS:
            summary[f"pooled_{ratio}"] = getattr(pooled, ratio) if n else None
        return summary


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
