"""A second look at what is small: the same method on the part of the image around the box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np

from gradbox import boxes as bx
from gradbox.boxes import Box
from gradbox.geometry import Size
from gradbox.localization import Batch, Found, Localization, Localizer, Resizer

_MARGIN = 1.6
"""How much wider and higher than the box the second look is."""

_SAME = 0.3
"""The least IoU of its box with the first one: else it is another object's."""


@dataclass(frozen=True, eq=False)
class CloserLocalizer:
    """A localizer that looks again at main boxes below a share of the image; a `Localizer`.

    The finer box takes the place of the first where its score is higher.
    """

    localizer: Localizer
    resizer: Resizer
    below: float

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image; the batch has its originals."""
        found = list(self.localizer.localize(batch, details=details))
        small = {i: one for i, one in enumerate(found) if self._is_small(one, batch, i)}
        if small:
            mains = {i: (one.boxes[0], one.labels[0]) for i, one in small.items()}
            finer = self.localizer.localize(nearer(batch, mains, self.resizer))
            for (i, one), near in zip(small.items(), finer, strict=True):
                found[i] = _better(one, near)
        return found

    def _is_small(self, found: Found, batch: Batch, i: int) -> TypeGuard[Localization]:
        if not isinstance(found, Localization) or not len(found.boxes):
            return False
        return is_small(found.boxes[0], _seen(batch, i), self.below)


def is_small(box: Box, size: tuple[float, float], below: float) -> bool:
    """Whether a box takes less than a share of what is seen, of this (height, width)."""
    return float(bx.area(box[None])[0]) < below * size[0] * size[1]


def _seen(batch: Batch, i: int) -> tuple[float, float]:
    """The height and width of what a batch shows of an original, in its pixels."""
    if batch.regions is None:
        return batch.frames[i].original
    xmin, ymin, xmax, ymax = batch.regions[i].tolist()
    return ymax - ymin, xmax - xmin


def nearer(batch: Batch, mains: Mapping[int, tuple[Box, int | None]], resizer: Resizer) -> Batch:
    """The parts of some images around boxes, asked for their classes: box and class by image."""
    labels = [None if label is None else (label,) for _, label in mains.values()]
    regions = [_widened(box, batch.frames[i].original) for i, (box, _) in mains.items()]
    return batch.only(list(mains)).asking(labels).view(resizer, regions)


def is_better(finer: Box, score: float, box: Box, than: float) -> bool:
    """Whether the box of the second look, with its score, takes the place of the first."""
    return score > than and float(bx.iou(box[None], finer[None])[0, 0]) >= _SAME


def _widened(box: Box, size: Size) -> Box:
    middle, sides = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], 1.0)
    half = _MARGIN * sides / 2
    (region,) = bx.clip(np.concatenate([middle - half, middle + half])[None], *size)
    return region


def _better(found: Localization, finer: Found) -> Localization:
    """The first localization, with the finer main box where that is the surer one."""
    if not isinstance(finer, Localization) or not is_better(
        finer.boxes[0], finer.scores[0], found.boxes[0], found.scores[0]
    ):
        return found
    return replace(
        found,
        boxes=np.concatenate([finer.boxes[:1], found.boxes[1:]]),
        scores=(finer.scores[0], *found.scores[1:]),
        peaks=(*finer.peaks[:1], *found.peaks[1:]),
        map_shares=(*finer.map_shares[:1], *found.map_shares[1:]),
    )
