"""Fitting the learned linear map: heat maps and boxes in, a `Regressor` out.

Ebrahimpour & Noelle, equation A3. Pooled maps go to a temporary file first, so memory does not grow
with their number (up to 64 bytes a row); the solver is chosen when their number is known.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gradbox.boxes import BoxChoice, Boxes, area, choose, clip
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.estimator import Heatmaps, Regions
from gradbox.estimators.features import Features, map_features
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
from gradbox.geometry import Frame
from gradbox.specs import canonical


class TrainingBatch(NamedTuple):
    """Training rows: for each a map, what is to be learned of it, and its image.

    `targets` are from `targets_for`, `hashes` the images' SHA-256 in hex; `frames` and `regions`
    are needed where the features are those of regions.
    """

    heatmaps: Heatmaps
    targets: Float[np.ndarray, "b 4"]
    hashes: Sequence[str]
    frames: Sequence[Frame] = ()
    regions: Regions = ()


LARGEST_GRAM = 10_000
LARGEST_NORMAL = 56 * 56
PENALTIES = np.logspace(-4, 4, 17)
"""What is tried, as multiples of the number of features (the mean squared norm of a row)."""


def targets_for(boxes: Boxes, frame: Frame, which: BoxChoice) -> Float[np.ndarray, "k 4"]:
    """Training targets of one image: corners in [0, 1] of the input, for boxes in original pixels.

    Boxes are cut at the input's edges; one that the crop left out altogether gives no target.
    """
    height, width = frame.input
    visible = clip(frame.to_input(choose(boxes, which)), height, width)
    return visible[area(visible) > 0] / np.array([width, height, width, height])


def fit(
    options: Ridge | Sgd,
    batches: Iterable[TrainingBatch],
    *,
    method: str,
    model: str,
    model_hash: str,
    layer: str | None = None,
    preprocessing: str | None = None,
    image_labels: bool = False,
) -> Regressor:
    """Fit the linear map; what the maps are made with is kept in its `Origin`.

    Rows whose map is zero everywhere are left out. With `boxes=each` an image has several rows; its
    rows lie in one fold.

    Raises:
        UsageError: `options` name a file, there are too few images, or gradient descent diverged.
    """
    if options.features is None or options.file is not None:
        raise UsageError(f"{options.file} is fitted already: leave the file out to fit another one")
    least = 2 * options.folds if isinstance(options, Ridge) else 2
    with TemporaryDirectory(prefix="gradbox-") as folder:
        path = Path(folder) / "features.f32"
        targets, images, n_blank = _spool(batches, options.features, options.grid, path)
        order = {image: number for number, image in enumerate(dict.fromkeys(images))}
        if len(order) < least:
            raise UsageError(
                f"{len(order)} images with a box and a map ({n_blank} maps were zero everywhere) "
                f"are too few to fit on: give at least {least}"
            )
        features = np.memmap(path, dtype=np.float32, mode="r").reshape(len(targets), -1)
        folds = options.folds if isinstance(options, Ridge) else 1
        fold = np.array([order[image] % folds for image in images])
        problem = Problem.standardize(features, targets, fold)
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
        n_boxes=len(targets),
        n_blank=n_blank,
        penalty=penalty,
    )
    return Regressor(
        weights=weights.T,
        bias=targets.mean(axis=0),
        mean=problem.mean,
        scale=problem.scale,
        features=options.features,
        origin=origin,
        image_hashes=frozenset(order),
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


def _spool(
    batches: Iterable[TrainingBatch], features: Features, grid: int | None, path: Path
) -> tuple[Float[np.ndarray, "n 4"], list[str], int]:
    """Features to a file of float32 rows; returns targets, images and the number of blank maps."""
    targets: list[Float[np.ndarray, "b 4"]] = [np.zeros((0, 4))]
    images: list[str] = []
    n_blank = 0
    with path.open("wb") as stream:
        for heatmaps, corners, hashes, frames, regions in batches:
            kept = np.flatnonzero(heatmaps.any(axis=(1, 2)))
            n_blank += len(heatmaps) - len(kept)
            seen = map_features(heatmaps, frames, regions, features, grid)
            stream.write(seen[kept].tobytes())
            targets.append(corners[kept])
            images += [hashes[int(row)] for row in kept]
    return np.concatenate(targets), images, n_blank
