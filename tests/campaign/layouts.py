"""A tiny valid data set of each layout that is read from disk, whatever its files are called."""

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from gradbox.datasets.scenes import CLASSES

WIDTH, HEIGHT = 31, 24
BOX = (2, 3, 20, 18)
"""Pixels from 0, xmax and ymax exclusive; each layout writes it in its own convention."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a data set calls its four images, without suffix, and its two classes.

    Bytes that are no UTF-8 stand as Python reads them from a folder.
    """

    stems: tuple[str, ...] = ("a1", "a2", "a3", "a4")
    classes: tuple[str, ...] = (CLASSES[0], CLASSES[1])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each image with its class."""
        return [(stem, self.classes[i % 2]) for i, stem in enumerate(self.stems)]


Facts = dict[str, str]
"""What was built: the class of each image by its id."""


def as_id(name: str) -> str:
    """A name as an image id has it, by the rule of `find_images`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogateescape"))


def _table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def _photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = len(os.listdir(path.parent))
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    Image.fromarray(mask).save(path)


_BLANKS = " \t\r\n"
"""Around a name in XML they are its indent, in a list they part it from its neighbours."""

_RETURN = {"\r": "&#13;"}
"""XML reads it as a line feed where it stands as it is."""


def _xml(path: Path, label: str, corners: Sequence[int]) -> None:
    named = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{name}>{number}</{name}>" for name, number in named)
    _text(
        path,
        f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size><object><name>"
        f"{escape(label, _RETURN)}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"
        "</annotation>",
    )


