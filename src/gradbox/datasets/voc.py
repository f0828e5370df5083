"""`voc:DIR@2007/test`: the official VOCdevkit layout of PASCAL VOC, any year and split.

DIR is the folder that holds VOCdevkit, or VOCdevkit, or VOC2007 itself. Objects marked as
difficult are left out, as in the official evaluation; `voc:DIR@2007/test,difficult` keeps them.
The coordinates in the XML files count pixels from 1 and include the last one.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gradbox.boxes import from_inclusive
from gradbox.datasets import annotation
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.layout import (
    FORMS,
    divide,
    first_folder,
    folder,
    images_under,
    read_pairs,
    shared,
)
from gradbox.errors import UsageError, nearest
from gradbox.localization import Sample


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: the part after `@` is none, a folder or the split is missing, or an annotation
            cannot be read.
    """
    text, part = divide("voc", rest)
    directory = folder("voc", text)
    name, comma, option = part.partition(",")
    year, slash, split = name.partition("/")
    if not (year and slash and split) or (comma and option != "difficult"):
        raise UsageError(
            f"cannot read '@{part}': write YEAR/SPLIT or YEAR/SPLIT,difficult as in {FORMS['voc']}"
        )
    base = first_folder(
        "voc",
        *(parent / f"VOC{year}" for parent in (directory, directory / "VOCdevkit")),
        *([directory] if directory.resolve().name == f"VOC{year}" else []),
    )
    root = first_folder("voc", base / "JPEGImages")
    annotations = first_folder("voc", base / "Annotations")
    samples = [
        _sample(root / f"{stem}.jpg", annotations / f"{stem}.xml", keep_difficult=bool(option))
        for stem in _stems(base / "ImageSets" / "Main", split)
    ]
    spec = f"voc:{directory.as_posix()}@{part}"
    return gather(spec, root, samples, present=images_under(root))


def _stems(folder_of_splits: Path, split: str) -> Sequence[str]:
    path = folder_of_splits / f"{split}.txt"
    if not os.path.isfile(path):
        # The lists of single classes (cat_test.txt) name every image, so they are no splits.
        splits = sorted(p.stem for p in folder_of_splits.glob("*.txt") if "_" not in p.stem)
        raise UsageError(
            f"there is no split {path}{nearest(split, splits)}; splits: {', '.join(splits)}"
        )
    return [stem for stem, _ in read_pairs(path)]


def _sample(image: Path, xml: Path, *, keep_difficult: bool) -> Sample:
    if not os.path.exists(xml):
        return Sample(image_id=image.name, source=image)
    found = annotation.read(xml)
    keep = np.array([keep_difficult or not difficult for difficult in found.difficult], dtype=bool)
    labels = tuple(label for label, kept in zip(found.labels, keep, strict=True) if kept)
    return Sample(
        image_id=image.name,
        source=image,
        boxes=from_inclusive(found.boxes[keep]),
        labels=labels,
        label=shared(labels),
        size=found.size,
    )
