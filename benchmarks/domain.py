"""A domain from image labels to scored and exported boxes: what the scripts of domains share."""

import csv
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tables import code, percent

from gradbox import cli

RUNS = (
    "gradcam | threshold(0.3)",
    "layercam(layer=stride8) | threshold(0.2)",
    "layercam(layer=stride4) | threshold(0.1)",
    "smooth(layercam(layer=stride4), sigma=3) | threshold(0.1)",
    "smooth(layercam(layer=stride4), sigma=3) | threshold(0.3)",
    "smooth(gradient_x_input, sigma=3) | threshold(0.1)",
    "sensitivity | mass",
)
"""From the last layer, which says the most of the class, to the pixels, which say where."""
RESULTS = ("boxes", "learned", "auto")
COLUMNS = ("image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Drawn:
    """A drawn image: its `numbers` (h, w), and where its object is, if any, as (h, w) bool."""

    numbers: np.ndarray
    label: str
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """xmin, ymin, xmax, ymax, the last two exclusive."""
        rows, columns = self.mask.any(axis=1).nonzero()[0], self.mask.any(axis=0).nonzero()[0]
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def write_dataset(
    folder: Path, images: Iterable[Drawn], suffix: str, write: Callable[[Path, np.ndarray], None]
) -> None:
    """`images/`, `boxes.csv` and, for training, which never opens the boxes, `meta.csv`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    boxes, labels = [COLUMNS], [("image", "label")]
    for i, image in enumerate(images):
        name = f"{i:04}.{suffix}"
        write(folder / "images" / name, image.numbers)
        height, width = image.numbers.shape
        if image.mask.any():
            boxes.append((name, width, height, image.label, *image.box))
        labels.append((name, image.label))
    for name, rows in (("boxes.csv", boxes), ("meta.csv", labels)):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)


def gradbox(command: str) -> None:
    """Run a command as it is typed, and show it."""
    print(f"\n$ gradbox {command}", flush=True)
    sys.argv = ["gradbox", *shlex.split(command)]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise


def one_channel(span: str, size: int, epochs: int) -> str:
    """The options of `gradbox train` for files of one channel, taken three times."""
    return f"--channels 0,0,0 --range '{span}' --size {size} --epochs {epochs} --batch-size 32"


def from_labels_to_boxes(out: Path, train: str) -> None:
    """Train, choose a map on half of the boxed images, score it on the others.

    Beside it the same map with a box that is learned from the first half, and the default.

    Args:
        out: the folder; `labelled` and `boxed` are there.
        train: the options of `gradbox train`.
    """
    gradbox(f"train csv:{out}/labelled {train} --out {out}/model")
    given = f"csv:{out}/boxed --model {out}/model/model.toml --split 0.5/0.5 --overwrite"
    runs = " ".join(f"--run {shlex.quote(run)}" for run in RUNS)
    gradbox(f"compare {given} --part 1 {runs} --out {out}/chosen")
    table = json.loads((out / "chosen" / "compare.json").read_text("utf-8"))
    best = table["runs"][0]["run"]
    method, _, box = best.partition(" | ")
    how = f"--method {shlex.quote(method)} --box {shlex.quote(box)} --format coco,csv --pictures"
    gradbox(f"evaluate {given} --part 2 {how} --out {out}/boxes")
    fitted = out / "learned.safetensors"
    learning = f"--method {shlex.quote(method)} --box 'ridge(features=quantiles)' --out {fitted}"
    gradbox(f"fit {given} --part 1 {learning}")
    learned = f"--method {shlex.quote(method)} --box 'ridge({fitted})' --pictures"
    gradbox(f"evaluate {given} --part 2 {learned} --out {out}/learned")
    gradbox(f"evaluate {given} --part 2 --pictures --out {out}/auto")
    print("\nchosen on the first half\n")
    show_rows({run["run"]: run for run in table["runs"]})
    print("\nscored on the second half\n")
    scored = [json.loads((out / name / "metrics.json").read_text("utf-8")) for name in RESULTS]
    named = {run["run"].replace(f"{out}/", ""): run for run in scored}
    show_rows(named | scored[0]["baselines"])


def show_rows(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A Markdown table of runs and constant boxes."""
    print("| method, box | CorLoc % | mean IoU | class right % |\n|---|---|---|---|")
    for name, row in rows.items():
        low, high = row["corloc_interval"]
        print(
            f"| {code(name)} | {percent(row['corloc'])} ({percent(low)} to {percent(high)}) "
            f"| {row['mean_iou']:.3f} | {percent(row.get('top1_accuracy'))} |"
        )
