"""Paper A's learned linear map: CorLoc over the grid, the fitting method and the number of boxes.

The paper expects few box-labelled images to be enough (A, "Box, learned") and reports 68.8 % CorLoc
on its 478 ImageNet classes; on other images, so the figures here stand beside constant boxes.

    python benchmarks/learned_boxes.py csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --maps runs/maps

Maps of the recognized class are computed once into `--maps`. Half of the images (seed 0) is fitted
on, the other half scored; nothing is chosen on the scored half.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np

from gradbox.datasets import limit, load_dataset, split
from gradbox.estimators import ESTIMATORS, BoxEstimator
from gradbox.estimators.fitting import fit, targets_for
from gradbox.estimators.learned import Regressor
from gradbox.estimators.rows import TrainingBatch
from gradbox.estimators.untrained import ConstantBox
from gradbox.images.batches import hash_source
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Sample
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate
from gradbox.results.heatmaps import MapStore, open_maps
from gradbox.runs.execution import Running
from gradbox.scores.baselines import mean_shares
from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import best_iou
from gradbox.specs import build

GRIDS = (7, 14, 28, 56, 224)
LEARNED = (
    *(f"ridge(grid={grid})" for grid in GRIDS),
    "ridge(features=quantiles)",
    "sgd(grid=14)",
    "sgd(grid=28)",
)
CURVES = ("ridge(grid=14)", "ridge(features=quantiles)")
COUNTS = (10, 20, 50, 100, 200, 400, 600)
REPEATS = 5


def rows(
    store: MapStore, samples: Sequence[Sample], preprocessing: Preprocessing
) -> Iterator[TrainingBatch]:
    for sample in samples:
        assert sample.size is not None
        frame = preprocessing.frame(sample.size)
        targets = targets_for(sample.boxes, frame, "largest")
        hashes = [hash_source(sample.source)]
        yield TrainingBatch(store[sample.image_id][None], targets, hashes)


def ious(
    store: MapStore,
    samples: Sequence[Sample],
    estimator: BoxEstimator,
    preprocessing: Preprocessing,
) -> np.ndarray:
    values = []
    for sample in samples:
        assert sample.size is not None
        (found,) = estimator.estimate(
            store[sample.image_id][None], [preprocessing.frame(sample.size)]
        )
        values.append(best_iou(found.boxes[0], sample.boxes))
    return np.array(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", default="sensitivity")
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--class-from", default=None)
    options = parser.parse_args()

    dataset = load_dataset(options.dataset)
    classifier = load_classifier(options.model)
    evaluate(  # also when the maps are there: it refuses those of another call
        dataset,
        classifier,
        options.maps / "run",
        method=options.method,
        class_from=options.class_from,
        running=Running(save_maps=options.maps),
    )
    store = open_maps(options.maps)
    preprocessing = classifier.preprocessing
    samples = [sample for sample in dataset.samples if len(sample.boxes)]
    fitting, scored = (split(samples, (0.5, 0.5), part, 0) for part in (1, 2))

    def show(name: str, estimator: BoxEstimator, count: int | str, seconds: float = 0.0) -> None:
        values = ious(store, scored, estimator, preprocessing)
        hit = interval((values > 0.5).astype(np.float64))
        row = f"{100 * hit.mean:.1f} | {100 * hit.low:.1f} to {100 * hit.high:.1f}"
        print(f"| {name} | {count} | {row} | {values.mean():.4f} | {seconds:.1f} |", flush=True)

    def learned(spec: str, images: Sequence[Sample]) -> Regressor:
        return fit(
            build(spec, ESTIMATORS),
            rows(store, images, preprocessing),
            method=options.method,
            model=options.model,
            model_hash=classifier.weights_hash,
        )

    print(f"{options.method} on {options.model}, {len(scored)} scored images\n", flush=True)
    print("| box | boxes used | CorLoc % | 95 % interval | mean IoU | s to fit |")
    print("|---|---|---|---|---|---|")
    for spec in ("whole", "center(0.8)", "top_fraction(0.2, sigma=20)", "mass"):
        show(spec, build(spec, ESTIMATORS), 0)
    sized = [(s.boxes, s.size) for s in fitting if s.size is not None]
    show("center(mean)", ConstantBox(mean_shares(sized)), len(fitting))
    for spec in LEARNED:
        started = perf_counter()
        regressor = learned(spec, fitting)
        show(spec, regressor, len(fitting), perf_counter() - started)

    print(f"\nmean and range over {REPEATS} random choices of the boxes\n")
    print("| box | boxes used | CorLoc % | lowest to highest | mean IoU |")
    print("|---|---|---|---|---|")
    for spec, count in product(CURVES, COUNTS):
        runs = [
            ious(store, scored, learned(spec, limit(fitting, count, seed)), preprocessing)
            for seed in range(REPEATS)
        ]
        hits = [100 * float((run > 0.5).mean()) for run in runs]
        span = f"{min(hits):.1f} to {max(hits):.1f}"
        print(
            f"| `{spec}` | {count} | {np.mean(hits):.1f} | {span} | {np.mean(runs):.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
