"""The fakes of the seam: a localizer, a map maker and an estimator that need no network."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from gradbox.attribution.maps import LabelledMap, MapsOfImage
from gradbox.attribution.method import MapMethod
from gradbox.boxes import as_boxes, bounding
from gradbox.errors import ImageError
from gradbox.estimators.estimator import BoxEstimator, Heatmaps, ScoredBoxes
from gradbox.geometry import Frame, Mask
from gradbox.localization import Batch, Found, Localization, Localizer
from gradbox.models.classifier import Classifier


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


@dataclass(frozen=True)
class FakeCalibrated(MapMethod):
    """A method of calibrated scores: the middle of every image, and the whole of it.

    The score of the middle is the mean brightness of the image, that of the whole half as much.
    With a box it has a map and no calibrated scores, as any method.
    """

    share: float = 0.5

    @property
    def makes_boxes(self) -> bool:
        return True

    @property
    def is_calibrated(self) -> bool:
        return True

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        return _Brightness(self.share) if box is None else super().build(classifier, box)

    def maps(self, classifier: Classifier) -> FakeMaps:
        return FakeMaps(((1.0, 3.0), (0.0, 0.0)))


@dataclass(frozen=True)
class _Brightness:
    share: float

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        means = (batch.pixels.double().mean(dim=(1, 2, 3)) / 255).tolist()
        plain = FakeLocalizer(self.share).localize(batch, details=details)
        return [self._both(one, mean) for one, mean in zip(plain, means, strict=True)]

    def _both(self, found: Found, mean: float) -> Found:
        assert isinstance(found, Localization)
        height, width = found.size
        return replace(
            found,
            boxes=np.concatenate([found.boxes, [[0.0, 0.0, width, height]]]),
            labels=(0, 0),
            label_scores=(1.0, 1.0),
            scores=(mean, mean / 2),
            map_shares=(self.share**2, 1.0),
            mask=np.ones(found.size, dtype=bool) if found.heatmap is not None else None,
        )


class Plain:
    """A localizer that is no dataclass."""

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        return FakeLocalizer().localize(batch, details=details)


@dataclass(frozen=True)
class Bright:
    """A box around each bright part of what it is shown, with the part's share of it as score.

    Scores grow with the share, so the nearer look is the surer one. It notes how many images it is
    shown at a time and the classes it is asked for, and fails where more pixels than `fails_on` are
    bright.
    """

    labels: tuple[int, ...] = (0,)
    fails_on: int = 10_000
    seen: list[int] = field(default_factory=list)
    asked: list[tuple[tuple[int, ...] | None, ...]] = field(default_factory=list)

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        self.seen.append(len(batch))
        self.asked.append(batch.labels)
        bright = batch.pixels.numpy()[:, 0] > 127
        return [
            ImageError("the fake fails here")
            if mask.sum() >= self.fails_on
            else self._found(batch, i, mask, details)
            for i, mask in enumerate(bright)
        ]

    def _found(self, batch: Batch, i: int, mask: Mask, details: bool) -> Localization:
        frame, labels = batch.frames[i], batch.labels[i] or self.labels
        _, numbered = cv2.connectedComponents(mask.astype(np.uint8))
        parts = [numbered == number for number in range(1, numbered.max() + 1)]
        boxes = frame.to_original(as_boxes([bounding(part) for part in parts]))
        scores = [float(part.mean()) for part in parts]
        return Localization(
            image_id=batch.image_ids[i],
            size=frame.original,
            boxes=np.tile(boxes, (len(labels), 1)),
            labels=tuple(label for label in labels for _ in boxes),
            label_scores=(1.0,) * len(labels) * len(boxes),
            scores=tuple(scores * len(labels)),
            top_labels=self.labels,
            heatmap=mask.astype(np.float64) if details else None,
        )
