"""Image labels, and nothing else, from a data set: no file with boxes is opened."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from gradbox import datasets
from gradbox.datasets.table import read_table
from gradbox.errors import UsageError
from gradbox.localization import Sample
from gradbox.models.names import class_lines

_FORMS = "a folder of class folders, folder:DIR, csv:DIR, scenes:N or FILE.csv with image,label"


def read_labels(text: str) -> Sequence[Sample]:
    """The images that `text` names, with a label and without boxes, sorted by `image_id`.

    `csv:DIR` takes the column `label` of `DIR/meta.csv`, with images in `DIR/images`; `FILE.csv`
    has the columns image and label, the paths relative to the file. An image that lies in no class
    folder, or whose label is empty, is left out.

    Raises:
        UsageError: another kind of text, a file that is missing or cannot be read, an image that
            is listed twice, or a class whose name `classes.txt` cannot hold in one line.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in _READERS:
        found = _READERS[kind](rest)
    elif os.path.isdir(text):
        found = _from_dataset(f"folder:{text}")
    elif text.lower().endswith(".csv"):
        found = _from_table(Path(text), Path(text).parent)
    else:
        raise UsageError(f"{text!r} gives no image labels to train with: write {_FORMS}")
    if not found:
        raise UsageError(f"{text}: no image has a label; write {_FORMS}")
    for label in {str(sample.label) for sample in found}:
        _check_name(label)
    return sorted(found, key=lambda sample: sample.image_id)


def split_by_class(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Indices of the images to train with, and of those to validate with.

    Each class is divided alike and has at least one image in each part. The split depends on the
    ids and the seed alone.

    Raises:
        UsageError: fewer than two classes, or a class with fewer than two images.
    """
    members: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        members[str(sample.label)].append(sample)
    if len(members) < 2:
        raise UsageError(
            f"all usable images have the class {''.join(members)!r}: a classifier needs two or more"
        )
    for label, of_class in members.items():
        if len(of_class) < 2:
            raise UsageError(
                f"the class {label!r} has one usable image: give at least two, one to train with "
                "and one to validate with"
            )
    held_out: set[str] = set()
    for of_class in members.values():
        count = min(max(1, round(share * len(of_class))), len(of_class) - 1)
        held_out |= {sample.image_id for sample in datasets.limit(of_class, count, seed)}
    validation = [i for i, sample in enumerate(samples) if sample.image_id in held_out]
    training = [i for i, sample in enumerate(samples) if sample.image_id not in held_out]
    return training, validation


def _check_name(label: str) -> None:
    """Refuse what would come back from `classes.txt` as another name, or as several."""
    written = label.encode(errors="replace").decode()
    if class_lines(written) != (label,):
        raise UsageError(
            f"the class {label!r} cannot be written as one line of text: rename it, in letters "
            "that stand in one line"
        )


def _from_dataset(text: str) -> list[Sample]:
    return [
        Sample(image_id=sample.image_id, source=sample.source, label=sample.label)
        for sample in datasets.load_dataset(text).samples
        if sample.label
    ]


def _from_csv_folder(rest: str) -> list[Sample]:
    return _from_table(Path(rest) / "meta.csv", Path(rest) / "images")


def _from_table(path: Path, root: Path) -> list[Sample]:
    table = read_table(path, ("image", "label"))
    table.check_keys()
    pairs = zip(table.cells["image"], table.cells["label"], strict=True)
    return [
        Sample(image_id=image_id, source=root / image_id, label=label)
        for image_id, label in pairs
        if label
    ]


_READERS: dict[str, Callable[[str], list[Sample]]] = {
    "csv": _from_csv_folder,
    "folder": lambda rest: _from_dataset(f"folder:{rest}"),
    "scenes": lambda rest: _from_dataset(f"scenes:{rest}"),
}
