"""Scores of all boxes: average precision and recall, and `Detections`, a state that adds up.

They are those of pycocotools' COCOeval over all areas, without crowds: greedy matching within a
class and an image, the best score first; precision interpolated at 101 recalls; means over the
classes that have a true box. (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.)
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gradbox.boxes import Boxes, iou

THRESHOLDS = (0.3, 0.5)
"""The IoUs at which boxes are matched: at least that much is a hit, as in COCO."""
MOST_BOXES = 100
"""How many boxes of a class in an image count, those with the best scores."""
_RECALLS = np.linspace(0.0, 1.0, 101)


def match(ious: Float[np.ndarray, "n m"], threshold: float) -> Bool[np.ndarray, "n"]:
    """Which of n predicted boxes, the best score first, hit one of m true boxes.

    Each takes the true box that it overlaps most of those that are still free, if the IoU is at
    least the threshold; of equals, the last one.
    """
    free = np.ones(ious.shape[1], dtype=bool)
    hits = np.zeros(len(ious), dtype=bool)
    for i, row in enumerate(ious):
        near = np.flatnonzero(free & (row >= threshold))[::-1]
        if len(near):
            hits[i] = True
            free[near[row[near].argmax()]] = False
    return hits


def average_precision(
    hits: Bool[np.ndarray, "n"], counts: Float[np.ndarray, "b n"], n_true: Float[np.ndarray, "b"]
) -> Float[np.ndarray, "b"]:
    """Average precision of one class in b draws of images; NaN where a draw has no true box.

    Args:
        hits: whether each predicted box hits, the best score first.
        counts: how often each of them was drawn.
        n_true: the number of true boxes drawn.
    """
    found, taken = np.cumsum(counts * hits, axis=1), np.cumsum(counts, axis=1)
    precision = found / np.maximum(taken, 1)
    from_here_on = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(n_true, 1)[:, None]
    reached = np.searchsorted(_RECALLS, recall, side="right")
    area = (np.diff(reached, axis=1, prepend=0) * from_here_on).sum(axis=1) / len(_RECALLS)
    return np.where(n_true > 0, area, np.nan)


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """The boxes of one class in one image.

    `label` is None where classes do not count. `scores` are those of the boxes that count, the best
    first, and `hits` has for each of `THRESHOLDS` whether they hit; `n_predicted` counts all.
    """

    image_id: str
    label: int | None
    scores: tuple[float, ...]
    hits: tuple[tuple[bool, ...], ...]
    n_predicted: int
    n_true: int

    @classmethod
    def of(
        cls,
        image_id: str,
        label: int | None,
        boxes: Boxes,
        scores: Float[np.ndarray, "n"],
        truth: Float[np.ndarray, "m 4"],
    ) -> "Matches":
        """Match the predicted boxes of a class, in any order, with its true ones."""
        best = np.argsort(-scores, kind="stable")[:MOST_BOXES]
        ious = iou(boxes[best], truth)
        return cls(
            image_id=image_id,
            label=label,
            scores=tuple(scores[best].tolist()),
            hits=tuple(tuple(match(ious, threshold).tolist()) for threshold in THRESHOLDS),
            n_predicted=len(boxes),
            n_true=len(truth),
        )


@dataclass(frozen=True, eq=False)
class OneClass:
    """The boxes of a class in g images.

    `hits` has a row for each of `THRESHOLDS` and the n predicted boxes, the best score first;
    `owners` are the numbers of their images, `n_true` the true boxes of each image.
    """

    hits: Bool[np.ndarray, "t n"]
    owners: Int[np.ndarray, "n"]
    n_true: Float[np.ndarray, "g"]


@dataclass(frozen=True, eq=False)
class Ranked:
    """All boxes of the classes that have a true box, each class by score."""

    classes: tuple[OneClass, ...]

    def average_precision(
        self, threshold: float, times: Float[np.ndarray, "b g"]
    ) -> Float[np.ndarray, "b"]:
        """The mean over the classes in b draws of images; NaN where a draw has no true box.

        Args:
            threshold: one of `THRESHOLDS`.
            times: how often each image was drawn.
        """
        row = THRESHOLDS.index(threshold)
        total, count = np.zeros(len(times)), np.zeros(len(times))
        for one in self.classes:
            values = average_precision(one.hits[row], times[:, one.owners], times @ one.n_true)
            total += np.nan_to_num(values)
            count += ~np.isnan(values)
        return np.divide(total, count, out=np.full(len(times), np.nan), where=count > 0)

    def recall(self, threshold: float) -> float:
        """The share of the true boxes that are hit, the mean over the classes; NaN without any."""
        row = THRESHOLDS.index(threshold)
        shares = [float(one.hits[row].sum() / one.n_true.sum()) for one in self.classes]
        return sum(shares) / len(shares) if shares else np.nan


@dataclass(frozen=True)
class Detections:
    """The boxes scored so far; `a + b` is what one pass over the images of both would give."""

    matches: tuple[Matches, ...] = ()

    @classmethod
    def of(cls, matches: Iterable[Matches]) -> "Detections":
        """The state after these."""
        return cls(tuple(matches))

    def __add__(self, other: "Detections") -> "Detections":
        return Detections(self.matches + other.matches)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The images, sorted, each once: the groups of a bootstrap."""
        return tuple(sorted({one.image_id for one in self.matches}))

    @property
    def n_predicted(self) -> int:
        """The number of predicted boxes, of whatever class."""
        return sum(one.n_predicted for one in self.matches)

    def ranked(self) -> Ranked:
        """The boxes by class and score; of equal scores, those of the first image by id."""
        numbers = {image_id: i for i, image_id in enumerate(self.image_ids)}
        by_label: defaultdict[int | None, list[Matches]] = defaultdict(list)
        for one in sorted(self.matches, key=lambda one: one.image_id):
            by_label[one.label].append(one)
        classes = (_one_class(members, numbers) for members in by_label.values())
        return Ranked(tuple(one for one in classes if one.n_true.any()))

    def summary(self) -> dict[str, Any]:
        """The numbers, ready for JSON and the same in whatever order the images came.

        `ap30` and `ap50` are average precision, `recall30` and `recall50` the share of the true
        boxes that are hit, means over the classes; None where there is no true box.
        """
        ranked, once = self.ranked(), np.ones((1, len(self.image_ids)))
        summary: dict[str, Any] = {
            "n_classes": len(ranked.classes),
            "n_true_boxes": sum(one.n_true for one in self.matches),
            "n_predicted_boxes": self.n_predicted,
        }
        for threshold in THRESHOLDS:
            (ap,), recall = ranked.average_precision(threshold, once), ranked.recall(threshold)
            summary[f"ap{100 * threshold:.0f}"] = float(ap) if ranked.classes else None
            summary[f"recall{100 * threshold:.0f}"] = recall if ranked.classes else None
        return summary


def _one_class(members: Sequence[Matches], numbers: Mapping[str, int]) -> OneClass:
    n_true = np.zeros(len(numbers))
    for one in members:
        n_true[numbers[one.image_id]] += one.n_true
    scores = np.array([score for one in members for score in one.scores])
    owners = np.array([numbers[one.image_id] for one in members for _ in one.scores], dtype=int)
    hits = np.concatenate([np.array(one.hits, dtype=bool) for one in members], axis=1)
    order = np.argsort(-scores, kind="stable")
    return OneClass(hits[:, order], owners[order], n_true)
