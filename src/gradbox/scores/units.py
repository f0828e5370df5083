"""What is scored: the units of a data set, and predictions held against them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradbox.boxes import Boxes
from gradbox.errors import UsageError
from gradbox.localization import ClassFrom, Localization, Sample
from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import Scores, Unit, is_hit, pointing_hit

IndexOf = Callable[[str], int]
"""From a class as the data set writes it to the classifier's index; UsageError if there is none."""
HEADLINE = (
    "corloc",
    "corloc_interval",
    "mean_iou",
    "mean_iou_interval",
    "center_correctness",
)
"""The keys of `summary` that tables of several methods show."""


@dataclass(frozen=True, eq=False)
class TrueUnit:
    """What one box is held against: the boxes of one class of an image, or all of the image's.

    `index` is the class of the classifier, None where it knows none of this name.
    """

    name: str | None
    index: int | None
    boxes: Boxes


def true_units(sample: Sample, class_from: ClassFrom, index_of: IndexOf) -> Sequence[TrueUnit]:
    """The units of an image: one for each class for `truth`, else one with every box.

    Raises:
        UsageError: for `truth`, a class that the classifier does not know.
    """
    names = dict.fromkeys(sample.labels)
    if class_from == "truth" and len(names) > 1:
        return [
            TrueUnit(name, index_of(name), sample.boxes[[c == name for c in sample.labels]])
            for name in names
        ]
    one_class = len(names) == 1
    name = sample.label if sample.label is not None or not one_class else sample.labels[0]
    if class_from == "truth":
        return [TrueUnit(name, index_of(name), sample.boxes)] if one_class and name else []
    return [TrueUnit(name, _index_or_none(name, index_of), sample.boxes)] if names else []


def units(
    image: int,
    truth: Sequence[TrueUnit],
    found: Localization,
    class_from: ClassFrom,
    naming: Callable[[int], str],
) -> Iterator[Unit]:
    """The scored units of what was found in an image, whose number in the run this is."""
    return (_unit(image, one, found, class_from, naming) for one in truth)


def summary(scores: Scores, *, strict: bool = True) -> dict[str, Any]:
    """The numbers of `Scores.summary` with bootstrap intervals over images."""
    numbers = scores.summary(strict=strict)
    if not len(scores):
        return numbers
    ious = scores.ious
    hits = is_hit(ious, strict=strict).astype(np.float64)
    for name, values in (("corloc", hits), ("mean_iou", ious)):
        spread = interval(values, scores.images)
        numbers[f"{name}_interval"] = [spread.low, spread.high]
    return numbers


def _unit(
    image: int,
    truth: TrueUnit,
    localization: Localization,
    class_from: ClassFrom,
    naming: Callable[[int], str],
) -> Unit:
    top = localization.top_labels
    if class_from == "truth":
        rows = [i for i, label in enumerate(localization.labels) if label == truth.index]
    else:
        rows = list(range(len(localization.boxes)))
    known = truth.index is not None and len(top) > 0
    return Unit.of(
        image,
        localization.boxes[rows[0]] if rows else None,
        truth.boxes,
        localization.size,
        label=truth.name if truth.index is None else naming(truth.index),
        recognized=truth.index == top[0] if known else None,
        in_top5=truth.index in top if known and class_from == "truth" else None,
        pointed=_pointed(truth, localization, rows),
        score=localization.scores[rows[0]] if rows else None,
    )


def _pointed(truth: TrueUnit, localization: Localization, rows: Sequence[int]) -> bool | None:
    """The pointing game of one unit; a map of zeros points at nothing."""
    if not rows or not localization.peaks:
        return None
    peak = localization.peaks[rows[0]]
    return peak is not None and pointing_hit(np.array(peak), truth.boxes)


def _index_or_none(name: str | None, index_of: IndexOf) -> int | None:
    try:
        return None if name is None else index_of(name)
    except UsageError:
        return None
