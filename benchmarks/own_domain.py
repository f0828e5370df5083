"""A domain with image labels alone: train on one half, localize in the other, score with its boxes.

    python benchmarks/own_domain.py csv:$GRADBOX_ASSETS/data/caltech101 \
        --arch torchvision/squeezenet1_1 --out runs/caltech101 \
        --weights $GRADBOX_ASSETS/models/squeezenet1_1.safetensors

A classifier starts from the weights, learns the image labels of the first half (seed 0) and sees no
box. Methods are scored on the other half, with this classifier and with the one it started from,
which knows other classes, at the same input size; only `ridge` learns, from the boxes of the first
half. Nothing is chosen on the scored half.
"""

import argparse
import csv
import io
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tables import code

from gradbox.boxes import centered
from gradbox.datasets import Dataset, load_dataset
from gradbox.errors import ImageError
from gradbox.files import write_text
from gradbox.geometry import filled_box
from gradbox.localization import Sample
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate
from gradbox.results.predictions import read_predictions
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.oddities import without_twins
from gradbox.scores.bootstrap import Interval, interval, paired_difference
from gradbox.scores.boxes import best_iou
from gradbox.scores.masks import Overlap
from gradbox.scores.run_masks import CandidateScores, load_mask, run_candidates
from gradbox.training.records import TrainingOptions
from gradbox.training.train import train

SCORED = Part(shares=(0.5, 0.5), number=2)
OF_MAPS = (
    "sensitivity | mass",
    "sensitivity(target=layer_mean, reduce=max) | mass",
    "sensitivity | ridge(grid=14)",
)
CENTER = "sensitivity | center(0.8)"


def write_labels(samples: Sequence[Sample], path: Path) -> None:
    """The table image,label, and beside it a link to the folder of the images."""
    first = samples[0]
    root = Path(str(first.source)).resolve().parents[len(Path(first.image_id).parts) - 1]
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "images").unlink(missing_ok=True)
    (path.parent / "images").symlink_to(root)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("image", "label"))
    rows.writerows((f"images/{sample.image_id}", sample.label) for sample in samples)
    write_text(path, table.getvalue())


def percent(spread: Interval) -> str:
    return f"{100 * spread.mean:.1f} ({100 * spread.low:.1f} to {100 * spread.high:.1f})"


def show(title: str, dataset: Dataset, out: Path) -> None:
    """Print the table of a comparison: masks (boxes filled), then boxes."""
    table = json.loads((out / "compare.json").read_text("utf-8"))
    samples = {sample.image_id: sample for sample in dataset.samples}
    folders = {run["run"]: out / run["folder"] for run in table["runs"]}
    scores = {run: of_each_image(samples, folder) for run, folder in folders.items()}
    print(f"\n{title}: {table['n_images']} images, % (95 % interval)\n")
    print(
        "| method, box | mask IoU, box filled | minus centre | mean IoU | minus centre | CorLoc |"
    )
    print("|---|---|---|---|---|---|")
    for run, of_run in scores.items():
        cells = []
        for name in ("box_filled", "iou"):
            values, center = of_run[name], scores[CENTER][name]
            cells += [interval(values), paired_difference(values, center)]
        cells.append(interval((of_run["iou"] > 0.5).astype(np.float64)))
        print(f"| {code(run)} | {' | '.join(map(percent, cells))} |")
    others = {k: row for k, row in table["baselines"].items() if not CENTER.endswith(k)}
    for name, row in others.items():
        iou, corloc = (Interval(row[k], *row[f"{k}_interval"]) for k in ("mean_iou", "corloc"))
        print(f"| `{name}` | | | {percent(iou)} | | {percent(corloc)} |")
    print(
        f"\nmask IoU of the true box filled: {percent(interval(scores[CENTER]['true_box_filled']))}"
    )
    for run, of_run in scores.items():
        if "mask" in of_run:
            print(f"mask IoU of the own mask of {run}: {percent(interval(of_run['mask']))}")
    sys.stdout.flush()


def of_each_image(samples: Mapping[str, Sample], folder: Path) -> dict[str, np.ndarray]:
    """IoU of the box and of each kind of mask, image by image."""
    values: dict[str, list[float]] = defaultdict(list)
    for image_id, found in read_predictions(folder / "predictions.jsonl", masks=True):
        if isinstance(found, ImageError):
            raise SystemExit(f"{image_id}: {found}")
        values["iou"].append(best_iou(found.boxes[0], samples[image_id].boxes))
        scores = CandidateScores(run_candidates)
        scores.add(0, samples[image_id], found)
        for name, of_kind in scores.by_name.items():
            if name != "mask" or of_kind.pooled.predicted:
                values[name] += of_kind.values("iou").tolist()
    return {name: np.array(one) for name, one in values.items()}


def show_smaller_boxes(samples: Sequence[Sample]) -> None:
    """Print the mask IoU of smaller centred boxes: what the size of a box gains, wherever it is."""
    masks = [load_mask(sample.mask) for sample in samples if sample.mask is not None]
    print("\nmask IoU of centred boxes, filled, by their share of each side")
    for share in (0.8, 0.75, 0.7, 0.65, 0.6):
        boxes = (centered(*mask.shape, (share, share)) for mask in masks)
        ious = [
            Overlap.of(filled_box(box, mask.shape), mask).iou
            for box, mask in zip(boxes, masks, strict=True)
        ]
        print(f"{share}: {percent(interval(np.array(ious)))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--arch", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--dam", type=int, default=150, help="scored images to run dam on")
    options = parser.parse_args()

    dataset = load_dataset(options.dataset)
    labels = options.out / "labels.csv"
    learning = SCORED.others(dataset.samples)
    write_labels(without_twins(learning, SCORED.of(dataset.samples)), labels)
    report = train(
        str(labels),
        out=options.out / "model",
        options=TrainingOptions(
            arch=options.arch,
            weights=options.weights,
            size=options.size,
            epochs=options.epochs,
            batch_size=16,
        ),
    )
    taught = load_classifier(str(report.card))
    before = load_classifier(options.arch, weights=options.weights)
    untaught = replace(before, preprocessing=taught.preprocessing)
    accuracy = evaluate(
        dataset, taught, options.out / "accuracy", method="sensitivity", part=SCORED
    ).metrics
    assert accuracy is not None
    print(
        f"trained with {report.n_train} images, epoch {report.epoch} chosen with "
        f"{report.n_validation} ({100 * report.accuracy:.1f} % right); on the scored half "
        f"{100 * accuracy['top1_accuracy']:.1f} % right"
    )
    show_smaller_boxes(SCORED.of(dataset.samples))
    some = replace(SCORED, limit=options.dam)
    for title, classifier, runs, part in (
        ("taught", taught, OF_MAPS, SCORED),
        ("untaught", untaught, OF_MAPS, SCORED),
        ("dam", taught, ("dam", OF_MAPS[0]), some),
    ):
        job = compare(
            dataset,
            [classifier],
            options.out / title,
            runs=(*runs, CENTER),
            part=part,
        )
        show(title, dataset, job.folder)


if __name__ == "__main__":
    main()
