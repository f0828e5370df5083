"""From a heat map to boxes: the estimators that need no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool

from gradbox import boxes as bx
from gradbox.estimators.estimator import Heatmaps, ScoredBoxes, one_each
from gradbox.estimators.fitted import Untrained
from gradbox.estimators.marginals import above_floor, cut, marginals
from gradbox.estimators.placing import place, share_inside
from gradbox.geometry import Frame, Mask
from gradbox.parts import parts


@dataclass(frozen=True)
class TopFraction(Untrained):
    """Smooth, keep the highest `fraction` of the pixels, draw the smallest box around them.

    `sigma` is in pixels of the network input. Pixels equal to the lowest one kept are kept too.
    Ebrahimpour & Noelle's box without training (A).
    """

    fraction: float = 0.2
    sigma: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction}: a share of the pixels, 0 < fraction <= 1")
        _check_sigma(self.sigma)

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The smallest box around the kept pixels."""
        smooth = _smooth(heatmaps, frames, self.sigma)
        flat = smooth.reshape(len(smooth), -1)
        first_kept = flat.shape[1] - max(1, round(self.fraction * flat.shape[1]))
        lowest = np.partition(flat, first_kept, axis=1)[:, first_kept]
        boxes = [bx.bounding(one >= low) for one, low in zip(smooth, lowest, strict=True)]
        return one_each(*place(heatmaps, bx.as_boxes(boxes), frames))


@dataclass(frozen=True)
class Threshold(Untrained):
    """The box around the largest connected part of the pixels from `share` of the maximum on.

    Parts touch at sides or corners; the first of equals counts. `sigma` smooths the map first, in
    pixels of the network input. With `boxes=all` each part that covers at least `min_area` of the
    image has a box, the largest part first; the largest has one in any case. The usual box of class
    activation maps (Zhou et al. 2016, with 0.2).
    """

    share: float = 0.2
    sigma: float = 0.0
    boxes: Literal["largest", "all"] = "largest"
    min_area: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"share={self.share}: a share of the maximum, 0 <= share < 1")
        if not 0 <= self.min_area <= 1:
            raise ValueError(f"min_area={self.min_area}: a share of the image, 0 <= min_area <= 1")
        _check_sigma(self.sigma)

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The box around the largest part, or around each."""
        smooth = _smooth(heatmaps, frames, self.sigma)
        high = smooth >= self.share * smooth.max(axis=(1, 2), keepdims=True)
        kept = [self._kept(mask, frame) for mask, frame in zip(high, frames, strict=True)]
        owners = [i for i, some in enumerate(kept) for _ in some]
        around = bx.as_boxes([bx.bounding(part) for some in kept for part in some])
        ends = np.cumsum([len(some) for some in kept])[:-1]
        boxes, scores = place(heatmaps[owners], around, [frames[i] for i in owners])
        return [
            ScoredBoxes(*pair)
            for pair in zip(np.split(boxes, ends), np.split(scores, ends), strict=True)
        ]

    def _kept(self, mask: Mask, frame: Frame) -> Bool[np.ndarray, "n h w"]:
        if self.boxes == "largest" or mask.all():
            return parts(mask, at_most=1)
        per_pixel = frame.input[0] * frame.input[1] / mask.size  # input pixels of a map's pixel
        image = frame.resized[0] * frame.resized[1]  # the whole original, in input pixels
        large = parts(mask, least=max(1, ceil(self.min_area * image / per_pixel)))
        return large if len(large) else parts(mask, at_most=1)


@dataclass(frozen=True)
class Mass(Untrained):
    """Subtract the map's `floor` quantile, then cut `trim` of what is left off each side.

    The cut is made on the two marginals (sums of columns and of rows) and falls between pixels.
    `sigma` smooths the map first, in pixels of the network input.
    """

    floor: float = 0.5
    trim: float = 0.04
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor={self.floor}: a quantile, 0 <= floor < 1")
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim={self.trim}: a share of the mass, 0 <= trim < 0.5")
        _check_sigma(self.sigma)

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The box between the cuts."""
        smooth = _smooth(heatmaps, frames, self.sigma)
        across, down = marginals(above_floor(smooth, self.floor))
        boxes = np.stack(
            [
                cut(across, self.trim),
                cut(down, self.trim),
                across.shape[1] - cut(across[:, ::-1], self.trim),
                down.shape[1] - cut(down[:, ::-1], self.trim),
            ],
            axis=1,
        )
        return one_each(*place(heatmaps, boxes, frames))


@dataclass(frozen=True)
class ConstantBox(Untrained):
    """The same centred box in every image: `shares` of the original's height and width."""

    shares: tuple[float, float]

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The centred box; the map only gives the score."""
        boxes = bx.as_boxes([bx.centered(*frame.original, self.shares) for frame in frames])
        return one_each(boxes, share_inside(heatmaps, boxes, frames))


@dataclass(frozen=True)
class Center(Untrained):
    """Baseline: a box in the middle of the original image with `share` of each side.

    Reports also have `center(mean)`: `ConstantBox(mean_shares(...))`.
    """

    share: float | str = 0.8

    def __post_init__(self) -> None:
        if self.share == "mean":
            raise ValueError(
                "center(mean) takes the mean size of known boxes: `gradbox evaluate` and "
                "`gradbox compare` print it by themselves; as a box give a share, as in center(0.8)"
            )
        if isinstance(self.share, str) or not 0 < self.share <= 1:
            raise ValueError(f"share={self.share}: a share of each side, 0 < share <= 1")

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The centred box."""
        share = float(self.share)
        return ConstantBox((share, share)).estimate(heatmaps, frames)


@dataclass(frozen=True)
class Whole(Untrained):
    """Baseline: the whole image."""

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The whole image."""
        return ConstantBox((1.0, 1.0)).estimate(heatmaps, frames)


def _check_sigma(sigma: float) -> None:
    if sigma < 0:
        raise ValueError(f"sigma={sigma}: a width in pixels, 0 (no smoothing) or more")


def _smooth(heatmaps: Heatmaps, frames: Sequence[Frame], sigma: float) -> Heatmaps:
    """Gaussian smoothing, edges reflected; `sigma` is in input pixels whatever the map's size."""
    if sigma == 0:
        return heatmaps
    height, width = heatmaps.shape[1:]
    return np.stack(
        [
            cv2.GaussianBlur(
                one,
                (0, 0),
                sigmaX=sigma * width / frame.input[1],
                sigmaY=sigma * height / frame.input[0],
                borderType=cv2.BORDER_REFLECT,
            )
            for one, frame in zip(heatmaps, frames, strict=True)
        ]
    )
