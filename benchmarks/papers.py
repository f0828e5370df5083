"""What the tables of the papers share: classes by their common names, units, and Markdown."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tables import percent

from gradbox.errors import UsageError
from gradbox.localization import ClassFrom, Found, Localization, Sample
from gradbox.models.classifier import Classifier
from gradbox.results.predictions import read_predictions
from gradbox.runs.execution import Report
from gradbox.scores.baselines import Shares, constant_units
from gradbox.scores.boxes import Scores
from gradbox.scores.units import TrueUnit
from gradbox.scores.units import units as scored_units

IMAGENET_CLASSES: Mapping[str, frozenset[int]] = {
    "aeroplane": frozenset({404, 895}),
    "bicycle": frozenset({444, 671}),
    "bird": frozenset({*range(7, 25), *range(80, 101), *range(127, 147)}),
    "boat": frozenset({472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 871, 914}),
    "bottle": frozenset({440, 737, 898, 907}),
    "bus": frozenset({654, 779, 874}),
    "car": frozenset({436, 468, 511, 609, 627, 656, 661, 751, 817}),
    "cat": frozenset(range(281, 286)),
    "chair": frozenset({423, 559, 765, 857}),
    "cow": frozenset({345}),
    "diningtable": frozenset({532}),
    "dog": frozenset(range(151, 269)),
    "horse": frozenset({339}),
    "motorbike": frozenset({665, 670}),
    "pottedplant": frozenset({738}),
    "sheep": frozenset({348}),
    "sofa": frozenset({831}),
    "train": frozenset({466, 547, 705, 820}),
    "tvmonitor": frozenset({664, 782, 851}),
}
"""The ImageNet indices (0 to 999) that mean the same as a class of VOC; there is no person."""
CALTECH_CLASSES = {"airplanes": "aeroplane", "car_side": "car", "emu": "bird"}


def voc_class(label: str, classifier: Classifier) -> str:
    """The class of VOC that a label of another data set means; the label itself if there is none.

    ImageNet's labels are read where the classifier has its 1000 classes.
    """
    if label not in IMAGENET_CLASSES and len(classifier.class_names) == 1000:
        with suppress(UsageError):
            index = classifier.class_index(label)
            return next((name for name, same in IMAGENET_CLASSES.items() if index in same), label)
    return CALTECH_CLASSES.get(label, label)


Units = Mapping[str, Sequence[TrueUnit]]
"""The scored units of each image, by image id."""


def units_of(samples: Iterable[Sample], labels: Collection[str] | None = None) -> Units:
    """Each image as one unit with its boxes of these labels, whatever else it shows, or with all.

    That is how VOC counts one box an image for each class that the image shows.
    """
    units = {}
    for sample in samples:
        kept = np.array([labels is None or label in labels for label in sample.labels], bool)
        if kept.any():
            units[sample.image_id] = [TrueUnit(None, None, sample.boxes[kept])]
    return units


def score(
    units: Units,
    found: Mapping[str, Found],
    class_from: ClassFrom,
    naming: Callable[[int], str],
) -> Scores:
    """The scores of predictions, by image id; images that failed are left out."""
    return Scores.of(
        unit
        for number, (image_id, truth) in enumerate(units.items())
        if isinstance(one := found[image_id], Localization)
        for unit in scored_units(number, truth, one, class_from, naming)
    )


def score_constant(units: Units, found: Mapping[str, Found], shares: Shares) -> Scores:
    """The scores of the same centred box in every image, on the same units as `score`."""
    return Scores.of(
        unit
        for number, (image_id, truth) in enumerate(units.items())
        if isinstance(one := found[image_id], Localization)
        for unit in constant_units(number, truth, one.size, shares)
    )


def found_in(report: Report) -> dict[str, dict[str, Found]]:
    """What each run of a comparison found, by run and image."""
    assert report.metrics is not None
    folders = {row["run"]: report.folder / row["folder"] for row in report.metrics["runs"]}
    return {
        name: dict(read_predictions(Path(folder) / "predictions.jsonl"))
        for name, folder in folders.items()
    }


def show(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table and an empty line."""
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def span(numbers: Mapping[str, Any], key: str = "corloc") -> str:
    """The 95 % interval of a score; nothing where one image alone was scored."""
    low, high = numbers[f"{key}_interval"]
    if low is None:
        return ""
    return f"{percent(low)} to {percent(high)}" if key == "corloc" else f"{low:.3f} to {high:.3f}"
