"""`cvat:IMAGES@FILE.xml`: CVAT's own annotations, "CVAT for images 1.1".

Boxes (of a rotated one, the box around it), polygons, masks and ellipses are read as boxes; lines,
points and skeletons are not. The only tag of an image is its class.
"""

from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from gradbox.boxes import Box, around_ellipse, spanning, turned
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.documents import read_xml
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
from gradbox.localization import Sample


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: the folder or file is missing, the file is of another kind, or a shape lacks a
            number or its label.
    """
    text, name = divide("cvat", rest)
    root, path = folder("cvat", text), file(name)
    tree = read_xml(path)
    if tree.tag != "annotations" or tree.find("image") is None:
        kind = "tracks of a video" if tree.find("track") is not None else "no images"
        raise UsageError(f"{path} has {kind}; export the task as 'CVAT for images 1.1'")
    present = images_under(root)
    return gather(
        f"cvat:{root.as_posix()}@{path.as_posix()}",
        root,
        [_sample(image, root, present, path) for image in tree.iterfind("image")],
        present=present,
        class_names=[name.text or "" for name in tree.iterfind("meta//labels/label/name")],
    )


def _sample(image: Element, root: Path, present: dict[str, Path], path: Path) -> Sample:
    image_id = PurePosixPath(words(image.get("name"), f"{path}: the name of an image")).as_posix()
    where = f"{path}: {image_id}"
    shapes = [shape for shape in image if shape.tag in _BOXES]
    boxes = [_BOXES[shape.tag](_Numbers(shape, where)) for shape in shapes]
    labels = tuple(words(shape.get("label"), f"{where}: label") for shape in shapes)
    tags = {words(tag.get("label"), f"{where}: label") for tag in image.iterfind("tag")}
    return Sample(
        image_id=image_id,
        source=present.get(image_id, root / image_id),
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=labels,
        label=shared(tags or labels),
        size=stated_size(image.get("height"), image.get("width"), where),
    )


class _Numbers:
    """The attributes of a shape."""

    def __init__(self, shape: Element, where: str) -> None:
        self._shape = shape
        self._where = f"{where}: {shape.tag}"

    def of(self, *names: str) -> list[float]:
        return [number(self._shape.get(name), f"{self._where}: {name}") for name in names]

    def or_zero(self, name: str) -> float:
        return number(self._shape.get(name, "0"), f"{self._where}: {name}")

    def points(self) -> Float[np.ndarray, "n 2"]:
        text = self._shape.get("points", "")
        pairs = [
            [number(cell, f"{self._where}: points") for cell in pair.split(",")]
            for pair in text.split(";")
        ]
        if any(len(pair) != 2 for pair in pairs):
            raise UsageError(f"{self._where}: points {shortened(text)}: write x,y;x,y;x,y")
        return np.array(pairs)


def _rectangle(numbers: _Numbers) -> Box:
    left, top, right, bottom = numbers.of("xtl", "ytl", "xbr", "ybr")
    middle = (left + right) / 2, (top + bottom) / 2
    box = np.array([left, top, right, bottom])
    return turned(box, numbers.or_zero("rotation"), about=middle)


def _ellipse(numbers: _Numbers) -> Box:
    x, y, across, down = numbers.of("cx", "cy", "rx", "ry")
    return around_ellipse((x, y), (across, down), numbers.or_zero("rotation"))


def _polygon(numbers: _Numbers) -> Box:
    return spanning(numbers.points())


def _mask(numbers: _Numbers) -> Box:
    left, top, width, height = numbers.of("left", "top", "width", "height")
    return np.array([left, top, left + width, top + height])


_BOXES = {"box": _rectangle, "ellipse": _ellipse, "polygon": _polygon, "mask": _mask}
