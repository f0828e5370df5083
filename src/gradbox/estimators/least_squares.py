"""Linear least squares over feature rows on disk: with a penalty, exactly, or by gradient descent.

All solvers see standardized features z and return weights (m, 4); the bias is the mean target,
since z has mean 0. With a penalty they minimize sum |y - mean(y) - z W|^2 + penalty |W|^2, which is
scikit-learn's `Ridge(alpha=penalty)`. No more than `BLOCK` feature values are in memory at a time,
besides the matrices named at each solver.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from gradbox.errors import UsageError
from gradbox.estimators.rows import Matrix

BLOCK = 2**23
"""Feature values (float64) in memory at a time: 64 MiB."""

Weights = Float[np.ndarray, "m 4"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Features (n, m), usually a memory map, targets (n, 4), and the fold (n,) of each row.

    `mean` and `scale` standardize the features; `scale` is 1 for a constant feature.
    """

    features: Matrix
    targets: Float[np.ndarray, "n 4"]
    fold: Int[np.ndarray, "n"]
    mean: Float[np.ndarray, "m"]
    scale: Float[np.ndarray, "m"]

    @classmethod
    def standardize(
        cls,
        features: Matrix,
        targets: Float[np.ndarray, "n 4"],
        fold: Int[np.ndarray, "n"],
    ) -> "Problem":
        """A problem with the features' own mean and standard deviation (of the population)."""
        count, width = features.shape
        raw = cls(
            features=features,
            targets=targets,
            fold=fold,
            mean=np.zeros(width),
            scale=np.ones(width),
        )
        mean = sum(block.sum(axis=0) for _, block in raw.row_blocks()) / count
        square = sum(((block - mean) ** 2).sum(axis=0) for _, block in raw.row_blocks())
        deviation = np.sqrt(square / count)
        scale = np.where(deviation > 1e-7 * np.abs(mean), deviation, 1.0)
        return cls(features=features, targets=targets, fold=fold, mean=mean, scale=scale)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def width(self) -> int:
        """Number of features."""
        return self.features.shape[1]

    def rows(self, index: slice | Int[np.ndarray, "k"]) -> Float[np.ndarray, "k m"]:
        """Standardized features of some rows."""
        return (self.features[index] - self.mean) / self.scale

    def row_blocks(self) -> Iterator[tuple[slice, Float[np.ndarray, "k m"]]]:
        """All standardized rows, some at a time."""
        for part in _slices(len(self), self.width):
            yield part, self.rows(part)

    def column_blocks(self) -> Iterator[tuple[slice, Float[np.ndarray, "n k"]]]:
        """All standardized columns, some at a time."""
        for part in _slices(self.width, len(self)):
            yield part, (self.features[:, part] - self.mean[part]) / self.scale[part]

    def normal(self, weights: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
        """Z'Z W, in one pass over the rows."""
        scaled = weights / self.scale[:, None]
        shift = self.mean @ scaled
        return self._transposed(lambda _, raw: raw @ scaled - shift)

    def transposed(self, values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "m k"]:
        """Z'V, in one pass over the rows."""
        return self._transposed(lambda part, _: values[part])

    def _transposed(
        self, of: Callable[[slice, Float[np.ndarray, "r m"]], Float[np.ndarray, "r k"]]
    ) -> Float[np.ndarray, "m k"]:
        """Z'V, with V as `of` gives it for a block of raw features; no block is standardized."""
        product: Any = 0.0
        total: Any = 0.0
        for part in _slices(len(self), self.width):
            raw = self.features[part].astype(np.float64)
            values = of(part, raw)
            product = product + raw.T @ values
            total = total + values.sum(axis=0)
        return (product - np.outer(self.mean, total)) / self.scale[:, None]

    def sample(self, count: int) -> "Problem":
        """At most `count` rows, evenly spaced, in memory; standardized like the whole."""
        index = np.unique(np.linspace(0, len(self) - 1, count).astype(int))
        return Problem(
            features=np.asarray(self.features[index]),
            targets=self.targets[index],
            fold=self.fold[index],
            mean=self.mean,
            scale=self.scale,
        )


@runtime_checkable
class Solver(Protocol):
    """One form of the same least squares."""

    def held_out_error(self, penalty: float) -> float:
        """Mean squared error on each fold by weights and centres from the other folds."""
        ...

    def weights(self, penalty: float) -> Weights:
        """The solution on all rows."""
        ...


class NormalEquations:
    """Solves with the features' moments: (folds, m + 5, m + 5) in memory, whatever n is."""

    def __init__(self, problem: Problem) -> None:
        size = problem.width + 5
        self.moments = np.zeros((problem.fold.max() + 1, size, size))
        for part, block in problem.row_blocks():
            all_ones = np.ones((len(block), 1))
            joint = np.concatenate([block, problem.targets[part], all_ones], axis=1)  # z, y, 1
            for fold in np.unique(problem.fold[part]):
                rows = joint[problem.fold[part] == fold]
                self.moments[fold] += rows.T @ rows

    def held_out_error(self, penalty: float) -> float:
        """See `Solver`."""
        total = self.moments.sum(axis=0)
        errors = 0.0
        for held_out in self.moments:
            weights, mean = _solve_moments(total - held_out, penalty)
            mixed = np.outer(mean, held_out[-1, :-1])
            about_mean = held_out[:-1, :-1] - mixed - mixed.T
            about_mean += held_out[-1, -1] * np.outer(mean, mean)
            residual = np.concatenate([-weights, np.eye(4)])  # y - z W as a map of (z, y)
            errors += np.sum(residual * (about_mean @ residual))
        return float(errors / total[-1, -1] / 4)

    def weights(self, penalty: float) -> Weights:
        """See `Solver`."""
        return _solve_moments(self.moments.sum(axis=0), penalty)[0]


class Gram:
    """Solves with all inner products of rows, (n, n) in memory, whatever m is."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.gram = np.zeros((len(problem), len(problem)))
        for _, block in problem.column_blocks():
            self.gram += block @ block.T

    def held_out_error(self, penalty: float) -> float:
        """See `Solver`."""
        targets, fold = self.problem.targets, self.problem.fold
        errors = 0.0
        for held_out in np.unique(fold):
            test, train = np.flatnonzero(fold == held_out), np.flatnonzero(fold != held_out)
            center = targets[train].mean(axis=0)
            inner = self.gram[np.ix_(train, train)]
            row_mean, mean = inner.mean(axis=0), inner.mean()
            inner = inner - row_mean - row_mean[:, None] + mean
            dual = _solve_penalized(inner, targets[train] - center, penalty)
            across = self.gram[np.ix_(test, train)]
            across = across - across.mean(axis=1, keepdims=True) - row_mean + mean
            errors += np.sum((targets[test] - center - across @ dual) ** 2)
        return float(errors / targets.size)

    def weights(self, penalty: float) -> Weights:
        """See `Solver`."""
        targets = self.problem.targets
        dual = _solve_penalized(self.gram, targets - targets.mean(axis=0), penalty)
        return self.problem.transposed(dual)


@dataclass(frozen=True)
class ConjugateGradients:
    """Solves by passes over the rows on disk, one a step: for n and m that are both large.

    The held-out error is that of `sample` rows, since it is asked for many penalties.
    """

    problem: Problem
    sample: int = 2000
    tolerance: float = 1e-10
    max_steps: int = 5000

    @cached_property
    def _sampled(self) -> Gram:
        return Gram(self.problem.sample(self.sample))

    def held_out_error(self, penalty: float) -> float:
        """See `Solver`."""
        return self._sampled.held_out_error(penalty)

    def weights(self, penalty: float) -> Weights:
        """See `Solver`; the four targets are solved side by side.

        Raises:
            UsageError: the residual did not fall to `tolerance` of its start in `max_steps`.
        """
        targets = self.problem.targets
        residual = self.problem.transposed(targets - targets.mean(axis=0))
        weights = np.zeros_like(residual)
        direction = residual
        square = np.sum(residual**2, axis=0)
        enough = self.tolerance**2 * square
        for _ in range(self.max_steps):
            if (square <= enough).all():
                return weights
            curved = self.problem.normal(direction) + penalty * direction
            curvature = np.sum(direction * curved, axis=0)
            step = np.divide(square, curvature, out=np.zeros(4), where=curvature > 0)
            weights = weights + step * direction
            residual = residual - step * curved
            before, square = square, np.sum(residual**2, axis=0)
            ratio = np.divide(square, before, out=np.zeros(4), where=before > 0)
            direction = residual + ratio * direction
        raise UsageError(
            f"the fit did not converge in {self.max_steps} steps with penalty={penalty:g}: "
            "give a larger penalty or a smaller grid"
        )


def largest_eigenvalue(problem: Problem, steps: int = 30) -> float:
    """The largest eigenvalue of the features' covariance, by power iteration from a fixed start."""
    vector = np.random.default_rng(0).standard_normal((problem.width, 1))
    for _ in range(steps):
        vector = problem.normal(vector / np.linalg.norm(vector)) / len(problem)
    return float(np.linalg.norm(vector))


def descend(
    problem: Problem, *, rate: float, batch: int, steps: int, drop_every: int, seed: int
) -> Weights:
    """Mini-batch gradient descent on 1/N sum 1/4 sum (y - mean(y) - z W)^2 (A3), from zero.

    The rate falls to a tenth every `drop_every` steps. Batches are drawn without replacement.

    Raises:
        UsageError: the loss grew beyond 100 times its start.
    """
    rng = np.random.default_rng(seed)
    targets = problem.targets - problem.targets.mean(axis=0)
    at_start = np.mean(targets**2)
    weights = np.zeros((problem.width, 4))
    batches = _batches(rng, len(problem), min(batch, len(problem)))
    for step, index in zip(range(steps), batches, strict=False):
        rows = problem.rows(index)
        error = rows @ weights - targets[index]
        if not np.mean(error**2) <= 100 * at_start:
            raise UsageError(
                f"gradient descent diverged at step {step}: the rate {rate:g} is too high for "
                "these features; leave lr out, or fit with ridge, which has no rate"
            )
        gradient = rows.T @ error / (2 * len(rows))
        weights = weights - rate * 0.1 ** (step // drop_every) * gradient
    return weights


def _batches(rng: np.random.Generator, count: int, size: int) -> Iterator[Int[np.ndarray, "k"]]:
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def _slices(count: int, width: int) -> Iterator[slice]:
    step = max(1, BLOCK // width)
    for start in range(0, count, step):
        yield slice(start, start + step)


def _solve_moments(
    moments: Float[np.ndarray, "k k"], penalty: float
) -> tuple[Weights, Float[np.ndarray, "q"]]:
    """Weights, and the mean of (z, y), from the moments of (z, y, 1)."""
    count = moments[-1, -1]
    mean = moments[-1, :-1] / count
    about_mean = moments[:-1, :-1] - count * np.outer(mean, mean)
    return _solve_penalized(about_mean[:-4, :-4], about_mean[:-4, -4:], penalty), mean


def _solve_penalized(
    matrix: Float[np.ndarray, "k k"], values: Float[np.ndarray, "k 4"], penalty: float
) -> Float[np.ndarray, "k 4"]:
    from scipy.linalg import cho_factor, cho_solve

    penalized = matrix.copy()
    penalized[np.diag_indices_from(penalized)] += penalty
    return cho_solve(cho_factor(penalized, overwrite_a=True), values)
