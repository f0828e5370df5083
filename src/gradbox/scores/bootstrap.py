"""How sure a score is: bootstrap intervals over images, and a test between two methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

Bounds = tuple[float | None, float | None]
"""The lower and the upper end of an interval; None where there is none."""
MANY = 20_000
"""Up to so many groups each is drawn by itself; of more, whole bags of them are drawn."""
BAGS = 4096
_DRAWS_AT_ONCE = 2**20  # bounds the memory of resampling to about 25 MB


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; one image alone has no interval (None)."""

    mean: float
    low: float | None
    high: float | None


def bags(n_groups: int, seed: int = 0) -> Int[np.ndarray, "n"]:
    """The number of what each group is drawn with: its own, or where there are many its bag's.

    More than `MANY` groups are put at random into `BAGS` bags of as many each, or one more. Bags
    are as independent as groups, so what is drawn varies as much; with so many of them the width
    of an interval is off by about 1 / sqrt(2 * BAGS), one per cent. (Random groups: Wolter,
    Introduction to Variance Estimation, 2007, chapter 2.)
    """
    if n_groups <= MANY:
        return np.arange(n_groups)
    return np.random.default_rng(seed).permutation(n_groups) % BAGS


def interval(
    values: Shaped[np.ndarray, "n"],
    groups: Sequence[str] | Shaped[np.ndarray, "n"] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean of numbers or hits with its percentile bootstrap interval.

    Whole groups are drawn with replacement: pass the image of each value where several units of
    one image are scored, since these are not independent. Without groups each value is its own. Of
    more than `MANY` groups whole `bags` are drawn.
    (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.)

    Raises:
        ValueError: no values, or not one group for each value.
    """
    if len(values) == 0:
        raise ValueError("the mean of no values is not defined")
    if groups is not None and len(groups) != len(values):
        raise ValueError(f"{len(values)} values but {len(groups)} groups: one group for each value")
    ids = np.arange(len(values)) if groups is None else numbered(groups)
    sums, counts = np.bincount(ids, weights=values), np.bincount(ids)
    mean = float(sums.sum() / counts.sum())
    bag = bags(len(sums), seed)
    sums, counts = np.bincount(bag, weights=sums), np.bincount(bag, weights=counts)

    def resampled_mean(drawn: Shaped[np.ndarray, "... g"], axis: int) -> Float[np.ndarray, "..."]:
        return np.asarray(sums[drawn].sum(axis) / counts[drawn].sum(axis))

    bounds = _bounds(resampled_mean, len(sums), len(sums), level, resamples, seed)
    return Interval(mean, *bounds)


def numbered(groups: Sequence[str] | Shaped[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The groups as numbers from 0 in their order, none left out."""
    if isinstance(groups, np.ndarray) and (groups[1:] >= groups[:-1]).all():  # without a sort
        return np.cumsum(np.concatenate([[False], groups[1:] != groups[:-1]]))
    return np.unique(groups, return_inverse=True)[1]


def standard_error(
    values: Shaped[np.ndarray, "n"],
    groups: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> float:
    """The standard deviation of the mean of `values` when whole groups are drawn, as in `interval`.

    It is infinite where there is one group alone.
    """
    ids = np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(ids, weights=values), np.bincount(ids)
    if len(sums) < 2:
        return float("inf")
    drawn = np.random.default_rng(seed).integers(len(sums), size=(resamples, len(sums)))
    return float((sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)).std())


def drawn_bounds(
    statistic: Callable[[Float[np.ndarray, "b g"]], Float[np.ndarray, "b"]],
    n_groups: int,
    *,
    cells: int,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Bounds:
    """The percentile bootstrap bounds of what is no mean, over groups drawn with replacement.

    Args:
        statistic: its values in b draws, from how often each group was drawn in each of them.
        n_groups: the number of groups; a single one has no interval (None).
        cells: the numbers that the statistic works on in one draw, to bound its memory.
        level: the confidence level.
        resamples: the number of draws.
        seed: of the draws.
    """

    def resampled(drawn: Shaped[np.ndarray, "... g"], axis: int) -> Float[np.ndarray, "..."]:
        rows = np.moveaxis(drawn, axis, -1).reshape(-1, n_groups)
        places = rows + n_groups * np.arange(len(rows))[:, None]
        times = np.bincount(places.ravel(), minlength=rows.size).reshape(rows.shape)
        return statistic(times.astype(np.float64)).reshape(drawn.shape[:-1])

    return _bounds(resampled, n_groups, max(cells, n_groups), level, resamples, seed)


def _bounds(
    statistic: Callable[..., Any], n_groups: int, cells: int, level: float, draws: int, seed: int
) -> Bounds:
    """Percentiles of a statistic of drawn indices; None where a draw can have no value."""
    if n_groups < 2:
        return None, None
    from scipy import stats

    found = stats.bootstrap(
        (np.arange(n_groups),),
        statistic,
        n_resamples=draws,
        batch=max(1, _DRAWS_AT_ONCE // cells),
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=seed,
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (None, None) if np.isnan(low) else (low, high)


def paired_difference(
    a: Shaped[np.ndarray, "n"],
    b: Shaped[np.ndarray, "n"],
    groups: Sequence[str] | Shaped[np.ndarray, "n"] | None = None,
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
