"""Few boxes of the user's own: what `auto` learns from them, and whether it pays.

Each step is scored by cross-validation over images, five parts drawn by chance, and is taken only
where it gains more than its standard error on images that it was not fitted on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from gradbox import boxes as bx
from gradbox.auto.fitted import Rung
from gradbox.auto.localizer import Candidates
from gradbox.auto.looks import Example, seen_by, taught_last_layer
from gradbox.auto.search import Rows, Search, value_of
from gradbox.auto.settings import Tuned
from gradbox.errors import UsageError
from gradbox.foreground.last_layer import LastLayer
from gradbox.foreground.spool import Spool
from gradbox.progress import Track, silent
from gradbox.scores.bootstrap import interval, standard_error
from gradbox.scores.boxes import is_hit
from gradbox.scores.calibration import expected_calibration_error

FOLDS = 5
FEWEST = 2 * FOLDS
_MANY = 100
"""From so many examples on all weights of the calibration are learned, not slope and bias alone."""

AS_IT_IS = "as it is"
STEPS = ("settings", "choice", "last layer", "calibration")
"""What may be learned, in the order of trying. Calibration is last: it is of the boxes that the
others find."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What was found in one example by what was not fitted on it.

    `iou` is that of the main box; `scores` and `hits` are those of all its boxes.
    """

    iou: float
    scores: Float[np.ndarray, "n"]
    hits: Bool[np.ndarray, "n"]

    @property
    def misfit(self) -> float:
        """The mean squared distance of score and hit (Brier 1950)."""
        return float(((self.scores - self.hits) ** 2).mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """What a fit has come to; without a `last_layer` the head's stays."""

    tuned: Tuned
    last_layer: LastLayer | None
    rungs: tuple[Rung, ...]


