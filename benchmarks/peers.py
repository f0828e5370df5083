"""The default and gradbox's maps beside those of captum, pytorch-grad-cam and torch-cam.

    python benchmarks/peers.py photographs
    python benchmarks/peers.py scenes:60,seed=5 --model gradbox/scenes
    python benchmarks/peers.py csv:$GRADBOX_ASSETS/data/raccoon --limit 60

Peers make maps, no boxes. Each map has the box of its largest part above the share of the maximum
that is best **on these very images**, so its row is better than a user without boxes would find it;
`auto` and `sensitivity | mass` stand as they are. `photographs` are those of `gradbox demo` that
have a box, drawn by hand, and each of them has its own column. The class is the recognized one.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from accuracy import CENTRE, add_choice, cell, chosen, iou_of_centre, through

from gradbox import boxes as bx
from gradbox.datasets import load_dataset
from gradbox.demo.photographs import PHOTOGRAPHS
from gradbox.localization import Sample
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.models.load import load_classifier
from gradbox.scores.boxes import best_iou

SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
FIXED = {"auto": ("auto", None), "sensitivity, mass": ("sensitivity", "mass")}
MAPS = (
    "gradcam",
    "layercam",
    "peer(library=pytorch_grad_cam, name=GradCAM)",
    "peer(library=pytorch_grad_cam, name=GradCAMPlusPlus)",
    "peer(library=pytorch_grad_cam, name=LayerCAM)",
    "peer(library=torchcam, name=GradCAM)",
    "peer(library=torchcam, name=LayerCAM)",
    "peer(library=captum, name=Saliency)",
)


def rungs() -> dict[tuple[str, float | None], tuple[str, str | None]]:
    """Method and box of each row and share; a row of one share has None."""
    fixed = {(name, None): pair for name, pair in FIXED.items()}
    return fixed | {
        (name, share): (name, f"threshold({share})") for name in MAPS for share in SHARES
    }


def measured(
    samples: Sequence[Sample], classifier: Classifier
) -> Iterator[dict[tuple[str, float | None], float]]:
    """The IoU of each main box of each image; the maps of a row are made once for all shares."""
    ladder = rungs()
    for loaded, found in through(list(ladder.values()), samples, classifier, classifier.name):
        ious = [best_iou(one.boxes[0], loaded.sample.boxes) for one, _ in found]
        yield {(CENTRE, None): iou_of_centre(loaded), **dict(zip(ladder, ious, strict=True))}


def best(
    rows: Sequence[dict[tuple[str, float | None], float]], name: str
) -> tuple[str, np.ndarray]:
    """The share with the highest mean IoU, and the IoU of each image there."""
    by_share = {
        share: np.array([row[name, share] for row in rows]) for of, share in rows[0] if of == name
    }
    share = max(by_share, key=lambda one: by_share[one].mean())
    return name if share is None else f"{name}, threshold({share})", by_share[share]


def drawn() -> list[Sample]:
    """The photographs of the demo with the box of each."""
    return [
        replace(p.sample, boxes=bx.as_boxes([p.box]), labels=(p.sample.image_id,))
        for p in PHOTOGRAPHS
        if p.box is not None and p.is_here
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="photographs, or a data set")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    add_choice(parser)
    options = parser.parse_args()
    few = options.images == "photographs"
    samples = drawn() if few else chosen(load_dataset(options.images).samples, options)
    started = perf_counter()
    rows = list(measured(samples, load_classifier(options.model)))
    print(f"\n**{options.images}**, {options.model}, {len(rows)} images\n")
    heads = [s.image_id.partition(".")[0] for s in samples] if few else []
    print("| map, box | CorLoc % / mean IoU | " + "".join(f"{head} | " for head in heads))
    print("|---" * (2 + len(heads)) + "|")
    for name in (CENTRE, *FIXED, *MAPS):
        text, values = best(rows, name)
        print(f"| `{text}` | {cell(values)} | " + "".join(f"{v:.2f} | " for v in values if few))
    print(f"\n{perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
