"""`coco:IMAGES@FILE.json`: COCO's detection format.

Boxes are left, top, width, height; classes are the names of the categories. Crowds are left out,
outlines and keypoints are not read.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.boxes import from_xywh
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.documents import read_json
from gradbox.datasets.layout import (
    divide,
    file,
    folder,
    images_under,
    number,
    shared,
    shortened,
    stated_size,
    words,
)
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.localization import Sample

Entry = dict[str, Any]


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: the folder or file is missing, the file is not JSON, or an entry lacks a key or
            points to an image or category that does not exist.
    """
    text, name = divide("coco", rest)
    root, path = folder("coco", text), file(name)
    content = _read(path)
    images = _entries(content, "images", ("id", "file_name"), path)
    categories = _entries(content, "categories", ("id", "name"), path)
    annotations = _entries(content, "annotations", ("image_id", "category_id", "bbox"), path)
    known = _by_id(images, "file_name", f"{path}: images")
    names = _by_id(categories, "name", f"{path}: categories")
    present = images_under(root)
    of_image: dict[Any, list[Entry]] = defaultdict(list)
    for i, entry in enumerate(annotations):
        image, category = entry["image_id"], entry["category_id"]
        if not (_is_id(image) and image in known and _is_id(category) and category in names):
            raise UsageError(
                f"{path}: annotations[{i}] points to image {shortened(image)} and category "
                f"{shortened(category)}, and the file does not list both; add the missing one"
            )
        if not entry.get("iscrowd"):
            of_image[image].append(entry)

    def sample(image: Entry) -> Sample:
        entries, image_id = of_image[image["id"]], image["file_name"]
        labels = tuple(names[entry["category_id"]] for entry in entries)
        xywh = [_box(entry["bbox"], f"{path}: {image_id}") for entry in entries]
        return Sample(
            image_id=image_id,
            source=present.get(image_id, root / image_id),
            boxes=from_xywh(np.array(xywh, dtype=np.float64).reshape(-1, 4)),
            labels=labels,
            label=shared(labels),
            size=_size(image, f"{path}: {image_id}"),
        )

    return gather(
        f"coco:{root.as_posix()}@{path.as_posix()}",
        root,
        map(sample, images),
        present=present,
        class_names=names.values(),
    )


def _read(path: Path) -> Entry:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not in COCO's format: it has to hold one object {{...}}")
    return content


def _entries(content: Entry, name: str, keys: Sequence[str], path: Path) -> list[Entry]:
    entries = content.get(name)
    if not isinstance(entries, list):
        raise UsageError(f"{path} has no list {name!r}; use a file for detection (instances_*)")
    for i, entry in enumerate(entries):
        missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise UsageError(f"{path}: {name}[{i}] has no {', '.join(missing)}; add it")
    return entries


def _by_id(entries: Sequence[Entry], naming: str, where: str) -> dict[Any, str]:
    """The text under `naming` of each entry, by its id: a number or text that no other has."""
    names: dict[Any, str] = {}
    for i, entry in enumerate(entries):
        key = entry["id"]
        if not _is_id(key) or key in names:
            raise UsageError(
                f"{where}[{i}]: the id {shortened(key)} is no number or text of its own; give one"
            )
        names[key] = words(entry[naming], f"{where}[{i}]: {naming}")
    return names


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, float, str))


def _box(bbox: Any, where: str) -> list[float]:
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise UsageError(f"{where}: bbox {shortened(bbox)}: write [x, y, width, height]")
    return [number(value, f"{where}: bbox") for value in bbox]


def _size(image: Entry, where: str) -> Size | None:
    height, width = image.get("height"), image.get("width")
    return None if height is None or width is None else stated_size(height, width, where)