def _csv(root: Path, names: Names) -> Facts:
    boxes: list[Sequence[object]] = [
        ("image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    ]
    for stem, label in names.pairs:
        _photo(root / "images" / f"{stem}.png")
        _mask(root / "masks" / f"{stem}.png")
        boxes.append((f"{stem}.png", WIDTH, HEIGHT, label, *BOX))
    _table(root / "boxes.csv", boxes)
    labels = [(f"{stem}.png", label) for stem, label in names.pairs]
    _table(root / "meta.csv", [("image", "label"), *labels])
    return {as_id(image): label for image, label in labels}


def _coco(root: Path, names: Names) -> Facts:
    x0, y0, x1, y1 = BOX
    for stem in names.stems:
        _photo(root / "images" / f"{stem}.png")
    images = [
        {"id": i, "file_name": f"{stem}.png", "width": WIDTH, "height": HEIGHT}
        for i, stem in enumerate(names.stems)
    ]
    annotations = [
        {"id": i, "image_id": i, "category_id": i % 2, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for i in range(len(images))
    ]
    content = {
        "images": images,
        "categories": [{"id": i, "name": name} for i, name in enumerate(names.classes)],
        "annotations": annotations,
    }
    _text(root / "boxes.json", json.dumps(content))
    return {as_id(f"{stem}.png"): label for stem, label in names.pairs}


def _cvat(root: Path, names: Names) -> Facts:
    x0, y0, x1, y1 = BOX
    images = []
    for i, (stem, label) in enumerate(names.pairs):
        _photo(root / "images" / f"{stem}.png")
        quoted = {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", **_RETURN}
        name, said = escape(f"{stem}.png", quoted), escape(label, quoted)
        images.append(
            f'<image id="{i}" name="{name}" width="{WIDTH}" height="{HEIGHT}">'
            f'<box label="{said}" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}"/></image>'
        )
    _text(root / "boxes.xml", f"<annotations>{''.join(images)}</annotations>")
    return {as_id(f"{stem}.png"): label for stem, label in names.pairs}


def _labelstudio(root: Path, names: Names) -> Facts:
    x0, y0, x1, y1 = BOX
    tasks = []
    for stem, label in names.pairs:
        _photo(root / "images" / f"{stem}.png")
        value = {
            "x": 100 * x0 / WIDTH,
            "y": 100 * y0 / HEIGHT,
            "width": 100 * (x1 - x0) / WIDTH,
            "height": 100 * (y1 - y0) / HEIGHT,
            "rectanglelabels": [label],
        }
        size = {"original_width": WIDTH, "original_height": HEIGHT}
        result = [{"id": "b", "type": "rectanglelabels", "value": value, **size}]
        tasks.append({"data": {"image": f"{stem}.png"}, "annotations": [{"result": result}]})
    _text(root / "tasks.json", json.dumps(tasks))
    return {as_id(f"{stem}.png"): label for stem, label in names.pairs}


def _yolo(root: Path, names: Names) -> Facts:
    x0, y0, x1, y1 = BOX
    shares = ((x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT)
    for i, stem in enumerate(names.stems):
        _photo(root / "images" / f"{stem}.png")
        _text(root / "labels" / f"{stem}.txt", " ".join(map(str, (i % 2, *shares))))
    _text(root / "data.yaml", f"names: {json.dumps(names.classes)}")
    return {as_id(f"{stem}.png"): label for stem, label in names.pairs}


def _voc(root: Path, names: Names) -> Facts:
    x0, y0, x1, y1 = BOX
    base = root / "VOC2007"
    for stem, label in names.pairs:
        _photo(base / "JPEGImages" / f"{stem}.jpg")
        _xml(base / "Annotations" / f"{stem}.xml", label, (x0 + 1, y0 + 1, x1, y1))
    _text(base / "ImageSets/Main/test.txt", "".join(f"{stem}\n" for stem in names.stems))
    return {as_id(f"{stem}.jpg"): label.strip(_BLANKS) for stem, label in names.pairs}


def _cub(root: Path, names: Names) -> Facts:
    x0, y0, x1, y1 = BOX
    images = [f"{label}/{stem}.jpg" for stem, label in names.pairs]
    for image in images:
        _photo(root / "images" / image)
        _mask((root / "segmentations" / image).with_suffix(".png"))
    numbered = list(enumerate(images, start=1))
    tables = {
        "images": numbered,
        "classes": list(enumerate(names.classes, start=1)),
        "image_class_labels": [(key, 2 - key % 2) for key, _ in numbered],
        "train_test_split": [(key, key % 2) for key, _ in numbered],
        "bounding_boxes": [(key, f"{x0}.0 {y0}.0 {x1 - x0}.0 {y1 - y0}.0") for key, _ in numbered],
    }
    for name, rows in tables.items():
        _text(root / f"{name}.txt", "".join(f"{key} {rest}\n" for key, rest in rows))
    labels = [label.strip(_BLANKS) for _, label in names.pairs]
    return {as_id(image): label for image, label in zip(images, labels, strict=True)}


def _imagenet_val(root: Path, names: Names) -> Facts:
    for stem, label in names.pairs:
        _photo(root / "val" / f"{stem}.JPEG")
        _xml(root / "bbox/val" / f"{stem}.xml", label, BOX)
    return {as_id(f"{stem}.JPEG"): label.strip(_BLANKS) for stem, label in names.pairs}


def _imagenet_loc(root: Path, names: Names) -> Facts:
    rows = [(stem, f"{label} {' '.join(map(str, BOX))} ") for stem, label in names.pairs]
    for stem in names.stems:
        _photo(root / "val" / f"{stem}.JPEG")
    _table(root / "LOC_val_solution.csv", [("ImageId", "PredictionString"), *rows])
    return {as_id(f"{stem}.JPEG"): label.strip(" \t") for stem, label in names.pairs}


def _imagenet_folders(root: Path, names: Names) -> Facts:
    for stem, label in names.pairs:
        _photo(root / label / f"{stem}.JPEG")
        _xml(root / "Annotation" / label / f"{stem}.xml", label, BOX)
    return {as_id(f"{label}/{stem}.JPEG"): as_id(label) for stem, label in names.pairs}


def _folder(root: Path, names: Names) -> Facts:
    for stem, label in names.pairs:
        _photo(root / label / f"{stem}.png")
    return {as_id(f"{label}/{stem}.png"): as_id(label) for stem, label in names.pairs}


def _list(root: Path, names: Names) -> Facts:
    for stem, _ in names.pairs:
        _photo(root / f"{stem}.png")
    rows = [(f"{stem}.png", label) for stem, label in names.pairs]
    _table(root / "images.csv", [("path", "class"), *rows])
    return {as_id(image): as_id(label) for image, label in rows}


def _label_table(root: Path, names: Names) -> Facts:
    labels = [(f"{stem}.png", label) for stem, label in names.pairs]
    for image, _ in labels:
        _photo(root / image)
    _table(root / "labels.csv", [("image", "label"), *labels])
    return {as_id(image): label for image, label in labels}


def _parquet(root: Path, names: Names) -> Facts:
    rows = []
    for stem, label in names.pairs:
        _photo(root / f"{stem}.png")
        _mask(root / "masks" / f"{stem}.png")
        row = {"path": f"{stem}.png", "class": label, "width": WIDTH, "height": HEIGHT}
        rows.append({**row, "boxes": [list(map(float, BOX))], "mask": f"masks/{stem}.png"})
    write_rows(root / "images.parquet", rows)
    return {f"{stem}.png": label for stem, label in names.pairs}


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """A parquet file; half characters, which it cannot hold, are written out."""
    table = pa.Table.from_pylist([{k: _whole(v) for k, v in row.items()} for row in rows])
    pq.write_table(table, file)


def _whole(value: object) -> object:
    return as_id(value) if isinstance(value, str) else value


Build = Callable[[Path, Names], Facts]

EVALUATED: Mapping[str, Build] = {
    "csv:{}": _csv,
    "coco:{}/images@{}/boxes.json": _coco,
    "cvat:{}/images@{}/boxes.xml": _cvat,
    "labelstudio:{}/images@{}/tasks.json": _labelstudio,
    "yolo:{}": _yolo,
    "voc:{}@2007/test": _voc,
    "cub:{}@all": _cub,
    "imagenet:{}@val": _imagenet_val,
    "imagenet:{}@loc": _imagenet_loc,
    "imagenet:{}@folders": _imagenet_folders,
    "folder:{}": _folder,
    "list:{}/images.csv": _list,
    "parquet:{}/images.parquet": _parquet,
}
"""By the text that loads the data set, where {} is its folder."""

TRAINED: Mapping[str, Build] = {"{}": _folder, "{}/labels.csv": _label_table, "csv:{}": _csv}
"""By the text that `gradbox train` takes."""
