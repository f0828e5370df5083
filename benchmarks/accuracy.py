"""The ladder from the centre box to `auto`: accuracy and cost of each rung, for five classifiers.

    python benchmarks/accuracy.py folds runs/heads
    python benchmarks/accuracy.py csv:$GRADBOX_ASSETS/data/raccoon
    python benchmarks/accuracy.py csv:$GRADBOX_ASSETS/data/caltech101 --limit 200
    python benchmarks/accuracy.py untouched --skip 200

The class is the recognized one. `folds` are the photographs of imagenet_dev and imagenet_dogs10,
each with the foreground head that has not seen it (`benchmarks/foreground.py folds runs/heads`);
`untouched` those of them that nothing was tuned on, and `--skip` leaves out those that were looked
at. A photograph's true size is that of its largest box. The cost is that of a rung alone, in
milliseconds and over the bare forward pass of the same classifier on the same images.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from foreground import FOLDS, fold_of, networks, photographs
from jaxtyping import Float

from gradbox import boxes as bx
from gradbox.attribution.cam import GradCam
from gradbox.attribution.combinations import Product
from gradbox.auto.method import Auto
from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.errors import ImageError
from gradbox.foreground.maps import Foreground
from gradbox.geometry import Size
from gradbox.images.batches import Loaded
from gradbox.localization import Localization, Sample, Selection
from gradbox.methods import ready
from gradbox.models.classifier import Classifier
from gradbox.models.memory import keep_freed_memory
from gradbox.runs.plan import Plan, chunks
from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import best_iou

CENTRE = "centre box of 80 %"
SIZES = (0.15, 0.3, 0.6, 1.01)


@dataclass(frozen=True, eq=False)
class Measured:
    """One rung on one image: the IoU of its main box, its score, the seconds it took."""

    iou: float
    score: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of an image: the share of its largest box, and how many it has."""

    share: float
    count: int


def truth_of(sample: Sample, size: Size) -> Truth:
    return Truth(float(bx.area(sample.boxes).max()) / (size[0] * size[1]), len(sample.boxes))


def rungs(head: str | None = None) -> dict[str, tuple[Any, str | None]]:
    """The method and the box of each rung, from the bottom up."""
    foreground, gradcam = Foreground(head=head), GradCam()
    times_cam = Product((foreground, gradcam), powers=(1.0, 0.15))
    return {
        "sensitivity, mass": ("sensitivity", "mass"),
        "gradcam, threshold(0.2)": ("gradcam", "threshold(0.2)"),
        "product(sensitivity, gradcam), threshold(0.2)": (
            "product(sensitivity, gradcam)",
            "threshold(0.2)",
        ),
        "auto(foreground=false)": (Auto(foreground=False), None),
        "foreground, objects": (foreground, "objects"),
        "foreground x gradcam^0.15, threshold(0.4)": (times_cam, "threshold(0.4)"),
        "foreground x gradcam^0.15, objects": (times_cam, "objects"),
        "auto(closer=0)": (Auto(foreground=True, head=head, closer=0.0), None),
        "auto": (Auto(foreground=True, head=head), None),
    }


def through(
    rungs: Sequence[tuple[Any, str | None]],
    samples: Sequence[Sample],
    classifier: Classifier,
    title: str,
) -> Iterator[tuple[Loaded, list[tuple[Localization, float]]]]:
    """Every image through every method and box, the maps that they share made once.

    Beside the localization are the seconds that it took.
    """
    plans = [
        Plan(
            samples=samples,
            classifier=classifier,
            method=ready(method, box, classifier),
            labels_of=lambda _: None,
            selection=Selection(),
        )
        for method, box in rungs
    ]
    done = chunks(plans, batch_size=16, workers=2, details=False)
    for chunk in track(done, len(samples), title):
        for i, loaded in enumerate(chunk.loaded):
            assert isinstance(loaded, Loaded)
            found = []
            for of_rung, seconds in zip(chunk.found, chunk.seconds, strict=True):
                one = of_rung[i]
                if isinstance(one, ImageError):
                    raise one
                found.append((one, seconds / len(chunk)))
            yield loaded, found


def iou_of_centre(loaded: Loaded) -> float:
    """That of `CENTRE`."""
    return best_iou(bx.centered(*loaded.frame.original, (0.8, 0.8)), loaded.sample.boxes)


