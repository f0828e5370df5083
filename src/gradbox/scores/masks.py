"""Mask scores: pure functions over (H, W) bool masks, and `MaskScores`, a state that adds up.

A ratio whose denominator is empty (nothing predicted, nothing true) is 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, fsum
from typing import Any

import numpy as np
from jaxtyping import Float

from gradbox.boxes import clip
from gradbox.geometry import Mask, Size

RATIOS = ("iou", "precision", "recall")
"""What `Overlap` has of two masks."""


def mask_iou(predicted: Mask, truth: Mask) -> float:
    """Intersection over union of two masks."""
    return Overlap.of(predicted, truth).iou


def filled_box(box: Float[np.ndarray, "4"], size: Size) -> Mask:
    """The mask, of `size` (h, w), of the pixels whose centre lies in a half-open box."""
    x0, y0, x1, y1 = (ceil(edge - 0.5) for edge in clip(box[None], *size)[0])
    mask = np.zeros(size, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


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


@dataclass(frozen=True)
class MaskScores:
    """The masks scored so far; `a + b` is what one pass over the images of both would give.

    One mask of each image, with the image's id.
    """

    masks: tuple[tuple[str, Overlap], ...] = ()

    @classmethod
    def of(cls, masks: Iterable[tuple[str, Overlap]]) -> "MaskScores":
        """The state after these images."""
        return cls(tuple(masks))

    def __add__(self, other: "MaskScores") -> "MaskScores":
        return MaskScores(self.masks + other.masks)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The image of each mask: the groups of a bootstrap."""
        return tuple(image_id for image_id, _ in self.masks)

    @property
    def pooled(self) -> Overlap:
        """The pixels of all images together."""
        counts = ((one.both, one.predicted, one.truth) for _, one in self.masks)
        both, predicted, truth = map(sum, zip((0, 0, 0), *counts, strict=True))
        return Overlap(both, predicted, truth)

    def values(self, ratio: str) -> Float[np.ndarray, "n"]:
        """One of `RATIOS` of each image."""
        return np.array([getattr(one, ratio) for _, one in self.masks], dtype=np.float64)

    def summary(self) -> dict[str, Any]:
        """Means over the images, and the same ratios of all pixels pooled; None without images.

        A mean counts each image alike, a pooled ratio each pixel: large objects weigh more.
        """
        n = len(self.masks)
        summary: dict[str, Any] = {"n_masks": n}
        for ratio in RATIOS:
            summary[f"mean_{ratio}"] = fsum(self.values(ratio)) / n if n else None
            summary[f"pooled_{ratio}"] = getattr(self.pooled, ratio) if n else None
        return summary


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
