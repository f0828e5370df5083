"""From one neuron's map to a region of the image: threshold, smoothing, union (paper B)."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gradbox.errors import UsageError
from gradbox.geometry import Mask
from gradbox.parts import largest_part, without_holes

Masks = Bool[np.ndarray, "_ h w"]
"""Any number of masks: lists of them are ragged."""
Population = Literal["positive", "all"]
Components = Literal["largest", "all"]

_REFERENCE_SIDE = 224
"""The input side, in pixels, that the numbers of repeats are meant for."""


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """Dilations, then as many or other erosions, by a square element of `element` pixels.

    The repeats are for an input of 224 pixels and grow in proportion to the mean side of another
    one. `components="largest"` then keeps the largest 8-connected part and fills its holes, so the
    region has neither islands nor holes; "all" is the paper's literal form.
    """

    element: int = 3
    dilations: int = 15
    erosions: int = 15
    components: Components = "largest"

    def __post_init__(self) -> None:
        if self.element < 1 or self.element % 2 == 0:
            raise UsageError(f"element={self.element}: an odd number of pixels, for instance 3")
        if self.dilations < 0 or self.erosions < 0:
            raise UsageError(
                f"dilations={self.dilations}, erosions={self.erosions}: 0 repeats or more"
            )


def blob(
    heatmap: Float[np.ndarray, "h w"],
    *,
    percentile: float = 80.0,
    population: Population = "positive",
    smoothing: Smoothing | None = None,
) -> Mask:
    """The region that one neuron looks at: its highest pixels, smoothed (paper B, step 4).

    A map without a positive pixel has an empty blob; without `smoothing` it stays as it is cut.
    """
    above = above_percentile(heatmap, percentile, population)
    return smooth(above, smoothing) if smoothing else above


def above_percentile(
    heatmap: Float[np.ndarray, "h w"], percentile: float, population: Population = "positive"
) -> Mask:
    """The positive pixels strictly above a percentile, in [0, 100], of the positive or all pixels.

    Equal positive pixels are all kept: a flat map has nothing above its percentile.
    """
    positive = heatmap[heatmap > 0]
    values = positive if population == "positive" else heatmap.ravel()
    if not positive.size:
        return np.zeros(heatmap.shape, dtype=bool)
    limit = max(float(np.percentile(values, percentile)), 0.0)
    above = heatmap > limit
    return above if above.any() else heatmap >= limit


def smooth(mask: Mask, smoothing: Smoothing) -> Mask:
    """Dilate and erode as on an endless plane, then keep the components asked for."""
    scale = sum(mask.shape) / 2 / _REFERENCE_SIDE
    dilations, erosions = (round(n * scale) for n in (smoothing.dilations, smoothing.erosions))
    element = np.ones((smoothing.element, smoothing.element), dtype=np.uint8)
    # OpenCV takes what lies outside for set when it erodes: the margin keeps the edge as it is.
    margin = dilations * (smoothing.element // 2)
    inside = np.s_[margin : margin + mask.shape[0], margin : margin + mask.shape[1]]
    padded = np.pad(mask.astype(np.uint8), margin)
    dilated = cv2.dilate(padded, element, iterations=dilations)
    closed = np.asarray(cv2.erode(dilated, element, iterations=erosions)[inside], dtype=bool)
    return without_holes(largest_part(closed)) if smoothing.components == "largest" else closed


def union(masks: Masks) -> Mask:
    """The pixels of any of the masks; none of no masks."""
    return np.logical_or.reduce(masks, axis=0)
