"""How sure a box is: a calibrated probability, from the few numbers of `evidence`."""

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float

from gradbox.auto.evidence import FEATURES

_REGULARIZATION = 1.0
_LEAST_SLOPE = 0.05


@dataclass(frozen=True)
class Confidence:
    """A logistic regression: how probable it is that a box has an IoU above 0.5 with a true one.

    The probability is 1 / (1 + exp(-(bias + weights (x - mean) / scale))), x the numbers of
    `evidence` and each of their squares (Platt 1999, on several numbers in place of one).
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def of(self, evidence: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
        """The probability of each box, in [0, 1]."""
        return 1 / (1 + np.exp(-self.logits(evidence)))

    def logits(self, evidence: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
        """The logarithm of the odds of each box."""
        return self.bias + self._standardized(evidence) @ np.array(self.weights)

    def _standardized(self, evidence: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n columns"]:
        return (_with_squares(evidence) - np.array(self.mean)) / np.array(self.scale)

    def adapted(
        self,
        evidence: Float[np.ndarray, "n k"],
        targets: Float[np.ndarray, "n"],
        weight: float = 1.0,
    ) -> "Confidence":
        """All weights and the bias moved, to fit targets in [0, 1] better, see `_moved`.

        `weight` is how much each row counts.
        """
        logits = self.logits(evidence)
        moved, bias = _moved(self._standardized(evidence), logits, targets, weight)
        return self._with(np.array(self.weights) + moved, self.bias + bias)

    def rescaled(
        self, evidence: Float[np.ndarray, "n k"], targets: Float[np.ndarray, "n"]
    ) -> "Confidence":
        """Slope and bias of the logits alone moved (Platt 1999); the order of boxes stays."""
        logits = self.logits(evidence)
        (moved,), bias = _moved(logits[:, None], logits, targets)
        slope = max(1 + float(moved), _LEAST_SLOPE)
        return self._with(slope * np.array(self.weights), slope * self.bias + bias)

    def _with(self, weights: Float[np.ndarray, "columns"], bias: float) -> "Confidence":
        (rounded,) = _rounded(np.array([bias]))
        return replace(self, weights=_rounded(weights), bias=rounded)


def _moved(
    values: Float[np.ndarray, "n m"],
    logits: Float[np.ndarray, "n"],
    targets: Float[np.ndarray, "n"],
    weight: float = 1.0,
) -> tuple[Float[np.ndarray, "m"], float]:
    """The weights and the bias of a logistic regression that is added to known logits.

    The penalty is on their squares, so that few boxes move little.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    columns = np.column_stack([values, np.ones(len(values))])

    def loss(at: Float[np.ndarray, "columns"]) -> tuple[float, Float[np.ndarray, "columns"]]:
        moved = logits + columns @ at
        misfit = float((np.logaddexp(0, moved) - targets * moved).sum())
        slopes = weight * (columns.T @ (expit(moved) - targets)) + _REGULARIZATION * at
        return weight * misfit + _REGULARIZATION / 2 * float(at @ at), slopes

    found = minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


def learn(
    evidence: Float[np.ndarray, "n k"],
    hits: Bool[np.ndarray, "n"],
    weights: Float[np.ndarray, "n"] | None = None,
) -> Confidence:
    """The regression whose probabilities fit best to whether boxes hit, with a penalty on weights.

    Args:
        evidence: a row for each box.
        hits: whether its IoU with a true box is above 0.5.
        weights: how much each box counts, all the same without them.

    Raises:
        ValueError: all boxes hit, or none.
    """
    from sklearn.linear_model import LogisticRegression

    values = _with_squares(evidence)
    mean, scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    model = LogisticRegression(C=_REGULARIZATION, max_iter=2000)
    model.fit((values - mean) / scale, hits, sample_weight=weights)
    return Confidence(
        mean=_rounded(mean),
        scale=_rounded(scale),
        weights=_rounded(model.coef_[0]),
        bias=float(_rounded(model.intercept_)[0]),
    )


@cache
def shipped(kind: str) -> Confidence:
    """The numbers that come with gradbox, of boxes with the foreground or of `strict` ones."""
    data = resources.files("gradbox.auto") / f"data/{kind}.json"
    numbers = json.loads(data.read_text("utf-8"))
    bias = float(numbers.pop("bias"))
    return Confidence(**{name: tuple(values) for name, values in numbers.items()}, bias=bias)


def _with_squares(evidence: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n columns"]:
    assert evidence.shape[1] == len(FEATURES)
    return np.concatenate([evidence, evidence**2], axis=1)


def _rounded(values: Float[np.ndarray, "n"]) -> tuple[float, ...]:
    """Few digits: what is written is what is used."""
    return tuple(float(f"{value:.5g}") for value in values)
