"""Scores of all boxes: average precision and recall, and `Detections`, a state that adds up.

They are those of pycocotools' COCOeval over all areas, without crowds: greedy matching within a
class and an image, the best score first; precision interpolated at 101 recalls; means over the
classes that have a true box. (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.)
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from gradbox.boxes import Boxes, iou
from gradbox.scores.bootstrap import Bounds, bags, drawn_bounds
from gradbox.scores.columns import Columns

THRESHOLDS = (0.3, 0.5)
"""The IoUs at which boxes are matched: at least that much is a hit, as in COCO."""
MOST_BOXES = 100
"""How many boxes of a class in an image count, those with the best scores."""
RANKS = 4096
"""At how many ranks precision is taken where bags of many images are drawn, of all classes."""
LEAST_RANKS = 256
"""At how many ranks of a class."""
_RECALLS = np.linspace(0.0, 1.0, 101)
_ARRAYS = 8  # of one number a box and draw that average precision holds at once
_NO_CLASS = -1
_HITS: Mapping[str, str] = {f"hit{100 * threshold:.0f}": "?" for threshold in THRESHOLDS}


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
    found: Shaped[np.ndarray, "b n"],
    taken: Shaped[np.ndarray, "b n"],
    n_true: Float[np.ndarray, "b"],
) -> Float[np.ndarray, "b"]:
    """Average precision of one class in b draws of images; NaN where a draw has no true box.

    Args:
        found: how many boxes hit among those up to each rank, the best score first.
        taken: how many boxes those are.
        n_true: the number of true boxes drawn.
    """
    reached = np.searchsorted(_RECALLS, found / np.maximum(n_true, 1)[:, None], side="right")
    steps = np.diff(reached.astype(np.int8), axis=1, prepend=np.int8(0))
    del reached
    precision = (found / np.maximum(taken, 1))[:, ::-1]
    np.maximum.accumulate(precision, axis=1, out=precision)
    precision *= steps[:, ::-1]
    area = precision[:, ::-1].sum(axis=1) / len(_RECALLS)
    return np.where(n_true > 0, area, np.nan)


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """The boxes of one class in one image.

    `image` is its number in the run; `label` is None where classes do not count. `scores` are those
    of the boxes that count, the best first, and `hits` has for each of `THRESHOLDS` whether they
    hit; `n_predicted` counts all.
    """

    image: int
    label: int | None
    scores: tuple[float, ...]
    hits: tuple[tuple[bool, ...], ...]
    n_predicted: int
    n_true: int

    @classmethod
    def of(
        cls,
        image: int,
        label: int | None,
        boxes: Boxes,
        scores: Float[np.ndarray, "n"],
        truth: Float[np.ndarray, "m 4"],
    ) -> "Matches":
        """Match the predicted boxes of a class, in any order, with its true ones."""
        best = np.argsort(-scores, kind="stable")[:MOST_BOXES]
        hits: tuple[tuple[bool, ...], ...] = ((False,) * len(best),) * len(THRESHOLDS)
        if len(best) and len(truth):
            ious = iou(boxes[best], truth)
            hits = tuple(tuple(match(ious, threshold).tolist()) for threshold in THRESHOLDS)
        return cls(
            image=image,
            label=label,
            scores=tuple(scores[best].tolist()),
            hits=hits,
            n_predicted=len(boxes),
            n_true=len(truth),
        )


@dataclass(frozen=True, eq=False)
class OneClass:
    """The boxes of a class.

    `hits` has a row for each of `THRESHOLDS` and the n predicted boxes, the best score first;
    `owners` are the numbers of their images, or of what is drawn in place of these; `holders` those
    with true boxes, and `held` how many each has.
    """

    hits: Bool[np.ndarray, "t n"]
    owners: Int[np.ndarray, "n"]
    holders: Int[np.ndarray, "h"]
    held: Int[np.ndarray, "h"]

    def scored(self, threshold: float) -> tuple[float, float]:
        """Average precision and recall at one of `THRESHOLDS`."""
        hits, n_true = self.hits[THRESHOLDS.index(threshold)], self.held.sum()
        ranks = np.arange(1, len(hits) + 1)[None]
        (precision,) = average_precision(np.cumsum(hits)[None], ranks, np.array([float(n_true)]))
        return float(precision), float(hits.sum() / n_true)

    def drawn(
        self, threshold: float, times: Float[np.ndarray, "b g"], ranks: int | None
    ) -> Float[np.ndarray, "b"]:
        """Average precision where owners were drawn so often; at some of the ranks, or at all."""
        n = len(self.owners)
        first = np.unique(np.arange(ranks or n) * n // (ranks or n)) if n else np.zeros(0, int)
        counts = times[:, self.owners]
        taken = np.add.reduceat(counts, first, axis=1)
        counts *= self.hits[THRESHOLDS.index(threshold)]
        found = np.add.reduceat(counts, first, axis=1)
        n_true = times[:, self.holders] @ self.held
        return average_precision(np.cumsum(found, axis=1), np.cumsum(taken, axis=1), n_true)


@dataclass(frozen=True, eq=False)
class Ranked:
    """All boxes of the classes that have a true box, to be drawn by image, or by bags of them.

    `ranks` is at how many ranks of a class precision is taken, None for all.
    """

    classes: tuple[OneClass, ...]
    n_groups: int
    ranks: int | None = None

    def average_precision(
        self, threshold: float, times: Float[np.ndarray, "b g"]
    ) -> Float[np.ndarray, "b"]:
        """The mean over the classes in b draws of images; NaN where a draw has no true box.

        Args:
            threshold: one of `THRESHOLDS`.
            times: how often each image, or bag, was drawn.
        """
        total, count = np.zeros(len(times)), np.zeros(len(times))
        for one in self.classes:
            values = one.drawn(threshold, times, self.ranks)
            total += np.nan_to_num(values)
            count += ~np.isnan(values)
        return np.divide(total, count, out=np.full(len(times), np.nan), where=count > 0)


class Detections:
    """The boxes scored so far; `a + b` is what one pass over the images of both would give."""

    def __init__(self) -> None:
        self._images = Columns({"image": "i4", "label": "i4", "n_true": "i4", "n_predicted": "i4"})
        self._boxes = Columns({"image": "i4", "label": "i4", "score": "f8", **_HITS})

    @classmethod
    def of(cls, matches: Iterable[Matches]) -> "Detections":
        """The state after these."""
        detections = cls()
        for one in matches:
            detections.add(one)
        return detections

    def add(self, one: Matches) -> None:
        """Count the boxes of one more class of an image."""
        label = _NO_CLASS if one.label is None else one.label
        self._images.append((one.image, label, one.n_true, one.n_predicted))
        for score, *hits in zip(one.scores, *one.hits, strict=True):
            self._boxes.append((one.image, label, score, *hits))

    def __add__(self, other: "Detections") -> "Detections":
        both = Detections()
        for one in (self, other):
            both._images.extend(one._images)
            both._boxes.extend(one._boxes)
        return both

    @property
    def images(self) -> Int[np.ndarray, "g"]:
        """The numbers of the images, each once: the groups of a bootstrap."""
        return np.unique(self._images["image"])

    def summary(self) -> dict[str, Any]:
        """The numbers, ready for JSON and the same in whatever order the images came.

        `ap30` and `ap50` are average precision, `recall30` and `recall50` the share of the true
        boxes that are hit, means over the classes; None where there is no true box.
        """
        scored = [[one.scored(threshold) for threshold in THRESHOLDS] for one in self._classes()]
        summary: dict[str, Any] = {
            "n_classes": len(scored),
            "n_true_boxes": int(self._images["n_true"].sum()),
            "n_predicted_boxes": int(self._images["n_predicted"].sum()),
        }
        for i, threshold in enumerate(THRESHOLDS):
            for j, name in enumerate(("ap", "recall")):
                values = [of_class[i][j] for of_class in scored]
                mean = sum(values) / len(values) if values else None
                summary[f"{name}{100 * threshold:.0f}"] = mean
        return summary

    def bounds(self, threshold: float) -> Bounds:
        """The 95 % bootstrap interval of average precision, over images.

        Of more than `bootstrap.MANY` images bags are drawn, and precision is taken at `RANKS` ranks
        together, by which it is a little lower: the interval is moved by as much as the mean is.
        """
        ranked = self.ranked()
        most = max((len(one.owners) for one in ranked.classes), default=0)
        statistic = partial(ranked.average_precision, threshold)
        low, high = drawn_bounds(statistic, ranked.n_groups, cells=_ARRAYS * most)
        if ranked.ranks is None or low is None or high is None:
            return low, high
        (thin,) = statistic(np.ones((1, ranked.n_groups)))
        moved = self.summary()[f"ap{100 * threshold:.0f}"] - float(thin)
        return low + moved, high + moved

    def ranked(self) -> Ranked:
        """The boxes by class and score; of equal scores, those of the first image."""
        images = self.images
        bag = bags(len(images)).astype(np.int32)
        n_groups = int(bag.max(initial=-1)) + 1
        classes = tuple(
            replace(
                one,
                owners=bag[np.searchsorted(images, one.owners)],
                holders=bag[np.searchsorted(images, one.holders)],
            )
            for one in self._classes()
        )
        is_thin = n_groups < len(images)
        ranks = max(RANKS // max(len(classes), 1), LEAST_RANKS) if is_thin else None
        return Ranked(classes, n_groups, ranks)

    def _classes(self) -> Iterator[OneClass]:
        """The classes with a true box, in the order in which images first have them."""
        image, label, n_true = (self._images[name] for name in ("image", "label", "n_true"))
        labels, first = np.unique(label[np.argsort(image, kind="stable")], return_index=True)
        owner, owned, *hits = (self._boxes[name] for name in ("image", "label", *_HITS))
        score = self._boxes["score"]
        best = np.lexsort((owner, np.negative(score, out=score), owned)).astype(np.int32)
        del score  # a million images have a few million boxes
        starts = np.searchsorted(owned, labels, sorter=best)
        ends = np.searchsorted(owned, labels, side="right", sorter=best)
        for i in np.argsort(first):
            mine, rows = best[starts[i] : ends[i]], (label == labels[i]) & (n_true > 0)
            if rows.any():
                yield OneClass(
                    hits=np.stack([of_threshold[mine] for of_threshold in hits]),
                    owners=owner[mine],
                    holders=image[rows],
                    held=n_true[rows],
                )
