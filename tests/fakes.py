"""The fakes of the seam: a localizer, a map maker and an estimator that need no network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradbox.attribution.maps import LabelledMap, MapsOfImage
from gradbox.boxes import as_boxes
from gradbox.errors import ImageError
from gradbox.estimators.estimator import Heatmaps, ScoredBoxes
from gradbox.geometry import Frame
from gradbox.localization import Batch, Found, Localization


@dataclass(frozen=True)
class FakeLocalizer:
    """Answers every image with the same share of its middle, and fails for the ids named."""

    share: float = 0.5
    failing: tuple[str, ...] = ()

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        return [
            ImageError("the fake fails here")
            if image_id in self.failing
            else self._found(image_id, frame, details)
            for image_id, frame in zip(batch.image_ids, batch.frames, strict=True)
        ]

    def _found(self, image_id: str, frame: Frame, details: bool) -> Localization:
        height, width = frame.original
        edge = (1 - self.share) / 2
        box = [width * edge, height * edge, width * (1 - edge), height * (1 - edge)]
        return Localization(
            image_id=image_id,
            size=frame.original,
            boxes=as_boxes([box]),
            labels=(0,),
            label_scores=(1.0,),
            scores=(0.5,),
            heatmap=np.ones((2, 3)) if details else None,
        )


@dataclass(frozen=True)
class FakeMaps:
    """One map for every image: `rows` of numbers, of any size."""

    rows: tuple[tuple[float, ...], ...]
    label: int | None = 0

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        heatmap = np.array(self.rows, dtype=np.float32)
        labels = [given or (self.label,) for given in batch.labels]
        return [[LabelledMap(one, 1.0, heatmap) for one in of_image] for of_image in labels]


@dataclass(frozen=True)
class FakeBoxes:
    """The left and the right half of every image, the right one first."""

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        return [
            ScoredBoxes(as_boxes([[w / 2, 0, w, h], [0, 0, w / 2, h]]), np.array([0.7, 0.2]))
            for h, w in (frame.original for frame in frames)
        ]


class Plain:
    """A localizer that is no dataclass."""

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        return FakeLocalizer().localize(batch, details=details)
