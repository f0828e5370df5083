"""Fitting the learned linear map: heat maps and boxes in, a `Regressor` out.

Ebrahimpour & Noelle, equation A3. Pooled maps go to files first, so memory does not grow with their
number (up to 64 bytes a row); the solver is chosen when their number is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float

from gradbox.boxes import BoxChoice, Boxes, area, choose, clip
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.features import Features
from gradbox.estimators.learned import Origin, Regressor, Ridge, Sgd
from gradbox.estimators.least_squares import (
    ConjugateGradients,
    Gram,
    NormalEquations,
    Problem,
    Solver,
    Weights,
    descend,
    largest_eigenvalue,
)
from gradbox.estimators.rows import PART, Rows, TrainingBatch, rows_of
from gradbox.geometry import Frame
from gradbox.specs import canonical

LARGEST_GRAM = 10_000
LARGEST_NORMAL = 56 * 56
PENALTIES = np.logspace(-4, 4, 17)
"""What is tried, as multiples of the number of features (the mean squared norm of a row)."""
_BATCHES = 64
"""Batches whose features are in memory at a time."""


def targets_for(boxes: Boxes, frame: Frame, which: BoxChoice) -> Float[np.ndarray, "k 4"]:
    """Training targets of one image: corners in [0, 1] of the input, for boxes in original pixels.

    Boxes are cut at the input's edges; one that the crop left out altogether gives no target.
    """
    height, width = frame.input
    visible = clip(frame.to_input(choose(boxes, which)), height, width)
    return visible[area(visible) > 0] / np.array([width, height, width, height])


def fit(options: Ridge | Sgd, batches: Iterable[TrainingBatch], **made_with: Any) -> Regressor:
    """Fit the linear map; `made_with` says what the maps are made with, see `fit_rows`.

    Rows whose map is zero everywhere are left out. With `boxes=each` an image has several rows; its
    rows lie in one fold.

    Raises:
        UsageError: `options` name a file, there are too few images, or gradient descent diverged.
    """
    features = to_fit(options)
    with TemporaryDirectory(prefix="gradbox-") as folder:
        paths = []
        for number, group in enumerate(_grouped(batches)):
            paths.append(Path(folder) / f"{number}.safetensors")
            PART.save(paths[-1], *rows_of(group, features, options.grid))
        return fit_rows(options, Rows.open(paths), **made_with)


def to_fit(options: Ridge | Sgd) -> Features:
    """The features that are to be fitted.

    Raises:
        UsageError: `options` name a file.
    """
    if options.features is None or options.file is not None:
        raise UsageError(f"{options.file} is fitted already: leave the file out to fit another one")
    return options.features


def fit_rows(
    options: Ridge | Sgd,
    rows: Rows,
    *,
    method: str,
    model: str,
    model_hash: str,
    layer: str | None = None,
    preprocessing: str | None = None,
    image_labels: bool = False,
) -> Regressor:
    """Fit the linear map to rows whose features are those of `options`; see `fit`."""
    least = 2 * options.folds if isinstance(options, Ridge) else 2
    order = {image: number for number, image in enumerate(dict.fromkeys(rows.images))}
    if len(order) < least:
        raise UsageError(
            f"{len(order)} images with a box and a map ({rows.n_blank} maps were zero everywhere) "
            f"are too few to fit on: give at least {least}"
        )
    folds = options.folds if isinstance(options, Ridge) else 1
    fold = np.array([order[image] % folds for image in rows.images])
    problem = Problem.standardize(rows.features, rows.targets, fold)
    weights, penalty = _solve(options, problem)
    origin = Origin(
        kind=canonical(options, ESTIMATORS),
        method=method,
        model=model,
        model_hash=model_hash,
        layer=layer,
        preprocessing=preprocessing,
        image_labels=image_labels,
        n_images=len(order),
        n_boxes=len(rows.targets),
        n_blank=rows.n_blank,
        penalty=penalty,
    )
    return Regressor(
        weights=weights.T,
        bias=rows.targets.mean(axis=0),
        mean=problem.mean,
        scale=problem.scale,
        features=to_fit(options),
        origin=origin,
        image_hashes=frozenset(image.hex() for image in order),
    )


def solver_for(problem: Problem) -> Solver:
    """The cheapest form: Gram matrix for few rows, moments for few features, else passes."""
    if len(problem) < problem.width and len(problem) <= LARGEST_GRAM:
        return Gram(problem)
    if problem.width <= LARGEST_NORMAL:
        return NormalEquations(problem)
    return ConjugateGradients(problem)


def _solve(options: Ridge | Sgd, problem: Problem) -> tuple[Weights, float | None]:
    if isinstance(options, Sgd):
        rate = options.lr if options.lr is not None else 0.1 / largest_eigenvalue(problem)
        weights = descend(
            problem,
            rate=rate,
            batch=options.batch,
            steps=options.steps,
            drop_every=options.drop_every,
            seed=options.seed,
        )
        return weights, None
    solver = solver_for(problem)
    penalty = options.penalty
    if penalty is None:
        penalty = min((float(p) for p in PENALTIES * problem.width), key=solver.held_out_error)
    return solver.weights(penalty), penalty


def _grouped(batches: Iterable[TrainingBatch]) -> Iterator[Sequence[TrainingBatch]]:
    """Batches by so many that a part fits in memory, at least one group."""
    rest = iter(batches)
    yield [*islice(rest, _BATCHES)]
    while group := [*islice(rest, _BATCHES)]:
        yield group
