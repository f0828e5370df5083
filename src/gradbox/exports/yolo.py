"""The label files of YOLO, as Ultralytics and Darknet read them."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gradbox.boxes import centers
from gradbox.exports.about import About
from gradbox.exports.classes import distinct_names, printable
from gradbox.exports.folders import check_files, whole_folder, write_beside
from gradbox.files import write_text
from gradbox.localization import Localization

_SUFFIX = ".txt"


def check(image_ids: Iterable[str]) -> None:
    """Refuse images that would have the same file.

    Raises:
        UsageError: two images differ in their suffix only, or one has another's file as a folder.
    """
    check_files(image_ids, _SUFFIX)


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`yolo/labels/*.txt`: class, centre and size of each box as shares; `data.yaml` names classes.

    Classes count from 0 in the order in which labels are met; `classes.txt` has their names too. To
    train, put or link the images into `yolo/images`, which is empty at first. The format has no
    place for scores.

    Raises:
        UsageError: what `check` refuses.
    """
    folder = out / "yolo"
    classes: dict[int | None, int] = {}
    with whole_folder(folder / "labels") as labels:
        for found in localizations:
            height, width = found.size
            sides = found.boxes[:, 2:] - found.boxes[:, :2]
            shares = np.hstack([centers(found.boxes), sides]) / [width, height, width, height]
            numbers = [classes.setdefault(label, len(classes)) for label in found.labels]
            lines = [
                f"{number} {x:.8f} {y:.8f} {w:.8f} {h:.8f}\n"
                for number, (x, y, w, h) in zip(numbers, shares.tolist(), strict=True)
            ]
            write_beside(labels, found.image_id, _SUFFIX, "".join(lines))
    listed = distinct_names(classes, lambda label: printable(about.names(label)))
    write_text(folder / "classes.txt", "".join(f"{name}\n" for name in listed))
    # A JSON list is a YAML list, and its quotes protect any name.
    quoted = json.dumps(listed, ensure_ascii=False)
    images = folder / "images"  # both keys have to name a folder that is there
    if not os.path.lexists(images):
        images.mkdir()
    write_text(
        folder / "data.yaml",
        f"# Put or link the images into images/.\ntrain: images\nval: images\nnames: {quoted}\n",
    )
    return folder
