"""Image labels, and nothing else, from a data set: no file with boxes is opened."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradbox import datasets
from gradbox.datasets.table import read_table
from gradbox.errors import UsageError
from gradbox.localization import ImageSource, Sample
from gradbox.models.names import class_lines

_FORMS = "a folder of class folders, folder:DIR, csv:DIR, scenes:N or FILE.csv with image,label"


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An image and the names of its classes, sorted; none where the table names none."""

    sample: Sample
    labels: tuple[str, ...]

    @property
    def image_id(self) -> str:
        """The name of the image."""
        return self.sample.image_id


def read_labels(text: str) -> Sequence[Labelled]:
    """The images that `text` names with their labels and without boxes, sorted by `image_id`.

    `csv:DIR` takes the column `label` of `DIR/meta.csv`, with images in `DIR/images`; `FILE.csv`
    has the columns image and label, the paths relative to the file. Both have a row for each class
    of an image, and an empty label where it has none. An image that lies in no class folder is left
    out.

    Raises:
        UsageError: another kind of text, a file that is missing or cannot be read, a row that is
            there twice, or a class whose name `classes.txt` cannot hold in one line.
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
    names = {label for one in found for label in one.labels}
    if not names:
        raise UsageError(f"{text}: no image has a label; write {_FORMS}")
    for name in names:
        _check_name(name)
    return sorted(found, key=lambda one: one.image_id)


def split_by_class(
    images: Sequence[Labelled], share: float, seed: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Indices of the images to train with, and of those to validate with.

    Each class is divided alike, the rarest first, and has at least one image in each part as far as
    images of several classes allow; those without a class are divided as if it were one. The split
    depends on the ids and the seed alone.

    Raises:
        UsageError: nothing to tell apart, or a class with fewer than two images.
    """
    members: dict[str, list[Labelled]] = defaultdict(list)
    for one in images:
        for label in one.labels or ("",):
            members[label].append(one)
    if len(members) < 2:
        raise UsageError(
            f"all usable images have the class {''.join(members)!r}: a classifier needs two or "
            "more, or images without it"
        )
    for label, of_class in members.items():
        if label and len(of_class) < 2:
            raise UsageError(
                f"the class {label!r} has one usable image: give at least two, one to train with "
                "and one to validate with"
            )
    held_out: set[str] = set()
    settled: set[str] = set()
    for of_class in sorted(members.values(), key=len):
        count = min(max(1, round(share * len(of_class))), len(of_class) - 1)
        open_ones = [one.sample for one in of_class if one.image_id not in settled]
        missing = count - sum(one.image_id in held_out for one in of_class)
        chosen = datasets.limit(open_ones, missing, seed) if missing > 0 else []
        held_out |= {sample.image_id for sample in chosen}
        settled |= {sample.image_id for sample in open_ones}
    validation = [i for i, one in enumerate(images) if one.image_id in held_out]
    training = [i for i, one in enumerate(images) if one.image_id not in held_out]
    return training, validation


def _check_name(label: str) -> None:
    """Refuse what would come back from `classes.txt` as another name, or as several."""
    written = label.encode(errors="replace").decode()
    if class_lines(written) != (label,):
        raise UsageError(
            f"the class {label!r} cannot be written as one line of text: rename it, in letters "
            "that stand in one line"
        )


def _from_dataset(text: str) -> list[Labelled]:
    return [
        _labelled(sample.image_id, sample.source, {sample.label})
        for sample in datasets.load_dataset(text).samples
        if sample.label
    ]


def _from_csv_folder(rest: str) -> list[Labelled]:
    return _from_table(Path(rest) / "meta.csv", Path(rest) / "images")


def _from_table(path: Path, root: Path) -> list[Labelled]:
    table = read_table(path, ("image", "label"))
    table.check_keys(beside="label")
    labels: dict[str, set[str]] = defaultdict(set)
    for image_id, label in zip(table.cells["image"], table.cells["label"], strict=True):
        labels[image_id].add(label)
    return [_labelled(image_id, root / image_id, names) for image_id, names in labels.items()]


def _labelled(image_id: str, source: ImageSource, names: set[str]) -> Labelled:
    sample = Sample(image_id=image_id, source=source)
    return Labelled(sample=sample, labels=tuple(sorted(names - {""})))


_READERS: dict[str, Callable[[str], list[Labelled]]] = {
    "csv": _from_csv_folder,
    "folder": lambda rest: _from_dataset(f"folder:{rest}"),
    "scenes": lambda rest: _from_dataset(f"scenes:{rest}"),
}
