"""`csv:DIR`: `images/` and `boxes.csv`, and where they exist `meta.csv` and `masks/`.

`boxes.csv` has a line for each box, `image,width,height,class,xmin,ymin,xmax,ymax`: pixels of the
upright image, origin top left, xmax and ymax exclusive. `meta.csv` has a line for each image; its
column `label` is the class of the image. `masks/a.png` belongs to `images/a.jpg`. An image without
a line has no boxes. What `exports.csv` does to keep a spreadsheet from running a cell is undone:
an apostrophe before a class, `./` before an image.
"""

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float

from gradbox.boxes import Boxes
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.layout import LARGEST_SIDE, first_folder, folder, images_under, shared
from gradbox.datasets.table import Table, read_table, unguarded
from gradbox.localization import Sample

_NUMBERS = ("width", "height", "xmin", "ymin", "xmax", "ymax")
_OUTSIDE = 1.0
"""Pixels by which a box may reach outside before it is an error and not a rounding."""


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: a folder, file or column is missing, or a line is wrong: which one and why.
    """
    directory = folder("csv", rest)
    root = first_folder("csv", directory / "images")
    table = read_table(directory / "boxes.csv", ("image", "class", *_NUMBERS))
    numbers = _checked(table)
    rows = defaultdict(list)
    for row, cell in enumerate(table.cells["image"]):
        rows[_image_id(cell)].append(row)
    present = images_under(root)
    labels = _image_labels(directory / "meta.csv")
    masks = directory / "masks"
    drawn = images_under(masks) if masks.is_dir() else {}

    def sample(image_id: str) -> Sample:
        of_image = rows.get(image_id, [])
        classes = tuple(unguarded(table.cells["class"][row]) for row in of_image)
        mask = os.path.splitext(image_id)[0] + ".png"
        return Sample(
            image_id=image_id,
            source=present.get(image_id, root / image_id),
            boxes=numbers[of_image, 2:],
            labels=classes,
            label=labels.get(image_id) or shared(classes),
            mask=drawn.get(mask),
            size=_size(numbers[of_image[0]]) if of_image else None,
        )

    spec = f"csv:{directory.as_posix()}"
    return gather(spec, root, map(sample, present.keys() | rows.keys()), present=present)


def _size(numbers: Float[np.ndarray, "6"]) -> tuple[int, int]:
    width, height = numbers[:2]
    return int(height), int(width)


def _image_id(cell: str) -> str:
    return PurePosixPath(cell).as_posix()


def _image_labels(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    table = read_table(path, ("image",))
    table.check_keys()
    image_ids = map(_image_id, table.cells["image"])
    labels = table.cells.get("label", [""] * len(table.lines))
    return dict(zip(image_ids, labels, strict=True))


def _checked(table: Table) -> Float[np.ndarray, "n 6"]:
    """The columns of `_NUMBERS`, all of them in range."""
    for name in ("image", "class"):
        table.refuse(np.array([not c for c in table.cells[name]], bool), f"no {name}; write one")
    numbers = np.stack([_floats(table.cells[name]) for name in _NUMBERS], axis=1)
    for name, column in zip(_NUMBERS, numbers.T, strict=True):
        table.refuse(~np.isfinite(column), f"{name} is not a number; write one")
    size, boxes = numbers[:, :2], numbers[:, 2:]
    table.refuse(
        np.any((size < 1) | (size != np.round(size)) | (size > LARGEST_SIDE), axis=1),
        "width and height have to be whole numbers of at least 1",
    )
    table.refuse(
        np.any(boxes[:, 2:] <= boxes[:, :2], axis=1),
        "the box has no area; xmax has to be larger than xmin, ymax larger than ymin",
    )
    table.refuse(
        _outside(boxes, size),
        "the box lies outside the image; give pixels of the stored file, xmax and ymax exclusive",
    )
    first: dict[str, int] = {}
    firsts = [first.setdefault(image, row) for row, image in enumerate(table.cells["image"])]
    table.refuse(
        np.any(size != size[firsts], axis=1),
        "another width or height than in an earlier line of the same image; correct one of them",
    )
    return numbers


def _outside(boxes: Boxes, size: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    return np.any((boxes[:, :2] < -_OUTSIDE) | (boxes[:, 2:] > size + _OUTSIDE), axis=1)


def _floats(cells: Sequence[str]) -> Float[np.ndarray, "n"]:
    """The cells as numbers, NaN where a cell is none."""
    return np.array([_float(cell) for cell in cells], dtype=np.float64)


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