def learn(
    examples: Sequence[Example],
    usual: Tuned,
    *,
    closer: float,
    spool: Spool,
    layer: LastLayer | None,
    seed: int = 0,
    track: Track = silent,
) -> Learned:
    """What pays of the `STEPS`, each on top of those that were taken before.

    Args:
        examples: what was seen of the images.
        usual: the settings and the calibration as they are.
        closer: the share of the image below which a main box is looked at again.
        spool: what the foreground head's last layer has read of the images.
        layer: the last layer that the head has, None without a head.
        seed: of the parts of the cross-validation.
        track: shows progress.

    Raises:
        UsageError: there are too few images.
    """
    images = list(dict.fromkeys(one.image for one in examples))
    if len(images) < FEWEST:
        raise UsageError(
            f"{len(images)} images with a box and a map are too few to fit on: give at least "
            f"{FEWEST}"
        )
    crossed = _Crossed(
        search=Search(examples, usual, closer),
        spool=spool,
        layer=layer,
        fold=_folds(examples, images, seed),
    )
    taken: tuple[str, ...] = ()
    before = crossed.outcomes(())
    groups = [one.image for one in examples]
    rungs = [_rung(AS_IT_IS, before, groups)]
    steps = [step for step in STEPS if layer is not None or step != "last layer"]
    for (step,) in track(([step] for step in steps), len(steps), "fitting"):
        after = crossed.outcomes((*taken, step))
        pairs = zip(before, after, strict=True)
        gains = np.array([_worth(step, b) - _worth(step, a) for a, b in pairs])
        gain, error = float(gains.mean()), standard_error(gains, groups, seed=seed)
        rung = replace(_rung(step, after, groups), gain=gain, error=error, taken=gain > error)
        rungs.append(rung)
        if rung.taken:
            taken, before = (*taken, step), after
    return Learned(
        tuned=crossed.tuned(np.arange(len(examples)), taken),
        last_layer=crossed.last_layer(examples) if "last layer" in taken else None,
        rungs=tuple(rungs),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Crossed:
    """Fits of some steps, and what they find in the examples of the other parts (`fold`)."""

    search: Search
    spool: Spool
    layer: LastLayer | None
    fold: Int[np.ndarray, "n"]

    def outcomes(self, steps: Sequence[str]) -> Sequence[Outcome]:
        """What is found in each example by a fit of the other parts."""
        search = self._search(steps)
        fitted = {
            k: self.tuned(np.flatnonzero(self.fold != k), steps) for k in np.unique(self.fold)
        }
        return [
            _outcome(search.found(fitted[k], row), fitted[k], search.examples[row])
            for row, k in enumerate(self.fold)
        ]

    def tuned(self, rows: Rows, steps: Sequence[str]) -> Tuned:
        """A fit of these steps to these examples."""
        search = self._search(steps)
        tuned = search.usual
        if "settings" in steps:
            tuned = replace(tuned, settings=(search.best(rows),))
        if "choice" in steps:
            tuned = search.learn_choice(tuned, rows)
        return _calibrated(search, tuned, rows) if "calibration" in steps else tuned

    def _search(self, steps: Sequence[str]) -> Search:
        return self._with_last_layers if "last layer" in steps else self.search

    @cached_property
    def _with_last_layers(self) -> Search:
        """The examples as they are seen by last layers that were not taught by their part."""
        pairs = list(zip(self.search.examples, self.fold.tolist(), strict=True))
        layers = {
            part: self.last_layer([one for one, k in pairs if k != part])
            for part in set(self.fold.tolist())
        }
        seen = [seen_by(layers[k], one, self.spool) for one, k in pairs]
        return Search(seen, self.search.usual, self.search.closer)

    def last_layer(self, examples: Sequence[Example]) -> LastLayer:
        """The one taught by these examples."""
        assert self.layer is not None
        return taught_last_layer(self.layer, examples, self.spool)


def _folds(examples: Sequence[Example], images: Sequence[str], seed: int) -> Int[np.ndarray, "n"]:
    """The part of each example; those of one image lie in one."""
    order = np.random.default_rng(seed).permutation(len(images))
    part = {image: int(k) % FOLDS for image, k in zip(images, order, strict=True)}
    return np.array([part[one.image] for one in examples])


def _calibrated(search: Search, tuned: Tuned, rows: Rows) -> Tuned:
    """With a calibration that is near the usual one and fits better to whether boxes hit."""
    found = [search.found(tuned, row) for row in rows.tolist()]
    kept = [
        (one.evidence, _hits(one, search.examples[row]))
        for one, row in zip(found, rows.tolist(), strict=True)
        if one.evidence is not None
    ]
    if not kept:
        return tuned
    evidence, hits = (np.concatenate(values) for values in zip(*kept, strict=True))
    usual = tuned.confidence
    learned = usual.rescaled if len(rows) < _MANY else usual.adapted
    return replace(tuned, confidence=learned(evidence, hits.astype(np.float64)))


def _outcome(found: Candidates, tuned: Tuned, example: Example) -> Outcome:
    iou = float(bx.iou(found.boxes[:1], example.truth).max())
    scores = found.scores(tuned.confidence)
    return Outcome(iou=iou, scores=scores, hits=_hits(found, example))


def _hits(found: Candidates, example: Example) -> Bool[np.ndarray, "n"]:
    return is_hit(bx.iou(found.boxes, example.truth).max(axis=1))


def _worth(step: str, outcome: Outcome) -> float:
    """What a step is for: the calibration for scores that fit, the others for the main box."""
    return -outcome.misfit if step == "calibration" else value_of(outcome.iou)


def _rung(name: str, outcomes: Sequence[Outcome], groups: Sequence[str]) -> Rung:
    ious = np.array([one.iou for one in outcomes])
    hits_of_main, mean = interval(is_hit(ious), groups), interval(ious, groups)
    scores, hits = (
        np.concatenate([getattr(one, what) for one in outcomes]) for what in ("scores", "hits")
    )
    return Rung(
        name=name,
        corloc=hits_of_main.mean,
        mean_iou=mean.mean,
        corloc_interval=(hits_of_main.low, hits_of_main.high),
        mean_iou_interval=(mean.low, mean.high),
        calibration_error=expected_calibration_error(scores, hits),
    )