def measured(
    samples: Sequence[Sample], classifier: Classifier, head: Path | None, title: str
) -> Iterator[tuple[Truth, dict[str, Measured]]]:
    """What each rung of the ladder gets of each image."""
    ladder = rungs(None if head is None else str(head))
    for loaded, found in through(list(ladder.values()), samples, classifier, title):
        true = loaded.sample.boxes
        row = {CENTRE: Measured(iou_of_centre(loaded), 0.0, 0.0)}
        for rung, (one, seconds) in zip(ladder, found, strict=True):
            row[rung] = Measured(best_iou(one.boxes[0], true), one.scores[0], seconds)
        yield truth_of(loaded.sample, loaded.frame.original), row


def forward_seconds(classifier: Classifier) -> float:
    """Seconds of the bare forward pass an image, in batches of 16; the best of five."""
    images = torch.zeros(16, 3, *classifier.preprocessing.size, dtype=torch.uint8)
    batch = classifier.normalize(images)
    times = []
    with torch.no_grad():
        for _ in range(5):
            started = perf_counter()
            classifier.module(batch)
            times.append(perf_counter() - started)
    return min(times) / len(images)


def cell(values: Float[np.ndarray, "n"]) -> str:
    if not len(values):
        return ""
    hits, overlap = interval((values > 0.5).astype(np.float64)), interval(values)
    return (
        f"{100 * hits.mean:.1f} ({100 * hits.low:.1f} to {100 * hits.high:.1f}) "
        f"/ {overlap.mean:.3f} ({overlap.low:.3f} to {overlap.high:.3f})"
    )


def short(values: Float[np.ndarray, "n"]) -> str:
    return f"{100 * (values > 0.5).mean():.1f} / {values.mean():.3f}" if len(values) else ""


def show(name: str, rows: Sequence[tuple[Truth, dict[str, Measured]]], forward: float) -> None:
    """A row for each rung, then the parts of the images by true size and number of objects."""
    shares = np.array([truth.share for truth, _ in rows])
    counts = np.array([truth.count for truth, _ in rows])
    bounds = list(zip((0.0, *SIZES), SIZES, strict=False))
    parts = [(low <= shares) & (shares < high) for low, high in bounds] + [counts == 1, counts > 1]
    labels = [f"{100 * low:.0f} to {100 * min(high, 1):.0f} %" for low, high in bounds]
    labels += ["one object", "several"]
    heads = [f"{label} ({part.sum()})" for label, part in zip(labels, parts, strict=True)]
    print(f"\n**{name}**, {len(rows)} photographs; forward pass {1000 * forward:.0f} ms\n")
    print("| rung | CorLoc % / mean IoU | " + " | ".join(heads) + " | ms | passes |")
    print("|---" * (len(heads) + 4) + "|")
    for rung in (CENTRE, *rungs()):
        values = np.array([row[rung].iou for _, row in rows])
        seconds = float(np.mean([row[rung].seconds for _, row in rows]))
        cost = f"{1000 * seconds:.0f} | {seconds / forward:.1f}" if seconds else "0 | 0"
        cells = [short(values[part]) for part in parts]
        print(f"| `{rung}` | {cell(values)} | " + " | ".join(cells) + f" | {cost} |", flush=True)


def groups(options: argparse.Namespace) -> list[tuple[Path | None, list[Sample]]]:
    """The images, and the head of those that go together."""
    if options.images == "folds":
        samples = photographs(kept=False)
        samples = chosen([s for s in samples if fold_of(s.image_id) < options.folds], options)
        return [
            (
                options.heads / f"fold{n}.safetensors",
                [s for s in samples if fold_of(s.image_id) == n],
            )
            for n in range(options.folds)
        ]
    if options.images == "untouched":
        return [(None, chosen(photographs(kept=True), options))]
    return [(None, chosen(load_dataset(options.images).samples, options))]


def chosen(samples: Sequence[Sample], options: argparse.Namespace) -> list[Sample]:
    """The first `limit` with boxes, by a hash of their names, after those of `skip`."""
    ordered = sorted(samples, key=lambda s: sha256(s.image_id.encode()).digest())
    return [sample for sample in ordered if len(sample.boxes)][options.skip :][: options.limit]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options of `chosen`."""
    parser.add_argument("--limit", type=int, help="so many images")
    parser.add_argument("--skip", type=int, default=0, help="without so many before them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="folds, untouched or a data set")
    parser.add_argument("heads", type=Path, nargs="?", help="the folder of the folds' heads")
    parser.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    add_choice(parser)
    parser.add_argument("--model", action="append", help="only these classifiers")
    options = parser.parse_args()
    keep_freed_memory()  # as the commands do
    for name, classifier in networks().items():
        if options.model and name not in options.model:
            continue
        rows = [
            row
            for number, (head, samples) in enumerate(groups(options), start=1)
            for row in measured(samples, classifier, head, f"{name}, part {number}")
        ]
        show(name, rows, forward_seconds(classifier))


if __name__ == "__main__":
    main()
