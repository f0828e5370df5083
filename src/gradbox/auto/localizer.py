"""From a combined map to boxes around objects, and how sure each of them is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gradbox.attribution.combinations import resized, scaled
from gradbox.attribution.localizer import localization
from gradbox.attribution.maps import LabelledMap, MapMaker, MapsOfImage, made
from gradbox.attribution.targets import wants_no_class
from gradbox.auto.confidence import Confidence
from gradbox.auto.evidence import evidence
from gradbox.boxes import Boxes
from gradbox.errors import ImageError
from gradbox.estimators.estimator import ScoredBoxes
from gradbox.estimators.objects import Objects, around, on_grid
from gradbox.foreground.maps import ForegroundMaps
from gradbox.geometry import Frame
from gradbox.localization import Batch, Found, Localization

_MOST = 16
"""Objects of a map that are judged, the largest: a map with more is noise."""

_LEAST_OF_FURTHER = 0.25
"""The least score of a box beside the main one: below it there are not clearly several."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The boxes (n, 4) of one map in original pixels, main box first, and the evidence of each.

    `shares` are of the map's total, inside each. A map of zeros has the whole image, no evidence.
    """

    boxes: Boxes
    shares: Float[np.ndarray, "n"]
    evidence: Float[np.ndarray, "n k"] | None

    @classmethod
    def around(
        cls,
        objects: Bool[np.ndarray, "n h w"],
        heatmap: Float[np.ndarray, "h w"],
        foreground: Float[np.ndarray, "rows columns"] | None,
        probability: float,
        frame: Frame,
    ) -> "Candidates":
        """Those of the objects of a map that is on their grid.

        Without a `foreground` the map itself, scaled to the maximum 1, stands for it.
        """
        objects = objects[:_MOST]
        boxes, shares = around(objects, heatmap, frame)
        if not heatmap.any():
            return cls(boxes=boxes, shares=shares, evidence=None)
        seen = scaled(heatmap) if foreground is None else resized(foreground, *heatmap.shape)
        return cls(
            boxes=boxes, shares=shares, evidence=evidence(heatmap, seen, objects, probability)
        )

    def scores(self, confidence: Confidence) -> Float[np.ndarray, "n"]:
        """How sure each box is; 0 of a map of zeros."""
        if self.evidence is None:
            return np.zeros(len(self.boxes))
        return confidence.of(self.evidence)


@dataclass(frozen=True, eq=False)
class AutoLocalizer:
    """Boxes around the objects of heat maps with calibrated scores; a `Localizer`.

    `foreground` gives P; without it the map itself, scaled to the maximum 1, stands for it.
    """

    maker: MapMaker
    objects: Objects
    confidence: Confidence
    foreground: ForegroundMaps | None = None

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image, with a box for each object of each class."""
        maps = self.maps(batch)
        return [
            found
            if isinstance(found, ImageError)
            else located(batch, i, found, of_image, self.confidence, details=details)
            for i, (found, of_image) in enumerate(
                zip(maps, self.candidates(batch, maps), strict=True)
            )
        ]

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of the classes asked for; the foreground alone where none is."""
        alone = self.foreground if wants_no_class(batch) else None
        return made(alone or self.maker, batch)

    def candidates(
        self, batch: Batch, maps: Sequence[MapsOfImage]
    ) -> Sequence[Sequence[Candidates]]:
        """The boxes of each map of each image; none where there is an error."""
        seen = None if self.foreground is None else self.foreground.of(batch).numpy()
        return [
            []
            if isinstance(found, ImageError)
            else [
                self._candidates(one, batch.frames[i], None if seen is None else seen[i])
                for one in found
            ]
            for i, found in enumerate(maps)
        ]

    def _candidates(
        self, one: LabelledMap, frame: Frame, seen: Float[np.ndarray, "h w"] | None
    ) -> Candidates:
        grid = on_grid(one.heatmap)
        return Candidates.around(self.objects.masks(grid), grid, seen, one.label_score, frame)


def located(
    batch: Batch,
    i: int,
    maps: Sequence[LabelledMap],
    found: Sequence[Candidates],
    confidence: Confidence,
    *,
    details: bool,
) -> Localization:
    """What was found in image `i` of a batch: the boxes of each map, and how sure each is.

    The main box always stays, a further one where it is sure enough.
    """
    boxes, shares = [], []
    for one in found:
        scores = one.scores(confidence)
        kept = scores >= _LEAST_OF_FURTHER
        kept[0] = True
        boxes.append(ScoredBoxes(one.boxes[kept], scores[kept]))
        shares += one.shares[kept].tolist()
    return localization(batch, i, maps, boxes, map_shares=tuple(shares), details=details)
