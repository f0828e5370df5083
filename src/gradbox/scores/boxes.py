"""Box scores: pure functions for one box, and `Scores`, a state that adds up.

The scored unit is an (image, class) pair or an image: one predicted box, the main one, against the
true boxes of the unit, any of which counts. Shares are in [0, 1]; None stands where there was
nothing to score.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import fsum
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from gradbox.boxes import Boxes, area, centers, iou
from gradbox.geometry import Size
from gradbox.scores.columns import Columns

Box = Float[np.ndarray, "4"]
MARGINS = tuple(step / 20 for step in range(11))
"""Where center correctness is printed: 0, 0.05, ..., 0.5."""
OUTSIDE = -1.0
"""The center margin of a box whose centre lies in no true box."""
IOU_EDGES = np.arange(21) / 20
SIZE_EDGES = (0.05, 0.15, 0.30, 0.60)
SIZE_GROUPS = ("<5%", "5-15%", "15-30%", "30-60%", ">=60%")
COUNT_GROUPS = ("1", "2", "3+")
_NO_LABEL = _NOT_KNOWN = -1
_COLUMNS: Mapping[str, str] = {
    "image": "i4",
    "label": "i4",
    "iou": "f8",
    "center_margin": "f8",
    "object_share": "f8",
    "n_objects": "i4",
    "recognized": "i1",
    "in_top5": "i1",
    "pointed": "i1",
    "score": "f8",
}
_EDGE = 1e-9  # a centre this near the edge of a shrunk box, in shares of the side, lies on it


def best_iou(box: Box, truth: Boxes) -> float:
    """The highest IoU of a box with any true box; a ValueError where there is none."""
    return float(iou(box[None], truth).max())


def is_hit(
    ious: Float[np.ndarray, "n"], threshold: float = 0.5, strict: bool = True
) -> Bool[np.ndarray, "n"]:
    """Whether each IoU is greater than the threshold, or at least the threshold if not strict."""
    return ious > threshold if strict else ious >= threshold


def corloc(
    ious: Float[np.ndarray, "n"], threshold: float = 0.5, strict: bool = True
) -> float | None:
    """Correct localization: the share of units that are hit; None without units.

    The box alone counts, whether or not the class was recognized. (Deselaers et al., IJCV 2012.)
    """
    return _share(is_hit(ious, threshold, strict))


def center_margin(box: Box, truth: Boxes) -> float:
    """How deep the centre of a box lies inside a true box, in [0, 0.5]; `OUTSIDE` if in none.

    It is the largest m so that the centre is inside the true box shrunk on each side by m times
    its own width or height, the best over the true boxes; a true box without area holds nothing.
    """
    solid = truth[area(truth) > 0]
    if len(solid) == 0:
        return OUTSIDE
    center = centers(box[None])
    sides = solid[:, 2:] - solid[:, :2]
    gaps = np.minimum(center - solid[:, :2], solid[:, 2:] - center) / sides
    depth = float(gaps.min(axis=1).max())
    return max(depth, 0.0) if depth >= -_EDGE else OUTSIDE


def center_correctness(
    margins: Float[np.ndarray, "n"], at: Sequence[float] = MARGINS
) -> list[float | None]:
    """The share of units whose center margin is at least each m of `at`; edges count as inside.

    (Dwaraknath, Menghani & Mongia, "Fast unsupervised object localization".)
    """
    return [_share(margins >= margin - _EDGE) for margin in at]


def pointing_hit(peak: Float[np.ndarray, "2"], truth: Boxes, tolerance: float = 15.0) -> bool:
    """The pointing game: is the peak (x, y) of a heatmap within `tolerance` pixels of a true box?

    The peak is a point in original pixels: the centre of pixel i is i + 0.5. (Zhang et al.,
    "Top-down Neural Attention by Excitation Backprop", ECCV 2016.)
    """
    outside = np.maximum(np.maximum(truth[:, :2] - peak, peak - truth[:, 2:]), 0.0)
    return bool((np.hypot(outside[:, 0], outside[:, 1]) <= tolerance).any())


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """The scores of one unit.

    `image` is the number of its image in the run. `label` is the class that per-class tables use.
    `recognized` and `in_top5` say whether the classifier's best, or one of its five best classes is
    the unit's. `object_share` is the area of the largest true box over that of the image: it does
    not depend on the prediction, so the size groups of two methods hold the same units. `pointed`
    says whether the peak of the box's heat map hits a true box, None where there is no map. `score`
    is the box's own, None where there is no box.
    """

    image: int
    label: str | None
    iou: float
    center_margin: float
    object_share: float
    n_objects: int
    recognized: bool | None = None
    in_top5: bool | None = None
    pointed: bool | None = None
    score: float | None = None

    @classmethod
    def of(
        cls,
        image: int,
        box: Box | None,
        truth: Boxes,
        size: Size,
        *,
        label: str | None = None,
        recognized: bool | None = None,
        in_top5: bool | None = None,
        pointed: bool | None = None,
        score: float | None = None,
    ) -> "Unit":
        """Score a box against the true boxes, both in pixels of an image of `size` (h, w).

        No box (None) is a miss. `in_top5` is for boxes of the true class only: a box of another
        class says nothing about top-5 localization.

        Raises:
            ValueError: no true boxes: then there is nothing to score.
        """
        if len(truth) == 0:
            raise ValueError(f"image {image}: a unit without a true box cannot be scored")
        return cls(
            image=image,
            label=label,
            iou=0.0 if box is None else best_iou(box, truth),
            center_margin=OUTSIDE if box is None else center_margin(box, truth),
            object_share=float(area(truth).max() / (size[0] * size[1])),
            n_objects=len(truth),
            recognized=recognized,
            in_top5=in_top5,
            pointed=pointed,
            score=score,
        )


class Scores:
    """The units scored so far; `a + b` is what one pass over the images of both would give.

    A million units take less than 50 MB on disk, and in memory what one number of each takes.
    """

    def __init__(self) -> None:
        self._units = Columns(_COLUMNS)
        self._labels: dict[str, int] = {}

    @classmethod
    def of(cls, units: Iterable[Unit]) -> "Scores":
        """The state after these units."""
        scores = cls()
        for unit in units:
            scores.add(unit)
        return scores

    def add(self, unit: Unit) -> None:
        """Count one more unit."""
        self._units.append(
            (
                unit.image,
                self._code(unit.label),
                unit.iou,
                unit.center_margin,
                unit.object_share,
                unit.n_objects,
                *(_NOT_KNOWN if f is None else f for f in (unit.recognized, unit.in_top5)),
                _NOT_KNOWN if unit.pointed is None else unit.pointed,
                np.nan if unit.score is None else unit.score,
            )
        )

    def __add__(self, other: "Scores") -> "Scores":
        both = Scores()
        for one in (self, other):
            codes = np.array([*map(both._code, one._labels), _NO_LABEL])
            for rows in one._units.blocks():
                named = rows.copy()
                named["label"] = codes[rows["label"]]
                both._units.extend(named)
        return both

    def __len__(self) -> int:
        return len(self._units)

    @property
    def images(self) -> Int[np.ndarray, "n"]:
        """The number of each unit's image: the groups of a bootstrap."""
        return self._units["image"]

    @property
    def ious(self) -> Float[np.ndarray, "n"]:
        """The IoU of each unit."""
        return self._units["iou"]

    @property
    def scores(self) -> Float[np.ndarray, "n"]:
        """The score of each unit's box, NaN where there is none."""
        return self._units["score"]

    def flags(self, name: str) -> Bool[np.ndarray, "n"] | None:
        """`recognized`, `in_top5` or `pointed` of each unit; None unless known for every one."""
        known = self._units[name]
        return known.astype(bool) if len(known) and known.min() != _NOT_KNOWN else None

    def summary(self, *, threshold: float = 0.5, strict: bool = True) -> dict[str, Any]:
        """All numbers, ready for JSON and the same in whatever order the units came.

        `corloc_class_mean` and its like are unweighted means over the classes. Top-1 and top-5
        localization count a box only when the class was right too; they, the accuracies,
        `by_recognized` and `pointing_game` are None unless it is known for every unit.
        `iou_histogram` counts units between `IOU_EDGES`.
        """
        ious = self.ious
        hits = is_hit(ious, threshold, strict)
        recognized, pointed = self.flags("recognized"), self.flags("pointed")
        table = partial(_table, ious, threshold=threshold, strict=strict)
        sizes = np.digitize(self._units["object_share"], SIZE_EDGES)
        counts = np.minimum(self._units["n_objects"], len(COUNT_GROUPS)) - 1
        per_class = dict(sorted(table(self._units["label"], list(self._labels)).items()))
        return {
            "n_images": len(np.unique(self.images)),
            "n_units": len(self),
            "iou_threshold": threshold,
            "iou_strict": strict,
            "corloc": _share(hits),
            "mean_iou": _mean(ious),
            "corloc_class_mean": _mean([row["corloc"] for row in per_class.values()]),
            "mean_iou_class_mean": _mean([row["mean_iou"] for row in per_class.values()]),
            "mean_iou_class_min": min(
                (row["mean_iou"] for row in per_class.values()), default=None
            ),
            "pointing_game": None if pointed is None else _share(pointed),
            **_recognition("top1", recognized, hits),
            **_recognition("top5", self.flags("in_top5"), hits),
            "center_correctness": {
                f"{margin:.2f}": share
                for margin, share in zip(
                    MARGINS, center_correctness(self._units["center_margin"]), strict=True
                )
            },
            "iou_histogram": np.histogram(ious, bins=IOU_EDGES)[0].tolist(),
            "by_object_size": table(sizes, SIZE_GROUPS),
            "by_n_objects": table(counts, COUNT_GROUPS),
            "by_recognized": None if recognized is None else table(1 - recognized, ("yes", "no")),
            "per_class": per_class,
        }

    def _code(self, label: str | None) -> int:
        return _NO_LABEL if label is None else self._labels.setdefault(label, len(self._labels))


def _table(
    ious: Float[np.ndarray, "n"],
    codes: Shaped[np.ndarray, "n"],
    groups: Sequence[str],
    *,
    threshold: float,
    strict: bool,
) -> dict[str, dict[str, Any]]:
    """The scores of each group; `codes` are the places of the units' groups, or negative."""
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes, np.arange(len(groups) + 1), sorter=order)
    members = (ious[order[low:high]] for low, high in pairwise(edges))
    return {
        group: {
            "n": len(of_group),
            "corloc": corloc(of_group, threshold, strict),
            "mean_iou": _mean(of_group),
        }
        for group, of_group in zip(groups, members, strict=True)
    }


def _recognition(
    top: str, right: Bool[np.ndarray, "n"] | None, hits: Bool[np.ndarray, "n"]
) -> dict[str, float | None]:
    return {
        f"{top}_accuracy": None if right is None else _share(right),
        f"{top}_localization": None if right is None else _share(right & hits),
    }


def _share(flags: Bool[np.ndarray, "n"]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _mean(values: Sequence[float] | Float[np.ndarray, "n"]) -> float | None:
    """The mean by an exact sum, so that the order of the units cannot show in the last digit."""
    return fsum(values) / len(values) if len(values) else None
