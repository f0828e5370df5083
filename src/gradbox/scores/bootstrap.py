"""How sure a score is: bootstrap intervals over images, and a test between two methods."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

_DRAWS_AT_ONCE = 2**22  # bounds the memory of resampling to about 100 MB


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; one image alone has no interval (None)."""

    mean: float
    low: float | None
    high: float | None


def interval(
    values: Shaped[np.ndarray, "n"],
    groups: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean of numbers or hits with its percentile bootstrap interval.

    Whole groups are drawn with replacement: pass the image of each value where several units of
    one image are scored, since these are not independent. Without groups each value is its own.
    (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.)

    Raises:
        ValueError: no values, or not one group for each value.
    """
    if len(values) == 0:
        raise ValueError("the mean of no values is not defined")
    if groups is not None and len(groups) != len(values):
        raise ValueError(f"{len(values)} values but {len(groups)} groups: one group for each value")
    ids = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(ids, weights=values), np.bincount(ids)
    mean = float(sums.sum() / counts.sum())
    if len(sums) == 1:
        return Interval(mean, None, None)
    from scipy import stats

    def resampled_mean(drawn: Shaped[np.ndarray, "... g"], axis: int) -> Float[np.ndarray, "..."]:
        return np.asarray(sums[drawn].sum(axis) / counts[drawn].sum(axis))

    bounds = stats.bootstrap(
        (np.arange(len(sums)),),
        resampled_mean,
        n_resamples=resamples,
        batch=max(1, _DRAWS_AT_ONCE // len(sums)),
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return Interval(mean, float(bounds.low), float(bounds.high))


def paired_difference(
    a: Shaped[np.ndarray, "n"],
    b: Shaped[np.ndarray, "n"],
    groups: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """`interval` of the mean of a - b: two methods on the same units, in the same order."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return interval(difference, groups, level=level, resamples=resamples, seed=seed)


def mcnemar(hits_a: Bool[np.ndarray, "n"], hits_b: Bool[np.ndarray, "n"]) -> float:
    """McNemar's exact two-sided p-value that two methods hit equally often on the same units.

    Only units that one method alone hits tell them apart; they are taken as independent.
    """
    only_a, only_b = int((hits_a & ~hits_b).sum()), int((hits_b & ~hits_a).sum())
    if only_a + only_b == 0:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)
