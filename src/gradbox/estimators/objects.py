"""A box for each object: the parts of a map, split where it has peaks of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from gradbox import boxes as bx
from gradbox.estimators.estimator import Heatmaps, ScoredBoxes
from gradbox.estimators.fitted import Untrained
from gradbox.estimators.placing import place
from gradbox.geometry import Frame

_FAINT = 4
"""The power of an object's peak that its area is weighed by: half as bright is a sixteenth."""
_SIDE = 64
"""The most rows or columns that are flooded; a larger map is averaged down to them."""


@dataclass(frozen=True)
class Objects(Untrained):
    """A box for each object that stands out, the largest first, where a faint one counts for less.

    The order is that of area times the fourth power of the peak. Pixels from `share` of the maximum
    on belong to objects. Two peaks are two objects where the map between them sinks below `split`
    times the lower one; `split=0` parts only what does not touch. A further object has a peak of at
    least `peak` times the maximum, and covers at least `min_area` of the map. (The watershed of the
    map by immersion, Vincent & Soille, PAMI 1991, with basins merged by their dynamics, Grimaud
    1992.)
    """

    share: float = 0.4
    split: float = 0.85
    peak: float = 0.6
    min_area: float = 0.005

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"share={self.share}: a share of the maximum, 0 <= share < 1")
        for name, value in (
            ("split", self.split),
            ("peak", self.peak),
            ("min_area", self.min_area),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value}: a share, 0 to 1")

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The boxes around the objects of each map."""
        return [
            around(self.masks(on_grid(heatmap)), heatmap, frame)
            for heatmap, frame in zip(heatmaps, frames, strict=True)
        ]

    def masks(self, heatmap: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "n h w"]:
        """The pixels of each object, in their order; one at least."""
        (found,) = self.masks_at(heatmap, (self.share,))
        return found

    def masks_at(
        self, heatmap: Float[np.ndarray, "h w"], shares: Sequence[float]
    ) -> Sequence[Bool[np.ndarray, "n h w"]]:
        """The `masks` that each of these shares would give in place of `share`, by one flooding."""
        least = [share * float(heatmap.max()) for share in shares]
        return [self._of_flood(heatmap, *flood) for flood in flooded(heatmap, least, self.split)]

    def _of_flood(
        self,
        heatmap: Float[np.ndarray, "h w"],
        basins: Int[np.ndarray, "h w"],
        peaks: Sequence[float],
    ) -> Bool[np.ndarray, "n h w"]:
        top = float(heatmap.max())
        areas = np.bincount(basins[basins >= 0], minlength=len(peaks))
        bright = np.array(peaks) / (top or 1.0)
        order = np.argsort(-areas * bright**_FAINT, kind="stable")
        usable = (bright >= self.peak) & (areas >= self.min_area * heatmap.size)
        others = [i for i in order[1:] if usable[i]]
        return np.stack([basins == i for i in (order[0], *others)])


def flooded(
    heatmap: Float[np.ndarray, "h w"], least: Sequence[float], split: float
) -> Sequence[tuple[Int[np.ndarray, "h w"], list[float]]]:
    """Which basin each pixel lies in, -1 for none, and each basin's peak: down to each of `least`.

    Pixels are taken from the highest down. One that touches no basin, 8-connected, begins one;
    another joins that of its highest neighbour. Where it touches several, they are merged with the
    highest but for those whose peak stands out: the pixel is below `split` times it.
    """
    height, width = heatmap.shape
    values = np.pad(heatmap, 1, constant_values=-np.inf).ravel()
    labels = [-1] * len(values)
    around = [dy * (width + 2) + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    order = np.argsort(-values, kind="stable")
    owner: list[int] = []
    peaks: list[float] = []
    found = {}
    done = 0
    for lowest in sorted(set(least), reverse=True):
        until = int((values >= lowest).sum())
        for at in order[done:until].tolist():
            value = float(values[at])
            near = [at + step for step in around if labels[at + step] >= 0]
            if not near:
                labels[at] = len(owner)
                owner.append(len(owner))
                peaks.append(value)
                continue
            labels[at] = labels[max(near, key=values.__getitem__)]
            touched = {_root(owner, labels[one]) for one in near}
            highest = max(touched, key=lambda basin: (peaks[basin], -basin))
            for basin in touched - {highest}:
                if value >= split * peaks[basin]:
                    owner[basin] = highest
        done = until
        roots = np.array([_root(owner, label) for label in range(len(owner))], dtype=int)
        used, numbered = np.unique(roots, return_inverse=True)
        inner = np.reshape(labels, (height + 2, width + 2))[1:-1, 1:-1]
        basins = np.where(inner >= 0, numbered[inner], -1)
        found[lowest] = basins, [peaks[basin] for basin in used]
    return [found[lowest] for lowest in least]


def _root(owner: list[int], basin: int) -> int:
    while owner[basin] != basin:
        basin = owner[basin]
    return basin


def on_grid(heatmap: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "rows columns"]:
    """The map as it is flooded: with no more than 64 rows and columns."""
    height, width = heatmap.shape
    share = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return heatmap if share == 1 else cv2.resize(heatmap, size, interpolation=cv2.INTER_AREA)


def around(
    objects: Bool[np.ndarray, "n rows columns"], heatmap: Float[np.ndarray, "h w"], frame: Frame
) -> ScoredBoxes:
    """The boxes around objects, in original pixels; the scores are shares of the map inside."""
    scale = np.array([n / m for n, m in zip(heatmap.shape, objects.shape[1:], strict=True)])
    boxes = bx.as_boxes([bx.bounding(mask) for mask in objects]) * np.tile(scale[::-1], 2)
    same = np.broadcast_to(heatmap, (len(objects), *heatmap.shape))
    return ScoredBoxes(*place(same, boxes, [frame] * len(objects)))
