"""Paper A, Table 1: CorLoc of VOC 2007's classes, attention map and learned linear map.

The paper: 40.1 % as the mean of the 20 classes (its row averages 41.0), VGG16, fitted on trainval's
12,608 objects, scored on test. A class is scored on the images that show it; the one box of an
image is a hit if it has IoU > 0.5 with any box of that class.

    python benchmarks/paper_a_voc.py voc:DIR@2007/test --fit voc:DIR@2007/trainval \
        --model torchvision/vgg16 --out runs/voc
    python benchmarks/paper_a_voc.py csv:$GRADBOX_ASSETS/data/caltech101 \
        --model $GRADBOX_ASSETS/models/bvlc_googlenet.toml --out runs/caltech101

Without `--fit` one half (seed 0) is fitted on and the other scored. The linear map is fitted on
each object, as the paper's count suggests, and on the largest one of an image. Of other data sets,
classes that mean the same as one of VOC's have a row of their own, if `--enough` images show them.
The numbers of the paper, and those that it quotes, stand in `paper_a_voc.csv`.
"""

import argparse
import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from papers import found_in, score, score_constant, show, span, units_of, voc_class
from tables import percent

from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.models.load import load_classifier
from gradbox.pipeline import fit
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Running
from gradbox.scores.baselines import mean_shares
from gradbox.scores.units import summary

MAPS = "sensitivity(target=layer_mean, reduce=max)"
RIDGES = ("ridge(grid=14, boxes=each)", "ridge(grid=14)")
HALF = Part(shares=(0.5, 0.5), number=2)


def cell(numbers: Mapping[str, Any]) -> str:
    spread = span(numbers)
    return percent(numbers["corloc"]) + (f" ({spread})" if spread else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--fit")
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--enough", type=int, default=10, help="images that a class has to have")
    options = parser.parse_args()
    classifier, dataset = load_classifier(options.model), load_dataset(options.dataset)
    running = Running(track=track)
    part, fitting = HALF, HALF.others(dataset.samples)
    boxes = {box: box for box in (*RIDGES, "mass", "top_fraction(0.2, sigma=20)")}
    if options.fit:
        other = load_dataset(options.fit)
        part, fitting = Part(), other.samples
        for i, box in enumerate(RIDGES):
            file = options.out.with_name(f"{options.out.name}-box{i}.safetensors")
            if not file.exists():
                fit(other, classifier, file, box=box, method=MAPS, running=running)
            boxes[box] = f'ridge("{file.as_posix()}")'
    runs = {f"{MAPS} | {box}": name for name, box in boxes.items()}
    report = compare(
        dataset, [classifier], options.out, runs=list(runs), part=part, running=running
    )
    assert report.metrics is not None
    supervision = {row["run"]: row["supervision"] for row in report.metrics["runs"]}
    found = found_in(report)
    columns: dict[str, partial[Any]] = {
        f"`{name}`, {supervision[run]}": partial(
            score, found=found[run], class_from="none", naming=str
        )
        for run, name in runs.items()
    }
    usual = mean_shares([(s.boxes, s.size) for s in fitting if len(s.boxes) and s.size])
    for name, shares in {"center(0.8)": (0.8, 0.8), "center(mean)": usual}.items():
        columns[f"`{name}`"] = partial(
            score_constant, found=next(iter(found.values())), shares=shares
        )

    with Path(__file__).with_suffix(".csv").open(encoding="utf-8") as stream:
        paper = list(csv.DictReader(stream))
    samples = part.of(dataset.samples)
    meanings = {label: voc_class(label, classifier) for label in dataset.class_names}
    table: list[tuple[str, ...]] = []
    values: list[list[float]] = []
    for name in list(paper[0])[1:]:
        units = units_of(samples, [label for label, same in meanings.items() if same == name])
        if len(units) >= max(options.enough, 1):
            ours = [summary(column(units)) for column in columns.values()]
            theirs = [row[name] for row in paper]
            table.append((name, str(len(units)), *map(cell, ours), *theirs))
            values.append([*(100 * one["corloc"] for one in ours), *map(float, theirs)])
    if values:
        means = (f"{mean(column):.1f}" for column in zip(*values, strict=True))
        table.append(("mean of these classes", "", *means))
    units = units_of(samples)
    every = (cell(summary(column(units))) for column in columns.values())
    table.append(("all images, any box", str(len(units)), *every, *("" for _ in paper)))
    print(f"{Path(options.model).stem}, {MAPS}, CorLoc % (95 % interval) on {dataset.spec}\n")
    show(("class", "images", *columns, *(row["method"] for row in paper)), table)


if __name__ == "__main__":
    main()
