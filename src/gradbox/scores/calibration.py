"""What the score of a box is worth: whether it ranks the boxes, and whether it is a probability.

A hit is a box with IoU > 0.5, as for CorLoc. Equal scores are never told apart, so that no number
depends on the order of the images.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import Scores, is_hit

BINS = 15
"""How many bins of equally many boxes the scores are put into, as many as Guo et al. have."""
_POINTS = 100  # of a risk-coverage curve that is written down

Values = Float[np.ndarray, "n"]
Hits = Bool[np.ndarray, "n"]


def mean_ranks(values: Values) -> Values:
    """The ranks from 1 to n, lowest value first; equal values share the mean of theirs."""
    order = np.argsort(values, kind="stable")
    rising = values[order]
    first = np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
    counts = np.diff(first, append=len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    return ranks


def pearson(a: Values, b: Values) -> float | None:
    """The linear correlation in [-1, 1]; None where one of them never varies."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a: Values, b: Values) -> float | None:
    """The correlation of the ranks in [-1, 1]; None where one of them never varies."""
    return pearson(mean_ranks(a), mean_ranks(b))


def brier(scores: Values, hits: Hits) -> float:
    """The mean squared difference of score and hit: 0 is perfect, a score of 0.5 gives 0.25.

    (Brier, "Verification of forecasts expressed in terms of probability", 1950.)
    """
    return float(np.mean((scores - hits) ** 2))


def bin_numbers(scores: Values, bins: int = BINS) -> Int[np.ndarray, "n"]:
    """The bin of each score, from 0, lowest scores first, equally many in each.

    A score stands in the bin of its rank r of n, floor(bins * (r - 0.5) / n); equal scores have the
    same rank, so they stay together and some bins may be larger, others empty.
    """
    return np.floor(bins * (mean_ranks(scores) - 0.5) / len(scores)).astype(int)


def expected_calibration_error(scores: Values, hits: Hits, bins: int = BINS) -> float:
    """The mean over boxes of how far the share of hits of their bin is from its mean score.

    (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3, with bins of equally
    many; Nguyen & O'Connor, EMNLP 2015.)
    """
    gaps = np.bincount(bin_numbers(scores, bins), weights=scores - hits)
    return float(np.abs(gaps).sum() / len(scores))


def risks(scores: Values, hits: Hits) -> Values:
    """The share of misses among the k best boxes by score, for k from 1 to n.

    Of equal scores each counts with their mean: what to expect if they are drawn in random order.
    (Selective risk; Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks", 2017.)
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    misses = (np.bincount(places, weights=~hits) / counts)[places]
    best_first = np.argsort(-scores, kind="stable")
    return np.cumsum(misses[best_first]) / np.arange(1, len(scores) + 1)


def calibration(scores: Scores, *, strict: bool = True, is_calibrated: bool) -> dict[str, Any]:
    """The numbers of the main boxes' scores, ready for JSON.

    `coverage` is the share of units that have a box. `aurc` is the mean of the risks over these and
    `risk_coverage` up to 100 points (coverage, risk) of their curve; `pearson` and `spearman` are
    the correlations of score and IoU. Scores that are probabilities also have `ece`, `brier` with
    its 95 % bootstrap interval over images, and `reliability`: of each bin its mean `score`, its
    share of `hits` with interval, and its `n` boxes. None where there is nothing to tell.
    """
    trusts, ious, images = _boxed(scores)
    hits, n_units, n_boxes = is_hit(ious, strict=strict), len(scores), len(trusts)
    along = risks(trusts, hits)
    numbers = {
        "is_calibrated": is_calibrated,
        "n_boxes": n_boxes,
        "coverage": n_boxes / n_units if n_units else None,
        "aurc": float(along.mean()) if n_boxes else None,
        "risk_coverage": [[k / n_units, float(along[k - 1])] for k in _shown(n_boxes)],
        "pearson": pearson(trusts, ious),
        "spearman": spearman(trusts, ious),
    }
    if is_calibrated and n_boxes:
        numbers |= _as_probabilities(trusts, hits, images)
    return numbers


def _boxed(scores: Scores) -> tuple[Values, Values, Int[np.ndarray, "n"]]:
    """The scores, IoUs and images of the units that have a box, lowest score first.

    Sorted, so that the order of the units cannot show in the last digit.
    """
    trusts, ious, images = scores.scores, scores.ious, scores.images
    order = np.lexsort((images, ious, trusts))[: len(trusts) - int(np.isnan(trusts).sum())]
    return trusts[order], ious[order], images[order]


def _as_probabilities(scores: Values, hits: Hits, images: Int[np.ndarray, "n"]) -> dict[str, Any]:
    spread = interval((scores - hits) ** 2, images)
    return {
        "ece": expected_calibration_error(scores, hits),
        "brier": brier(scores, hits),
        "brier_interval": [spread.low, spread.high],
        "reliability": _reliability(scores, hits, images),
    }


def _reliability(scores: Values, hits: Hits, images: Int[np.ndarray, "n"]) -> list[dict[str, Any]]:
    numbers, rows = bin_numbers(scores), []
    for number in np.unique(numbers):
        of_bin = numbers == number
        spread = interval(hits[of_bin], images[of_bin])
        rows.append(
            {
                "score": float(scores[of_bin].mean()),
                "hits": spread.mean,
                "hits_interval": [spread.low, spread.high],
                "n": int(of_bin.sum()),
            }
        )
    return rows


def _shown(count: int) -> list[int]:
    """Up to 100 numbers of boxes, evenly from a hundredth of them to all."""
    return sorted({-(-step * count // _POINTS) for step in range(1, _POINTS + 1)} - {0})
