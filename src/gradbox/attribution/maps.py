"""From heat maps to localizations: the half that every method with heat maps shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.layers import Layer
from gradbox.attribution.targets import top_labels
from gradbox.boxes import as_boxes
from gradbox.errors import NOT_FINITE, ImageError
from gradbox.estimators.untrained import BoxEstimator
from gradbox.geometry import Frame
from gradbox.localization import Batch, Localization, Point


@dataclass(frozen=True, eq=False)
class LabelledMap:
    """The heat map (h, w) over the input of one image for one class, and the class's probability.

    `label` is None, and `label_score` 1.0, where no class was asked for. `top_labels` are the
    image's five most probable classes.
    """

    label: int | None
    label_score: float
    heatmap: Float[np.ndarray, "h w"]
    top_labels: tuple[int, ...] = ()


MapsOfImage = Sequence[LabelledMap] | ImageError


@runtime_checkable
class MapMaker(Protocol):
    """Makes heat maps of images: what stands before a box estimator."""

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image, one for each class asked for, main class first."""
        ...


@dataclass(frozen=True, eq=False)
class MapLocalizer:
    """Heat maps and the boxes that an estimator makes of them; a `Localizer`."""

    maker: MapMaker
    estimator: BoxEstimator

    @property
    def layer(self) -> Layer | None:
        """The layer that the maps look into, if any."""
        return getattr(self.maker, "layer", None)

    def localize(
        self, batch: Batch, *, details: bool = False
    ) -> Sequence[Localization | ImageError]:
        """One `Localization` for each image, with a box for each class asked for."""
        return self.boxes(batch, self.maker.maps(batch), details=details)

    def boxes(
        self, batch: Batch, maps: Sequence[MapsOfImage], *, details: bool = False
    ) -> Sequence[Localization | ImageError]:
        """`localize` with the maps that were made of this batch."""
        return [
            found if isinstance(found, ImageError) else self._box(batch, i, found, details)
            for i, found in enumerate(maps)
        ]

    def _box(
        self, batch: Batch, i: int, maps: Sequence[LabelledMap], details: bool
    ) -> Localization:
        frame = batch.frames[i]
        boxes, scores = self.estimator.estimate(
            np.stack([m.heatmap for m in maps]), [frame] * len(maps)
        )
        return Localization(
            image_id=batch.image_ids[i],
            size=frame.original,
            boxes=boxes,
            labels=tuple(m.label for m in maps),
            label_scores=tuple(m.label_score for m in maps),
            scores=tuple(scores.tolist()),
            peaks=tuple(peak(m.heatmap, frame) for m in maps),
            top_labels=maps[0].top_labels,
            heatmap=maps[0].heatmap if details else None,
        )


def label_maps(
    logits: Float[Tensor, "b n"] | None,
    labels: Sequence[Sequence[int | None]],
    heatmaps: Sequence[Float[np.ndarray, "b h w"]],
) -> Sequence[MapsOfImage]:
    """Maps of a batch sorted by image; an `ImageError` where one has a NaN or infinity.

    Args:
        logits: None where the head was not run.
        labels: the classes of each image.
        heatmaps: of all images for their first class, then their second, and so on; the last one
            stands for all later classes.
    """
    probabilities = None if logits is None else logits.detach().softmax(dim=1).cpu()
    found: list[MapsOfImage] = []
    for i, asked in enumerate(labels):
        maps = [
            LabelledMap(
                label=label,
                label_score=1.0
                if probabilities is None or label is None
                else float(probabilities[i, label]),
                heatmap=heatmaps[min(slot, len(heatmaps) - 1)][i],
                top_labels=() if probabilities is None else top_labels(probabilities[i]),
            )
            for slot, label in enumerate(asked)
        ]
        finite = all(np.isfinite(m.heatmap).all() and np.isfinite(m.label_score) for m in maps)
        found.append(maps if finite else ImageError(NOT_FINITE))
    return found


def slots(labels: Sequence[Sequence[int | None]]) -> Sequence[Sequence[int | None]]:
    """The first class of each image, then the second, ...; an image with fewer repeats its last.

    >>> slots([(3, 5), (4,)])
    [[3, 4], [5, 4]]
    """
    count = max(len(asked) for asked in labels)
    return [[asked[min(slot, len(asked) - 1)] for asked in labels] for slot in range(count)]


def peak(heatmap: Float[np.ndarray, "h w"], frame: Frame) -> Point | None:
    """The middle (x, y) of the highest pixel of a map, in original pixels; None for a map of zeros.

    The map may have any size; it is taken to cover the network input.
    """
    if not heatmap.any():
        return None
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    x = (column + 0.5) * frame.input[1] / heatmap.shape[1]
    y = (row + 0.5) * frame.input[0] / heatmap.shape[0]
    (corner,) = frame.to_original(as_boxes([[x, y, x, y]]))
    return float(corner[0]), float(corner[1])
