"""What the linear map costs at the paper's scale, N = 225,687 maps of 224 x 224: docs/scale.md.

    python benchmarks/fit_scale.py

Maps are synthetic: noise that is brighter around a box. Up to 56 x 56 cells the fit is run with all
N rows. At 224 x 224 the rows take 45 GB, and what they cost follows from the fit's own formula,
seconds = N m (start + step (steps + 1)) with m features: both rates are those of `--rows` rows of
224 x 224, and the steps come from smaller maps with as many rows for each feature as the paper has.
One thread; the rows come from the page cache.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import torch
from jaxtyping import Float, Float32

from gradbox.boxes import iou
from gradbox.estimators.fitting import PENALTIES, solver_for
from gradbox.estimators.least_squares import ConjugateGradients, Problem
from gradbox.estimators.rows import PART, Rows, TrainingBatch, rows_of

PAPER = 225_687
SIDE = 224
FOLDS = 5
HELD_OUT = 200


def drawn(count: int, side: int, seed: int) -> tuple[Float32[np.ndarray, "n h h"], np.ndarray]:
    """Maps of noise that fades around a box, and the boxes in [0, 1]."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.5, (count, 2))
    high = low + rng.uniform(0.2, 0.5, (count, 2))
    centre, spread = (low + high) / 2, (high - low) / 3
    x = (np.arange(side) + 0.5) / side
    across, down = (
        np.exp(-(((x - centre[:, [k]]) / spread[:, [k]]) ** 2) / 2).astype(np.float32)
        for k in (0, 1)
    )
    maps = np.abs(rng.standard_normal((count, side, side), dtype=np.float32))
    maps *= 0.1 + down[:, :, None] * across[:, None, :]
    return maps, np.concatenate([low, high], axis=1)


def batches(count: int, side: int, first: int) -> Iterator[TrainingBatch]:
    for start in range(0, count, 256):
        size = min(256, count - start)
        maps, boxes = drawn(size, side, first + start)
        hashes = [f"{first + start + i:064x}" for i in range(size)]
        yield TrainingBatch(maps, boxes, hashes)


def written(folder: Path, count: int, side: int) -> Rows:
    """Rows of synthetic maps in parts of up to 64 MiB, as `fit` writes them."""
    size = max(1, 2**24 // side**2)
    paths = []
    for first in range(0, count, size):
        paths.append(folder / f"{first}.safetensors")
        part = rows_of(batches(min(size, count - first), side, first), "cells", side)
        PART.save(paths[-1], *part)
    return Rows.open(paths)


class Counted(Problem):
    """A problem that counts its steps."""

    steps = 0

    def normal(self, weights: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
        """See `Problem`."""
        Counted.steps += 1
        return super().normal(weights)


def on_others(problem: Problem, weights: np.ndarray, side: int) -> float:
    """The mean IoU of the fitted boxes with the true ones, of maps that nothing was fitted on."""
    maps, boxes = drawn(HELD_OUT, side, PAPER)
    part, _ = rows_of([TrainingBatch(maps, boxes, ["00" * 32] * HELD_OUT)], "cells", side)
    seen = (part["features"] - problem.mean) / problem.scale
    found = seen @ weights + problem.targets.mean(axis=0)
    return float(np.mean([iou(a[None], b[None])[0, 0] for a, b in zip(found, boxes, strict=True)]))


def exact(side: int) -> None:
    """The whole fit with all rows."""
    with TemporaryDirectory() as folder:
        rows = written(Path(folder), PAPER, side)
        started, used = perf_counter(), process_time()
        problem = Problem.standardize(rows.features, rows.targets, np.arange(PAPER) % FOLDS)
        solver = solver_for(problem)
        penalty = min((float(p) for p in PENALTIES * problem.width), key=solver.held_out_error)
        weights = solver.weights(penalty)
        clock, processor = perf_counter() - started, process_time() - used
        print(
            f"| {side} x {side} | {PAPER:,} | {type(solver).__name__} | "
            f"{penalty / problem.width:.2g} m | | {processor:,.0f} | {clock:,.0f} | "
            f"{on_others(problem, weights, side):.3f} |",
            flush=True,
        )


def by_passes(side: int, count: int) -> None:
    """The fit by conjugate gradients, and what as many steps take with all rows of 224 x 224."""
    with TemporaryDirectory() as folder:
        rows = written(Path(folder), count, side)
        used = process_time()
        problem = Counted.standardize(rows.features, rows.targets, np.arange(count) % FOLDS)
        start = process_time() - used
        solver = ConjugateGradients(problem)
        penalty = min((float(p) for p in PENALTIES * problem.width), key=solver.held_out_error)
        Counted.steps = 0
        used = process_time()
        weights = solver.weights(penalty)
        step = (process_time() - used) / (Counted.steps + 1)  # the first residual is a pass, too
        each = [1e9 * seconds / (count * problem.width) for seconds in (start, step)]
        whole = PAPER * SIDE**2 * (each[0] + each[1] * (Counted.steps + 1)) / 1e9
        print(
            f"| {side} x {side} | {count:,} | ConjugateGradients | {penalty / problem.width:.2g} m "
            f"| {Counted.steps} | {start + step * (Counted.steps + 1):,.0f} | | "
            f"{on_others(problem, weights, side):.3f} |\n"
            f"  start {each[0]:.1f}, step {each[1]:.1f} ns a value; with as many steps {PAPER:,} "
            f"rows of {SIDE} x {SIDE} take {whole / 3600:.1f} hours",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exact", type=int, nargs="*", default=[14, 28, 56])
    parser.add_argument("--smaller", type=int, nargs="*", default=[28, 56, 112])
    parser.add_argument("--rows", type=int, default=8000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| Cells | Rows | Solver | Penalty | Steps | s of the processor | s | IoU of others |")
    print("|---|---|---|---|---|---|---|---|")
    for side in asked.exact:
        exact(side)
    for side in asked.smaller:
        by_passes(side, PAPER * side**2 // SIDE**2)
    if asked.rows:
        by_passes(SIDE, asked.rows)


if __name__ == "__main__":
    main()
