"""Paper B's evaluation of DAM: mean IoU of all and of three sets of classes, histograms, curves.

The paper: about 4,000 ImageNet images with exactly one object, VGG16, mean IoU 0.4679 (cat 0.451,
cycle 0.427, bottle 0.486), the centre right for 90 % at m = 0 and for 80 % at m = 0.2. Its text
takes the recognized class and 10 neurons; the authors' program took the true class and 30, one a
channel, ranked by a guided gradient. Both are run, on the images of one object.

    python benchmarks/paper_b.py csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --out runs/b
    python benchmarks/paper_b.py imagenet:DIR@val --model torchvision/vgg16 --limit 4000 \
        --out runs/b
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from papers import IMAGENET_CLASSES, Units, score, score_constant, show, span
from tables import percent

from gradbox.cli.console import track
from gradbox.dam.localizer import Dam
from gradbox.datasets import Dataset, load_dataset
from gradbox.localization import Found, Localization
from gradbox.methods import METHODS, ClassFrom
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate
from gradbox.results.predictions import read_predictions
from gradbox.runs.evaluation import Part, with_units
from gradbox.runs.execution import Running
from gradbox.scores.units import summary
from gradbox.specs import canonical

PAPER = {"all": 0.4679, "cat": 0.451, "cycle": 0.427, "bottle": 0.486}
SETS = {**IMAGENET_CLASSES, "cycle": frozenset({444, 671, 870, 880})}
CURVE = {"0.00": "90", "0.20": "80"}
SETTINGS: Mapping[str, tuple[dict[str, Any], ClassFrom]] = {
    "the paper's text": ({}, "predicted"),
    "the authors' program": (
        {"kmax": 30, "distinct_channels": True, "effect": "guided"},
        "truth",
    ),
}
HEADER = (
    *("setting", "supervision", "classes", "images", "mean IoU", "95 % interval", "the paper"),
    *("CorLoc %", "95 % interval", "mean IoU of `center(0.8)`"),
)
BINS = [f"{low / 10:.1f} to {low / 10 + 0.1:.1f}" for low in range(10)]


@dataclass(frozen=True, kw_only=True)
class Row:
    """The scores of one setting on one set of classes, beside a centred box on the same images."""

    setting: str
    classes: str
    supervision: str
    numbers: Mapping[str, Any]
    center: Mapping[str, Any]


def run(
    name: str, dataset: Dataset, classifier: Classifier, out: Path, part: Part, layer: str | None
) -> Iterator[Row]:
    """Localize in one setting and score each set of classes; images of one colour are left out."""
    given, class_from = SETTINGS[name]
    method = canonical(Dam(layer=layer, **given), METHODS)
    report = evaluate(
        dataset,
        classifier,
        out,
        method=method,
        class_from=class_from,
        part=part,
        running=Running(track=track),
    )
    assert report.metrics is not None
    found = dict(read_predictions(report.folder / "predictions.jsonl"))
    samples, units_of = with_units(dataset, part.of(dataset.samples), classifier, class_from)
    units = {sample.image_id: units_of(sample) for sample in samples}
    for classes in PAPER:
        kept = chosen(units, found, SETS.get(classes))
        if kept:
            yield Row(
                setting=name,
                classes=classes,
                supervision=report.metrics["supervision"],
                numbers=summary(score(kept, found, class_from, classifier.class_name)),
                center=summary(score_constant(kept, found, (0.8, 0.8))),
            )


def chosen(units: Units, found: Mapping[str, Found], classes: frozenset[int] | None) -> Units:
    """The units of these classes, or all, in images that could be read and have two colours."""
    return {
        image_id: of_image
        for image_id, of_image in units.items()
        if isinstance(one := found[image_id], Localization) and not one.blank
        if classes is None or of_image[0].index in classes
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--layer", help="features.25 is VGG16's conv5_1, conv5_2 is the default")
    options = parser.parse_args()
    dataset = load_dataset(options.dataset)
    single = replace(dataset, samples=[s for s in dataset.samples if len(s.boxes) == 1])
    classifier = load_classifier(options.model)
    part = Part(limit=options.limit)
    rows = [
        row
        for i, name in enumerate(SETTINGS)
        for row in run(name, single, classifier, options.out / f"setting{i}", part, options.layer)
    ]
    print(f"{Path(options.model).stem}, images of one object of {dataset.spec}\n")
    show(
        HEADER,
        (
            (
                row.setting,
                row.supervision,
                row.classes,
                str(row.numbers["n_images"]),
                f"{row.numbers['mean_iou']:.3f}",
                span(row.numbers, "mean_iou"),
                f"{PAPER[row.classes]:.3f}",
                percent(row.numbers["corloc"]),
                span(row.numbers),
                f"{row.center['mean_iou']:.3f}",
            )
            for row in rows
        ),
    )
    print("Images % by IoU, lower edges included\n")
    show(("setting", "classes", *BINS), (histogram(row) for row in rows))
    print("Centres right %, by the margin m\n")
    curves = {f"{r.setting}, {r.classes}": r.numbers["center_correctness"] for r in rows}
    whole = {"the middle of the image": rows[0].center["center_correctness"], **curves}
    margins = list(rows[0].center["center_correctness"])
    show(
        ("setting, classes", *margins),
        [
            *((name, *(percent(curve[m]) for m in margins)) for name, curve in whole.items()),
            ("the paper", *(CURVE.get(m, "") for m in margins)),
        ],
    )


def histogram(row: Row) -> list[str]:
    """The shares of the ten bins; `iou_histogram` has twenty."""
    counts = np.reshape(row.numbers["iou_histogram"], (10, 2)).sum(axis=1)
    return [row.setting, row.classes, *(percent(float(n)) for n in counts / counts.sum())]


if __name__ == "__main__":
    main()
