"""`yolo:DIR`: label files of YOLO, as Ultralytics, Roboflow, CVAT and gradbox write them.

`DIR/images` and `DIR/labels`: of `images/a.jpg` the objects stand in `labels/a.txt`, one a line, as
the number of the class and the box (centre x and y, width, height), or the corners of an outline
(x, y, x, y, ...), whose box counts; all are shares of the upright image. A confidence behind a box
is not read. The names of the classes stand in `DIR/data.yaml`, or one a line in `DIR/classes.txt`.
`yolo:DIR@val` is a part: what `data.yaml` names so, `DIR/images/val` or `DIR/val/images`.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.boxes import Box, Boxes, spanning
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.documents import read_yaml
from gradbox.datasets.layout import (
    first_folder,
    folder,
    images_under,
    number,
    read_text,
    shared,
    shortened,
    words,
)
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Size
from gradbox.images.decode import upright_size
from gradbox.localization import Sample

IMAGES, LABELS = "images", "labels"
_BOX = 4
_CORNERS = 6
"""Numbers of the smallest outline."""


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: a folder or the names of the classes are missing, or a line is wrong: which one
            and why.
    """
    directory, split = _divided(rest)
    about = _about(directory)
    names = _names(directory, about)
    root = _root(directory, split, about)
    present = images_under(root)
    if not any(os.path.isdir(parent) for parent in {_label(p).parent for p in present.values()}):
        raise UsageError(
            f"yolo: there is no folder {_label(root / 'a').parent} for the images in {root}; label "
            "files lie in 'labels' beside 'images'"
        )
    samples = [_sample(image_id, path, names) for image_id, path in present.items()]
    part = f"@{split}" if split else ""
    return gather(
        f"yolo:{directory.as_posix()}{part}",
        root,
        samples,
        present=present,
        class_names=names.values(),
    )


def _divided(rest: str) -> tuple[Path, str]:
    """The folder, which may have an `@` in its name, and the part that is asked for."""
    if os.path.isdir(os.path.expanduser(rest)):
        return folder("yolo", rest), ""
    before, _, after = rest.rpartition("@")
    return folder("yolo", before or rest), after if before else ""


def _about(directory: Path) -> Mapping[str, Any]:
    path = directory / "data.yaml"
    if not path.exists():
        return {}
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path} has to hold the names of the classes: names: [cat, dog]")
    return content


def _names(directory: Path, about: Mapping[str, Any]) -> Mapping[int, str]:
    listed = about.get("names")
    if listed is None:
        path = directory / "classes.txt"
        if not path.exists():
            raise UsageError(
                f"yolo: neither {directory / 'data.yaml'} nor {path} names the classes; write one"
            )
        listed = read_text(path).rstrip("\n").split("\n")
    where = f"{directory}: names"
    if not isinstance(listed, list | dict):
        raise UsageError(f"{where} {shortened(listed)}: write a list, as [cat, dog], or {{0: cat}}")
    pairs = listed.items() if isinstance(listed, dict) else enumerate(listed)
    return {_whole(number(key, where), where): words(str(name), where) for key, name in pairs}


def _root(directory: Path, split: str, about: Mapping[str, Any]) -> Path:
    if not split:
        return first_folder("yolo", directory / IMAGES, directory)
    said = about.get(split)
    if isinstance(said, list) or (isinstance(said, str) and said.endswith(".txt")):
        raise UsageError(
            f"{directory / 'data.yaml'}: {split} is a list; give one folder, or load all of them "
            f"with yolo:{directory}"
        )
    base = directory / str(about.get("path") or "")
    there = [base / said, directory / said] if isinstance(said, str) else []
    return first_folder("yolo", *there, directory / IMAGES / split, directory / split / IMAGES)


def _label(image: Path) -> Path:
    """The label file of an image: the last `images` of its path becomes `labels`."""
    parts = list(image.absolute().parts)
    for i in reversed(range(len(parts) - 1)):
        if parts[i] == IMAGES:
            parts[i] = LABELS
            break
    return Path(*parts).with_suffix(".txt")


def _sample(image_id: str, path: Path, names: Mapping[int, str]) -> Sample:
    label, size = _label(path), _size(path)
    if size is None or not label.exists():
        return Sample(image_id=image_id, source=path)
    classes, boxes = [], []
    for count, line in enumerate(read_text(label).splitlines(), start=1):
        if line.strip():
            where = f"{label}, line {count}"
            first, *others = (number(cell, where) for cell in line.split())
            classes.append(_class(first, names, where))
            boxes.append(_box(others, where))
    height, width = size
    corners: Boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return Sample(
        image_id=image_id,
        source=path,
        boxes=corners * [width, height, width, height],
        labels=tuple(classes),
        label=shared(classes),
        size=size,
    )


def _class(value: float, names: Mapping[int, str], where: str) -> str:
    index = _whole(value, where)
    if index not in names:
        raise UsageError(
            f"{where}: there is no class {index}; the names end at {max(names, default='none')}"
        )
    return names[index]


def _whole(value: float, where: str) -> int:
    if value != int(value) or value < 0:
        raise UsageError(f"{where}: the class {value:g} is no number of a class; count from 0")
    return int(value)


def _box(values: Sequence[float], where: str) -> Box:
    """The corners of a box or of what an outline covers, as shares."""
    if len(values) in (_BOX, _BOX + 1):
        x, y, width, height = values[:_BOX]
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    if len(values) < _CORNERS or len(values) % 2:
        raise UsageError(
            f"{where}: {len(values)} numbers behind the class, {shortened(list(values))}; a box has"
            " 4, an outline 6, 8, 10 and so on"
        )
    return spanning(np.array(values).reshape(-1, 2))


def _size(path: Path) -> Size | None:
    """None of an image that cannot be used, which is said when it is looked at."""
    try:
        return upright_size(path)
    except ImageError:
        return None
