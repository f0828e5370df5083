"""From a heat map to one box: the estimators that need no training, and the registry of all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float

from gradbox import boxes as bx
from gradbox.boxes import Boxes
from gradbox.dam.blobs import largest_part
from gradbox.errors import UsageError
from gradbox.estimators.learned import Ridge, Sgd, choose
from gradbox.estimators.marginals import above_floor, cut, marginals
from gradbox.estimators.placing import Heatmaps, place, share_inside
from gradbox.geometry import Frame, Size


@runtime_checkable
class BoxEstimator(Protocol):
    """Turns heat maps into boxes."""

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
        """One box for each map, in original pixels, and its score in [0, 1].

        Maps are finite and non-negative, of any scale, and cover the network input. The score is
        the share of the map's total inside the box. A map of zeros is answered with the whole image
        and score 0 (the constant boxes, which do not look at the map, keep to their box).
        """
        ...


@dataclass(frozen=True)
class TopFraction:
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

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
        """The smallest box around the kept pixels."""
        smooth = _smooth(heatmaps, frames, self.sigma)
        flat = smooth.reshape(len(smooth), -1)
        first_kept = flat.shape[1] - max(1, round(self.fraction * flat.shape[1]))
        lowest = np.partition(flat, first_kept, axis=1)[:, first_kept]
        boxes = [bx.bounding(one >= low) for one, low in zip(smooth, lowest, strict=True)]
        return place(heatmaps, bx.as_boxes(boxes), frames)


@dataclass(frozen=True)
class Threshold:
    """The box around the largest connected part of the pixels from `share` of the maximum on.

    Parts touch at sides or corners; the first of equals counts. `sigma` smooths the map first, in
    pixels of the network input. The usual box of class activation maps (Zhou et al. 2016, with
    0.2).
    """

    share: float = 0.2
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"share={self.share}: a share of the maximum, 0 <= share < 1")
        _check_sigma(self.sigma)

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
        """The box around the largest part."""
        smooth = _smooth(heatmaps, frames, self.sigma)
        high = smooth >= self.share * smooth.max(axis=(1, 2), keepdims=True)
        boxes = bx.as_boxes([bx.bounding(largest_part(one)) for one in high])
        return place(heatmaps, boxes, frames)


@dataclass(frozen=True)
class Mass:
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

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
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
        return place(heatmaps, boxes, frames)


@dataclass(frozen=True)
class ConstantBox:
    """The same centred box in every image: `shares` of the original's height and width."""

    shares: tuple[float, float]

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
        """The centred box; the map only gives the score."""
        boxes = bx.as_boxes([bx.centered(*frame.original, self.shares) for frame in frames])
        return boxes, share_inside(heatmaps, boxes, frames)


@dataclass(frozen=True)
class Center:
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

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
        """The centred box."""
        share = float(self.share)
        return ConstantBox((share, share)).estimate(heatmaps, frames)


@dataclass(frozen=True)
class Whole:
    """Baseline: the whole image."""

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame]
    ) -> tuple[Boxes, Float[np.ndarray, "b"]]:
        """The whole image."""
        return ConstantBox((1.0, 1.0)).estimate(heatmaps, frames)


ESTIMATORS: dict[str, type] = {
    "top_fraction": TopFraction,
    "threshold": Threshold,
    "mass": Mass,
    "center": Center,
    "whole": Whole,
    "ridge": Ridge,
    "sgd": Sgd,
}


def mean_shares(
    images: Iterable[tuple[Float[np.ndarray, "_ 4"], Size]],
    which: Literal["largest", "each"] = "largest",
) -> tuple[float, float]:
    """Mean (height, width) of boxes as shares of their images; images without boxes do not count.

    Args:
        images: the boxes of each image in original pixels, and its (height, width).
        which: the largest box of each image, or each box.

    Raises:
        UsageError: there is no box at all.
    """
    shares = [
        (chosen[:, 2:] - chosen[:, :2]) / np.array([width, height])
        for boxes, (height, width) in images
        for chosen in [choose(boxes, which)]
    ]
    if not sum(map(len, shares)):
        raise UsageError("center(mean) needs boxes to take the mean of, and no image has one")
    share_w, share_h = np.concatenate(shares).mean(axis=0)
    return float(share_h), float(share_w)


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
