"""`imagenet:DIR@val`, `@loc` and `@folders`: ILSVRC2012 with its boxes; classes are wnids.

- `@val`: images in ILSVRC/Data/CLS-LOC/val, boxes in ILSVRC/Annotations/CLS-LOC/val (XML); DIR is
  ILSVRC or its parent. Also `val/` beside `bbox/val/`. Images may lie in class folders.
- `@loc`: the same images, boxes in `LOC_val_solution.csv` in DIR or beside it.
- `@folders`: images in DIR/WNID, and where there are boxes, XML in Annotation/WNID in or beside DIR
  or in ILSVRC/Annotations/CLS-LOC/train. The folder is the class of image and boxes: some training
  annotations name a dog in words.

Where the coordinates begin is not documented. In the validation boxes they run from 0 to the width
and height *included* (ILSVRC2012_val_00000010 is 375 high and has ymax 375): that is our half-open
convention, so they are taken as they stand and not shifted as VOC's are. Training boxes refer to
the image size that the annotator saw, which the XML states, so `@folders` reads the header of each
annotated image and scales them.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from gradbox.datasets import annotation
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.layout import (
    FORMS,
    divide,
    first_folder,
    folder,
    images_under,
    number,
    shared,
)
from gradbox.datasets.table import read_table
from gradbox.errors import ImageError, UsageError, nearest
from gradbox.geometry import Size
from gradbox.images.decode import stored_size
from gradbox.images.names import id_of
from gradbox.localization import Sample


def load(rest: str) -> Dataset:
    """Read one of the layouts of this module's docstring.

    Raises:
        UsageError: an unknown part after `@`, a folder or file is missing or cannot be read.
    """
    text, part = divide("imagenet", rest)
    directory = folder("imagenet", text)
    if part not in _LAYOUTS:
        raise UsageError(
            f"'@{part}' is no part of imagenet{nearest(part, _LAYOUTS)}: write "
            f"{FORMS['imagenet']}, @loc or @folders"
        )
    return _LAYOUTS[part](directory, f"imagenet:{directory.as_posix()}@{part}")


def _val(directory: Path, spec: str) -> Dataset:
    root = _val_images(directory)
    annotations = first_folder(
        "imagenet",
        directory / "Annotations/CLS-LOC/val",
        directory / "ILSVRC/Annotations/CLS-LOC/val",
        directory / "bbox/val",
    )
    xml_files = {id_of(Path(path.stem)): path for path in annotations.glob("*.xml")}

    def sample(image_id: str) -> Sample:
        xml = xml_files.get(PurePosixPath(image_id).stem)
        if xml is None:
            return Sample(image_id=image_id, source=present[image_id])
        found = annotation.read(xml)
        return Sample(
            image_id=image_id,
            source=present.get(image_id, root / image_id),
            boxes=found.boxes,
            labels=found.labels,
            label=shared(found.labels),
            size=found.size,
        )

    present = images_under(root)
    return gather(spec, root, map(sample, _with_missing(present, xml_files)), present=present)


def _loc(directory: Path, spec: str) -> Dataset:
    root = _val_images(directory)
    name = "LOC_val_solution.csv"
    beside = directory.resolve().parent / name
    path = beside if beside.is_file() and not (directory / name).is_file() else directory / name
    cells = read_table(path, ("ImageId", "PredictionString")).cells
    pairs = zip(cells["ImageId"], cells["PredictionString"], strict=True)
    words = {stem: re.findall(r"[^ \t]+", text) for stem, text in pairs}

    def sample(image_id: str) -> Sample:
        of_image = words.get(PurePosixPath(image_id).stem, [])
        if len(of_image) % 5:
            raise UsageError(f"{path}: {image_id}: write 'wnid xmin ymin xmax ymax' for each box")
        corners = [number(w, f"{path}: {image_id}") for i, w in enumerate(of_image) if i % 5]
        labels = tuple(of_image[::5])
        return Sample(
            image_id=image_id,
            source=present.get(image_id, root / image_id),
            boxes=np.array(corners, dtype=np.float64).reshape(-1, 4),
            labels=labels,
            label=shared(labels),
        )

    present = images_under(root)
    return gather(spec, root, map(sample, _with_missing(present, words)), present=present)


def _folders(directory: Path, spec: str) -> Dataset:
    place = directory.resolve()
    candidates = [directory / "Annotation", place.parent / "Annotation"]
    if place.parts[-3:] == ("Data", "CLS-LOC", "train"):
        candidates.append(place.parents[2] / "Annotations/CLS-LOC/train")
    annotations = next((path for path in candidates if path.is_dir()), None)

    def sample(image_id: str) -> Sample:
        image = present[image_id]
        folder, slash, _ = image_id.partition("/")
        wnid = folder if slash else None
        inside = image.relative_to(directory).with_suffix(".xml")
        xml = annotations / inside if annotations else None
        if wnid is None or xml is None or not os.path.exists(xml):
            return Sample(image_id=image_id, source=image, label=wnid)
        found = annotation.read(xml)
        size = _header_size(image) or found.size
        seen = found.size or size
        scale = np.array([size[1] / seen[1], size[0] / seen[0]] * 2) if size and seen else 1.0
        return Sample(
            image_id=image_id,
            source=image,
            boxes=found.boxes * scale,
            labels=(wnid,) * len(found.boxes),
            label=wnid,
            size=size,
        )

    present = images_under(directory)
    return gather(spec, directory, map(sample, present), present=present)


_LAYOUTS: dict[str, Callable[[Path, str], Dataset]] = {
    "val": _val,
    "loc": _loc,
    "folders": _folders,
}


def _val_images(directory: Path) -> Path:
    return first_folder(
        "imagenet",
        directory / "Data/CLS-LOC/val",
        directory / "ILSVRC/Data/CLS-LOC/val",
        directory / "val",
    )


def _with_missing(present: Iterable[str], stems: Iterable[str]) -> list[str]:
    """The images that are there, and the official names of those that only have boxes."""
    there = {PurePosixPath(image_id).stem for image_id in present}
    return [*present, *(f"{stem}.JPEG" for stem in stems if stem not in there)]


def _header_size(image: Path) -> Size | None:
    try:
        return stored_size(image)
    except ImageError:
        return None
