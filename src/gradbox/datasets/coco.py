"""`coco:IMAGES@FILE.json`: COCO's detection format.

Boxes are left, top, width, height; classes are the names of the categories. Crowds are left out,
outlines and keypoints are not read.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.boxes import from_xywh
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.layout import divide, folder, images_under, number, read_text, shared
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
    root, path = folder("coco", text), Path(name).expanduser()
    content = _read(path)
    images = _entries(content, "images", ("id", "file_name"), path)
    categories = _entries(content, "categories", ("id", "name"), path)
    annotations = _entries(content, "annotations", ("image_id", "category_id", "bbox"), path)
    names = {entry["id"]: str(entry["name"]) for entry in categories}
    known = {entry["id"] for entry in images}
    of_image: dict[Any, list[Entry]] = defaultdict(list)
    for i, entry in enumerate(annotations):
        if entry["image_id"] not in known or entry["category_id"] not in names:
            raise UsageError(
                f"{path}: annotations[{i}] points to image {entry['image_id']!r} and category "
                f"{entry['category_id']!r}, and the file does not list both; add the missing one"
            )
        if not entry.get("iscrowd"):
            of_image[entry["image_id"]].append(entry)

    def sample(image: Entry) -> Sample:
        entries = of_image[image["id"]]
        labels = tuple(names[entry["category_id"]] for entry in entries)
        xywh = [_box(entry["bbox"], f"{path}: {image['file_name']}") for entry in entries]
        return Sample(
            image_id=image["file_name"],
            source=root / image["file_name"],
            boxes=from_xywh(np.array(xywh, dtype=np.float64).reshape(-1, 4)),
            labels=labels,
            label=shared(labels),
            size=_size(image),
        )

    return gather(
        f"coco:{root.as_posix()}@{path.as_posix()}",
        root,
        map(sample, images),
        present=set(images_under(root)),
        class_names=names.values(),
    )


def _read(path: Path) -> Entry:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON ({error}); replace the file") from None
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


def _box(bbox: Any, where: str) -> list[float]:
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise UsageError(f"{where}: bbox {bbox!r}: write [x, y, width, height]")
    return [number(value, f"{where}: bbox") for value in bbox]


def _size(image: Entry) -> Size | None:
    height, width = image.get("height"), image.get("width")
    return (int(height), int(width)) if height and width else None
