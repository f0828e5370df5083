"""Crops of the boxes and masks of the main ones, as PNG files."""

import csv
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gradbox.boxes import Box
from gradbox.datasets.table import guarded
from gradbox.errors import ImageError
from gradbox.exports.about import About
from gradbox.exports.csv import guarded_path
from gradbox.exports.folders import check_files, whole_folder
from gradbox.files import file_of
from gradbox.localization import RGB, Localization

COLUMNS = (
    *("file", "image", "class", "xmin", "ymin", "xmax", "ymax"),
    *("label", "label_score", "score", "error"),
)
TABLE = "crops.csv"
_SUFFIX = ".png"


def check(image_ids: Iterable[str]) -> None:
    """Refuse images that would have the same files.

    Raises:
        UsageError: two images differ in their suffix only, or one has another's file as a folder.
    """
    check_files(image_ids, _SUFFIX)


def write_crops(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`crops/a-1.png`: what the first box of `a.jpg` shows, and so on; `crops/crops.csv` lists all.

    Every pixel that a box touches is in its crop, as people see it, at the resolution of the image
    (of one of more than 67 million pixels, of its smaller copy). The table has the box and scores
    of each crop, and in its `error` why an image had none. Cells are guarded as in `exports.csv`.

    Raises:
        UsageError: nothing says where the images are.
    """
    folder = out / "crops"
    with (
        whole_folder(folder) as partial,
        (partial / TABLE).open("w", encoding="utf-8", newline="") as stream,
    ):
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for found in localizations:
            image, rgb, error = guarded_path(found.image_id), None, ""
            try:
                rgb = about.rgb(found.image_id) if len(found.boxes) else None
            except ImageError as unreadable:
                error = str(unreadable)
            for i, (box, label) in enumerate(zip(found.boxes, found.labels, strict=True)):
                file = file_of(partial, f"{_stem(found.image_id)}-{i + 1}", _SUFFIX)
                if rgb is not None:
                    _save(file, crop(rgb, box, found))
                name = "" if rgb is None else guarded_path(file.relative_to(partial).as_posix())
                scores = found.label_scores[i], found.scores[i]
                row = [name, image, guarded(about.names(label)), *box.tolist(), label, *scores]
                table.writerow([*row, error])
    return folder


def write_masks(localizations: Iterable[Localization], _: About, out: Path) -> Path:
    """`masks/a.png`: the mask of the main box of `a.jpg`, 255 inside and 0 outside.

    As the data set `csv:DIR` reads them. An image without a mask has no file.
    """
    folder = out / "masks"
    with whole_folder(folder) as partial:
        for found in localizations:
            if found.mask is not None:
                file = file_of(partial, _stem(found.image_id), _SUFFIX)
                _save(file, found.mask.astype(np.uint8) * 255)
    return folder


def crop(rgb: RGB, box: Box, found: Localization) -> UInt8[np.ndarray, "rows columns 3"]:
    """The pixels that a box (4,) of the image touches, of the image or a smaller copy of it.

    At least one pixel.
    """
    height, width = rgb.shape[:2]
    scale = np.array([width / found.size[1], height / found.size[0]])
    left, top = np.minimum(np.floor(box[:2] * scale), [width - 1, height - 1]).astype(int)
    right, bottom = np.maximum(np.ceil(box[2:] * scale), [left + 1, top + 1]).astype(int)
    return rgb[top:bottom, left:right]


def _stem(image_id: str) -> str:
    return PurePosixPath(image_id).with_suffix("").as_posix()


def _save(path: Path, pixels: RGB | UInt8[np.ndarray, "h w"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
