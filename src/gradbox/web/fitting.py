"""A fit of `auto` by drawn boxes: before and after on held-out images, beside constant boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.auto.fitted import Fitted
from gradbox.auto.fitting import FEWEST
from gradbox.auto.method import Auto
from gradbox.boxes import centered
from gradbox.errors import UsageError
from gradbox.localization import Sample
from gradbox.methods import to_method
from gradbox.models.classifier import Classifier
from gradbox.progress import Track
from gradbox.runs.execution import Running
from gradbox.runs.fitting import fit
from gradbox.scores.baselines import mean_shares
from gradbox.scores.bootstrap import Interval, interval
from gradbox.scores.boxes import best_iou, is_hit
from gradbox.web.drawn import Drawn


@dataclass(frozen=True, kw_only=True)
class Row:
    """Scores on images that were not fitted on, in [0, 1], with their intervals."""

    name: str
    corloc: Interval
    mean_iou: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A fit, its file, and its scores: before, after, constant boxes."""

    fitted: Fitted
    file: Path
    rows: Sequence[Row]

    @property
    def taken(self) -> Sequence[str]:
        """What was learned."""
        return [rung.name for rung in self.fitted.rungs[1:] if rung.taken]


def fit_drawn(drawn: Drawn, classifier: Classifier, method: Any, *, track: Track) -> Outcome:
    """Fit `auto` to the drawn boxes and write the file, as `gradbox fit` does.

    Raises:
        UsageError: too few images have a box, or the method is not `auto`.
    """
    boxed = sum(count > 0 for count in drawn.counts.values())
    if boxed < FEWEST:
        raise UsageError(f"{boxed} images have a box: draw on at least {FEWEST} of them")
    if not isinstance(to_method(method), Auto):
        raise UsageError(f"{method} is not auto, which is what drawn boxes fit")
    dataset, file = drawn.dataset(), drawn.next_fit()
    found = fit(
        dataset,
        classifier,
        file,
        method=method,
        box="auto",
        class_from="predicted",
        running=Running(track=track),
    )
    assert isinstance(found, Fitted)
    first = found.rungs[0]
    last = [rung for rung in found.rungs if rung.taken][-1]
    rows = [
        Row(
            name=name,
            corloc=Interval(rung.corloc, *rung.corloc_interval),
            mean_iou=Interval(rung.mean_iou, *rung.mean_iou_interval),
        )
        for name, rung in (("before", first), ("after", last))
    ]
    return Outcome(fitted=found, file=file, rows=[*rows, *constant_rows(dataset.samples)])


def constant_rows(samples: Sequence[Sample]) -> Sequence[Row]:
    """The constant boxes; `center(mean)` takes the mean of the other images' boxes for each."""
    boxed = [one for one in samples if one.size is not None and len(one.boxes)]
    sized = [(one.boxes, one.size) for one in boxed if one.size is not None]
    means = [mean_shares([*sized[:i], *sized[i + 1 :]]) for i in range(len(sized))]
    shares = {
        "center(0.8)": [(0.8, 0.8)] * len(boxed),
        "center(mean)": means,
        "whole": [(1.0, 1.0)] * len(boxed),
    }
    return [_constant(name, boxed, of_each) for name, of_each in shares.items()]


def _constant(name: str, samples: Sequence[Sample], shares: Sequence[tuple[float, float]]) -> Row:
    ious = np.array(
        [
            best_iou(centered(*one.size, share), one.boxes)
            for one, share in zip(samples, shares, strict=True)
            if one.size is not None
        ]
    )
    return Row(name=name, corloc=interval(is_hit(ious)), mean_iou=interval(ious))
