"""Blood cells from image labels to boxes: what labels of whole fields teach, and labels of tiles.

    python benchmarks/blood_cells.py --out DIR

The pictures of `bccd` in $GRADBOX_ASSETS have red and white cells and platelets. One half (seed 0)
gives image labels and no box: once the classes in each picture, once those in each of its tiles,
as somebody ticks them who looks at the tiles (a cell counts where its middle is). A classifier
starts from the built-in one and learns them, several classes an image. Boxes are scored on the
other half, for the classes that its labels name, beside the constant boxes; and written for other
programs.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tables import code, percent

from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.files import write_text
from gradbox.localization import Sample
from gradbox.models.load import load_classifier
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Running
from gradbox.training.records import TrainingOptions, TrainingReport
from gradbox.training.train import train

LEARNING, SCORED = (Part(shares=(0.5, 0.5), number=number) for number in (1, 2))
TILE = 160
BOXES = "threshold(0.4, boxes=all, min_area=0.002)"
EARLY, LATE = "layercam(layer=stride8)", "gradcam(layer=stride16)"


@dataclass(frozen=True)
class Way:
    """One way to label: what is written, the input's side, and the methods to score."""

    name: str
    side: int
    methods: Sequence[tuple[str, str]]


WAYS = (
    Way("fields", 128, ((EARLY, BOXES), (LATE, BOXES), ("sensitivity", "mass"))),
    Way(
        "tiles",
        96,
        tuple((f"tiled({one}, size={TILE}, overlap=0.5)", BOXES) for one in (EARLY, LATE)),
    ),
)


def fields(samples: Sequence[Sample], folder: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """Each picture with its classes; the pictures are linked, not copied."""
    for sample in samples:
        source = Path(str(sample.source)).resolve()
        (folder / source.name).unlink(missing_ok=True)
        (folder / source.name).symlink_to(source)
        yield source.name, sample.labels


def tiles(samples: Sequence[Sample], folder: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """Each tile of each picture with the classes of the cells whose middle it shows."""
    for sample in samples:
        source = Path(str(sample.source))
        middles = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2
        with Image.open(source) as picture:
            for top in range(0, picture.height - TILE + 1, TILE):
                for left in range(0, picture.width - TILE + 1, TILE):
                    corner = np.array([left, top])
                    inside = ((middles >= corner) & (middles < corner + TILE)).all(axis=1)
                    name = f"{source.stem}_{left}_{top}.png"
                    picture.crop((left, top, left + TILE, top + TILE)).save(folder / name)
                    yield name, [sample.labels[i] for i in np.flatnonzero(inside)]


def write_labels(way: Way, samples: Sequence[Sample], out: Path) -> Path:
    """The table `image,label` of a way: a row a class, an empty label where there is none."""
    out.mkdir(parents=True, exist_ok=True)
    cut = {"fields": fields, "tiles": tiles}[way.name]
    rows = ["image,label"]
    for name, classes in cut(samples, out):
        rows += [f"{name},{label}" for label in sorted(set(classes)) or [""]]
    write_text(out / "labels.csv", "\n".join(rows) + "\n")
    return out / "labels.csv"


def learn(way: Way, table: Path, out: Path, epochs: int) -> TrainingReport:
    options = TrainingOptions(
        init="efficientnet_lite0",
        size=way.side,
        epochs=epochs,
        batch_size=16,
        balance="weights",
    )
    return train(str(table), out=out, options=options, track=track)


def row(name: str, numbers: dict[str, Any]) -> str:
    found = numbers["detection"]
    low, high = found["ap50_interval"]
    cells = (
        name,
        f"{percent(found['ap50'])} ({percent(low)} to {percent(high)})",
        percent(found["ap30"]),
        percent(found["recall50"]),
        percent(numbers["corloc"]),
        f"{found['n_predicted_boxes'] / numbers['n_images']:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning", type=int, help="pictures to learn from; all of the half")
    parser.add_argument("--limit", type=int, help="pictures to score; all of the half")
    options = parser.parse_args()

    dataset = load_dataset(f"csv:{os.environ['GRADBOX_ASSETS']}/data/bccd")
    learning = LEARNING.of(dataset.samples)[: options.learning]
    scored = Part(shares=SCORED.shares, number=SCORED.number, limit=options.limit)
    running = Running(formats=("coco", "yolo"), track=track)
    for way in WAYS:
        out = options.out / way.name
        report = learn(
            way, write_labels(way, learning, out / "labels"), out / "model", options.epochs
        )
        job = compare(
            dataset,
            [load_classifier(str(report.card))],
            out / "boxes",
            runs=way.methods,
            class_from="truth",
            part=scored,
            running=running,
        )
        table = json.loads((job.folder / "compare.json").read_text("utf-8"))
        print(f"\nlabels of {way.name}: {report.n_train} to train with; balanced accuracy of each")
        print(", ".join(f"{name} {percent(one)} %" for name, one in report.per_class.items()))
        print(*report.notes, sep="\n")
        print(f"\n{table['n_images']} pictures, in %\n")
        print("| method, box | AP at IoU 0.5 | AP at 0.3 | recall at 0.5 | CorLoc | boxes each |")
        print("|---|---|---|---|---|---|")
        for run in table["runs"]:
            print(row(code(run["run"]), {**run, "n_images": table["n_images"]}))
        for name, numbers in table["baselines"].items():
            print(row(f"`{name}`", {**numbers, "n_images": table["n_images"]}))


if __name__ == "__main__":
    main()
