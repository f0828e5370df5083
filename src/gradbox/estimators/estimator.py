"""The contract of a way to boxes: heat maps in, for each of them boxes with scores out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from gradbox.boxes import Boxes
from gradbox.geometry import Frame
from gradbox.localization import Region

Heatmaps = Float[np.ndarray, "b h w"]
Regions = Sequence[Sequence[Region]]
"""For each map the regions that it was made of, none where it was made otherwise."""


class ScoredBoxes(NamedTuple):
    """The boxes (n, 4) of one map in original pixels, the main one first, and their scores (n,)."""

    boxes: Boxes
    scores: Float[np.ndarray, "n"]


@runtime_checkable
class BoxEstimator(Protocol):
    """Turns heat maps into boxes."""

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The boxes of each map, in original pixels, and their scores in [0, 1].

        Maps are finite and non-negative, of any size and scale, and cover the network input. The
        score of gradbox's own boxes is the share of the map's total inside. A map of zeros is
        answered with the whole image and score 0 (the constant boxes, which do not look at the map,
        keep to their box).
        """
        ...


@runtime_checkable
class RegionEstimator(Protocol):
    """A box estimator that may look at the regions of the maps, too."""

    @property
    def sees_regions(self) -> bool:
        """Whether it does: then only maps that are made of regions will do."""
        ...

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame], regions: Regions = ()
    ) -> Sequence[ScoredBoxes]:
        """As a `BoxEstimator`; `regions` are those of each map where it `sees_regions`."""
        ...


def one_each(boxes: Float[np.ndarray, "b 4"], scores: Float[np.ndarray, "b"]) -> list[ScoredBoxes]:
    """One box for each map."""
    return [
        ScoredBoxes(box, score) for box, score in zip(boxes[:, None], scores[:, None], strict=True)
    ]
