"""All boxes of a run held against all true ones, and constant boxes beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradbox.boxes import Boxes, centered
from gradbox.errors import UsageError
from gradbox.localization import ClassFrom, Found, Localization, Sample
from gradbox.scores.bootstrap import drawn_bounds
from gradbox.scores.detection import Detections, Matches
from gradbox.scores.units import IndexOf, true_units

_ARRAYS = 8  # of one number a box and draw that average precision holds at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """The true boxes by image id and class; all in the class None where classes do not count."""

    by_class: bool
    boxes: Mapping[str, Mapping[int | None, Boxes]]

    def fit_for(self, found: Mapping[str, Found]) -> "Targets":
        """These, or without classes where boxes were found and none of them has a class."""
        localizations = (one for one in found.values() if isinstance(one, Localization))
        labels = {label for one in localizations for label in one.labels}
        if labels != {None}:
            return self
        return Targets(
            by_class=False,
            boxes={i: {None: np.concatenate([*of.values()])} for i, of in self.boxes.items()},
        )


def targets(samples: Sequence[Sample], class_from: ClassFrom, index_of: IndexOf) -> Targets:
    """The true boxes of images, by class unless there is none to look for.

    Where the classifier lacks the class of a single box, no box of the whole set has a class: else
    the numbers would say which classes the classifier knows, not where the boxes are.
    """
    classed = {} if class_from == "none" else _by_class(samples, index_of)
    return Targets(
        by_class=bool(classed),
        boxes=classed or {sample.image_id: {None: sample.boxes} for sample in samples},
    )


def _by_class(
    samples: Sequence[Sample], index_of: IndexOf
) -> dict[str, Mapping[int | None, Boxes]]:
    """The boxes of each image by class, nothing at all where one has no class that is known."""
    found: dict[str, Mapping[int | None, Boxes]] = {}
    for sample in samples:
        try:
            units = true_units(sample, "truth", index_of)
        except UsageError:
            return {}
        of_image: dict[int | None, Boxes] = {}
        for unit in units:  # two names may be one class
            known = of_image.get(unit.index, unit.boxes[:0])
            of_image[unit.index] = np.concatenate([known, unit.boxes])
        if not of_image:
            return {}
        found[sample.image_id] = of_image
    return found


def detections(targets: Targets, found: Mapping[str, Found]) -> Detections:
    """All boxes of what was found against the true ones; images that failed are left out."""
    return Detections.of(
        Matches.of(image_id, label, localization.boxes[rows], scores[rows], boxes)
        for image_id, localization in found.items()
        if isinstance(localization, Localization)
        for truth in [targets.boxes[image_id]]
        for labels, scores in [_labels_and_scores(localization, targets.by_class)]
        for label in dict.fromkeys([*truth, *labels])
        for rows in [[i for i, one in enumerate(labels) if one == label]]
        for boxes in [truth.get(label, np.zeros((0, 4)))]
    )


def score_detections(targets: Targets, found: Mapping[str, Found]) -> dict[str, Any]:
    """The numbers of `Detections.summary`, AP at IoU 0.5 with a bootstrap interval over images.

    `by_class` says whether a box has to have the class of the true box that it hits.
    """
    targets = targets.fit_for(found)
    scores = detections(targets, found)

    bounds = drawn_bounds(
        partial(scores.ranked().average_precision, 0.5),
        len(scores.image_ids),
        cells=_ARRAYS * scores.n_predicted,
    )
    return {"by_class": targets.by_class, **scores.summary(), "ap50_interval": list(bounds)}


def score_constant_detections(
    targets: Targets, found: Mapping[str, Found], shares: tuple[float, float]
) -> dict[str, Any]:
    """The same for a centred box, with score 1, of each class that was located in an image."""
    constant = {
        image_id: _constant(one, shares, targets.by_class) if isinstance(one, Localization) else one
        for image_id, one in found.items()
    }
    return score_detections(targets, constant)


def _constant(
    localization: Localization, shares: tuple[float, float], by_class: bool
) -> Localization:
    labels = tuple(dict.fromkeys(localization.labels)) if by_class else (None,)
    ones = (1.0,) * len(labels)
    boxes = np.tile(centered(*localization.size, shares), (len(labels), 1))
    return replace(
        localization,
        boxes=boxes,
        labels=labels,
        label_scores=ones,
        scores=ones,
        names=(),
        peaks=(),
        map_shares=(),
    )


def _labels_and_scores(
    localization: Localization, by_class: bool
) -> tuple[Sequence[int | None], np.ndarray]:
    labels = localization.labels if by_class else (None,) * len(localization.labels)
    return labels, np.array(localization.scores, dtype=np.float64)
