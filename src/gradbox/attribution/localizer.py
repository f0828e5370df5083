"""From heat maps to localizations: the half that every method with heat maps shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradbox.attribution.maps import Heatmap, LabelledMap, MapMaker
from gradbox.boxes import Box, as_boxes
from gradbox.errors import ImageError
from gradbox.estimators.estimator import BoxEstimator
from gradbox.geometry import Frame
from gradbox.localization import Batch, Found, Localization, Point


@dataclass(frozen=True, eq=False)
class MapLocalizer:
    """Heat maps and the boxes that an estimator makes of them; a `Localizer`."""

    maker: MapMaker
    estimator: BoxEstimator

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image, with the boxes of each class asked for."""
        started = batch.memo.clock()
        maps = batch.known(self.maker)
        if maps is None:
            maps = batch.keep(self.maker, self.maker.maps(batch), since=started)
        return [
            found if isinstance(found, ImageError) else self._box(batch, i, found, details)
            for i, found in enumerate(maps)
        ]

    def _box(
        self, batch: Batch, i: int, maps: Sequence[LabelledMap], details: bool
    ) -> Localization:
        frame = batch.frames[i]
        found = self.estimator.estimate(np.stack([m.heatmap for m in maps]), [frame] * len(maps))
        counts = [len(one.boxes) for one in found]
        owners = [m for m, count in zip(maps, counts, strict=True) for _ in range(count)]
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
            top_labels=maps[0].top_labels,
            heatmap=maps[0].heatmap if details else None,
        )


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
