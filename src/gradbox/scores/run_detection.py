"""All boxes of a run held against all true ones, and constant boxes beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradbox.boxes import Boxes, centered
from gradbox.errors import UsageError
from gradbox.localization import ClassFrom, Found, Localization, Sample
from gradbox.scores.detection import Detections, Matches
from gradbox.scores.units import IndexOf, true_units

Targets = Mapping[int | None, Boxes]
"""The true boxes of an image by class; all in the class None where classes do not count."""


def have_classes(samples: Iterable[Sample], class_from: ClassFrom, index_of: IndexOf) -> bool:
    """Whether boxes are told apart by class: there is one to look for, and each is known.

    Where the classifier lacks the class of a single box, no box of the whole set has a class: else
    the numbers would say which classes the classifier knows, not where the boxes are.
    """
    try:
        return class_from != "none" and all(true_units(s, "truth", index_of) for s in samples)
    except UsageError:
        return False


def name_classes(found: Iterable[Found]) -> bool:
    """Whether a method names classes at all: some box has one, or there is no box."""
    labels = (label for one in found if isinstance(one, Localization) for label in one.labels)
    first = next(labels, 0)
    return first is not None or any(label is not None for label in labels)


def targets(sample: Sample, index_of: IndexOf, *, by_class: bool) -> Targets:
    """The true boxes of an image, by class where classes count."""
    if not by_class:
        return {None: sample.boxes}
    of_class: dict[int | None, Boxes] = {}
    for unit in true_units(sample, "truth", index_of):  # two names may be one class
        known = of_class.get(unit.index, unit.boxes[:0])
        of_class[unit.index] = np.concatenate([known, unit.boxes])
    return of_class


def matches(image: int, truth: Targets, found: Localization) -> Iterator[Matches]:
    """The boxes of an image, its number in the run, against the true ones, class by class."""
    labels: Sequence[int | None] = found.labels
    if None in truth:
        labels = (None,) * len(labels)
    scores = np.array(found.scores, dtype=np.float64)
    for label in dict.fromkeys([*truth, *labels]):
        rows = [i for i, one in enumerate(labels) if one == label]
        boxes = truth.get(label, np.zeros((0, 4)))
        yield Matches.of(image, label, found.boxes[rows], scores[rows], boxes)


def constant_matches(
    image: int, truth: Targets, found: Localization, shares: tuple[float, float]
) -> Iterator[Matches]:
    """The same for a centred box, with score 1, of each class that was located in an image."""
    box, score = centered(*found.size, shares)[None], np.ones(1)
    located = [None] if None in truth else list(dict.fromkeys(found.labels))
    for label in dict.fromkeys([*truth, *located]):
        n = int(label in located)
        boxes = truth.get(label, np.zeros((0, 4)))
        yield Matches.of(image, label, box[:n], score[:n], boxes)


def summary(scores: Detections, *, by_class: bool) -> dict[str, Any]:
    """The numbers of `Detections.summary`, AP at IoU 0.5 with a bootstrap interval over images.

    `by_class` says whether a box has to have the class of the true box that it hits.
    """
    return {
        "by_class": by_class,
        **scores.summary(),
        "ap50_interval": list(scores.bounds(0.5)),
    }
