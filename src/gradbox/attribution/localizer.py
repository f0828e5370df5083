"""From heat maps to localizations: the half that every method with heat maps shares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradbox.attribution.maps import Heatmap, LabelledMap, MapMaker, made
from gradbox.boxes import Box, as_boxes
from gradbox.errors import ImageError
from gradbox.estimators.estimator import BoxEstimator, RegionEstimator, ScoredBoxes
from gradbox.estimators.outlines import Outlines
from gradbox.geometry import Frame
from gradbox.images.pixels import as_rgb
from gradbox.localization import RGB, Batch, Found, Localization, Localizer, Point


@dataclass(frozen=True, eq=False)
class MapLocalizer:
    """Heat maps and the boxes that an estimator makes of them; a `Localizer`."""

    maker: MapMaker
    estimator: BoxEstimator

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image, with the boxes of each class asked for."""
        return [
            found
            if isinstance(found, ImageError)
            else localization(batch, i, found, self._estimate(batch, i, found), details=details)
            for i, found in enumerate(made(self.maker, batch))
        ]

    def _estimate(self, batch: Batch, i: int, maps: Sequence[LabelledMap]) -> Sequence[ScoredBoxes]:
        heatmaps, frames = np.stack([m.heatmap for m in maps]), [batch.frames[i]] * len(maps)
        if isinstance(self.estimator, RegionEstimator):
            return self.estimator.estimate(heatmaps, frames, [m.regions for m in maps])
        return self.estimator.estimate(heatmaps, frames)


def localization(
    batch: Batch,
    i: int,
    maps: Sequence[LabelledMap],
    found: Sequence[ScoredBoxes],
    *,
    map_shares: tuple[float, ...] = (),
    details: bool,
) -> Localization:
    """What was found in image `i` of a batch: the boxes of each of its maps.

    `map_shares` are theirs where the scores are something else.
    """
    frame = batch.frames[i]
    owners = [m for m, one in zip(maps, found, strict=True) for _ in one.boxes]
    return Localization(
        image_id=batch.image_ids[i],
        size=frame.original,
        boxes=np.concatenate([one.boxes for one in found]),
        labels=tuple(m.label for m in owners),
        label_scores=tuple(m.label_score for m in owners),
        scores=tuple(np.concatenate([one.scores for one in found]).tolist()),
        peaks=tuple(
            peak(m.heatmap, frame) if first else peak_inside(m.heatmap, frame, box)
            for m, one in zip(maps, found, strict=True)
            for first, box in zip([True, *[False] * len(one.boxes)], one.boxes, strict=False)
        ),
        map_shares=map_shares,
        top_labels=maps[0].top_labels,
        heatmap=maps[0].heatmap if details else None,
    )


@dataclass(frozen=True, eq=False)
class Outlined:
    """What a localizer finds, with a mask of the main box made of heat map and image."""

    localizer: Localizer
    outlines: Outlines

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """What the localizer says; where details are asked for, masks where there are none yet.

        Raises:
            ValueError: the originals were not kept.
        """
        found = self.localizer.localize(batch, details=details)
        if not details:
            return found
        images = zip(found, batch.originals, batch.frames, strict=True)
        return [self._outlined(one, as_rgb(image), frame) for one, image, frame in images]

    def _outlined(self, found: Found, rgb: RGB, frame: Frame) -> Found:
        if isinstance(found, ImageError) or not len(found.boxes):
            return found
        if found.heatmap is None or found.mask is not None:
            return found
        mask = self.outlines.mask(rgb, found.heatmap, frame, found.boxes[0])
        return replace(found, mask=mask)


def peak(heatmap: Heatmap, frame: Frame) -> Point | None:
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


def peak_inside(heatmap: Heatmap, frame: Frame, box: Box) -> Point | None:
    """`peak` of the part of a map whose pixels touch a box (4,) in original pixels."""
    height, width = heatmap.shape
    (inside,) = frame.to_input(box[None])
    per_pixel = np.array([width / frame.input[1], height / frame.input[0]] * 2)
    x0, y0, x1, y1 = (inside * per_pixel).tolist()
    rows, columns = np.arange(height), np.arange(width)
    seen = np.outer((rows + 1 > y0) & (rows < y1), (columns + 1 > x0) & (columns < x1))
    return peak(np.where(seen, heatmap, 0.0), frame)
