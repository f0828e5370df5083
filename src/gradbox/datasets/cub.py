"""`cub:DIR@test`, `@train` or `@all` (the default): Caltech-UCSD Birds-200-2011.

DIR is CUB_200_2011 or its parent. Boxes are left, top, width, height as decimal numbers. Where the
archive of segmentations was unpacked in or beside CUB_200_2011, they are the masks: five people
outlined each bird and a pixel holds their share times 255, so a pixel above 127 was inside for at
least three of them.
"""

from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool

from gradbox.boxes import from_xywh
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.layout import (
    FORMS,
    first_folder,
    folder,
    images_under,
    number,
    read_pairs,
)
from gradbox.errors import UsageError
from gradbox.images.decode import load_rgb
from gradbox.localization import Sample

_TABLES = ("images", "bounding_boxes", "image_class_labels", "classes", "train_test_split")
_PARTS = {"test": ("0",), "train": ("1",), "all": ("0", "1")}
"""The values in train_test_split.txt that belong to each part."""


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: an unknown part after `@`, a folder or file is missing, or a line is wrong.
    """
    text, part = rest.rsplit("@", 1) if "@" in rest else (rest, "all")
    if part not in _PARTS:
        raise UsageError(f"'@{part}' is no part of cub: write {FORMS['cub']}, @train or @all")
    directory = folder("cub", text)
    root = first_folder("cub", directory / "images", directory / "CUB_200_2011" / "images")
    base = root.parent
    tables = {name: dict(read_pairs(base / f"{name}.txt")) for name in _TABLES}
    present, masks = images_under(root), _masks(base)

    def cell(name: str, key: str) -> str:
        if not tables[name].get(key):
            raise UsageError(f"{base / name}.txt has no line {key}, or nothing in it; add it")
        return tables[name][key]

    def sample(key: str) -> Sample:
        image_id = cell("images", key)
        label = cell("classes", cell("image_class_labels", key))
        where = f"{base / 'bounding_boxes.txt'}: image {key}"
        xywh = [number(word, where) for word in cell("bounding_boxes", key).split()]
        if len(xywh) != 4:
            raise UsageError(f"{where} has {len(xywh)} numbers; write x y width height")
        mask = masks.get(PurePosixPath(image_id).with_suffix(".png").as_posix())
        return Sample(
            image_id=image_id,
            source=present.get(image_id, root / image_id),
            boxes=from_xywh(np.array([xywh])),
            labels=(label,),
            label=label,
            mask=partial(majority, mask) if mask else None,
        )

    return gather(
        f"cub:{directory.as_posix()}@{part}",
        root,
        [sample(key) for key in tables["images"] if cell("train_test_split", key) in _PARTS[part]],
        present=present,
        class_names=tables["classes"].values(),
    )


def majority(path: Path) -> Bool[np.ndarray, "h w"]:
    """The pixels that most of the five annotators marked as bird.

    Raises:
        ImageError: the file cannot be read.
    """
    return load_rgb(path)[..., 0] > 127


def _masks(base: Path) -> dict[str, Path]:
    candidates = (base / "segmentations", base.resolve().parent / "segmentations")
    root = next((path for path in candidates if path.is_dir()), None)
    return images_under(root) if root else {}
