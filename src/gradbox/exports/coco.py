"""COCO's detection format: images, annotations and categories in one JSON file."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import cv2
import numpy as np

from gradbox.exports.about import About
from gradbox.exports.classes import distinct_names
from gradbox.exports.json_array import JsonArray
from gradbox.files import whole_file
from gradbox.geometry import Mask
from gradbox.localization import Localization

Segmentation = dict[str, Any] | list[list[float]]
"""Of one object: run lengths, or polygons x, y, x, y, ... in pixels."""


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`coco.json`: left, top, width, height of each box in pixels, with its scores.

    Ids count from 1, those of the categories in the order in which labels are met, those of
    proposals among them. The mask of the main box becomes run lengths as pycocotools packs them,
    exact to the pixel, and its pixels the area. A box without a mask is its own polygon.
    """
    return _write(localizations, about, out / "coco.json", run_lengths)


def write_polygons(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`coco_polygons.json`: the same with the outlines of masks, for what reads no run lengths.

    Holes are filled, see `outlines`.
    """
    return _write(localizations, about, out / "coco_polygons.json", outlines)


def _write(
    localizations: Iterable[Localization],
    about: About,
    path: Path,
    segment: Callable[[Mask], Segmentation],
) -> Path:
    categories: Mapping[int | None, int] = {}
    count = 0
    with (
        whole_file(path) as partial,
        partial.open("w", encoding="utf-8") as stream,
        TemporaryFile("w+", encoding="utf-8") as later,
    ):
        images, annotations = JsonArray(stream), JsonArray(later)
        stream.write('{"info": {"description": "gradbox"}, "licenses": [], "images": [')
        for image_number, found, categories in numbered(localizations):
            height, width = found.size
            images.append(
                {"id": image_number, "file_name": found.image_id, "width": width, "height": height}
            )
            for label, fields in _annotations(found, segment):
                count += 1
                ids = {"id": count, "image_id": image_number, "category_id": categories[label]}
                annotations.append({**ids, **fields})
        stream.write('],\n"annotations": [')
        later.seek(0)
        shutil.copyfileobj(later, stream)
        listed = [
            {"id": number, "name": name}
            for number, name in enumerate(distinct_names(categories, about.names), start=1)
        ]
        stream.write(f'],\n"categories": {json.dumps(listed)}}}\n')
    return path


def numbered(
    localizations: Iterable[Localization],
) -> Iterator[tuple[int, Localization, Mapping[int | None, int]]]:
    """The id of each image, and the ids of the categories of all labels that were met so far."""
    categories: dict[int | None, int] = {}
    for number, found in enumerate(localizations, start=1):
        for label in (*found.labels, *(region.label for region in found.regions)):
            categories.setdefault(label, len(categories) + 1)
        yield number, found, categories


def _annotations(
    found: Localization, segment: Callable[[Mask], Segmentation]
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """The label of each box and what does not depend on other images."""
    for i, (left, top, right, bottom) in enumerate(found.boxes.tolist()):
        mask = found.mask if i == 0 and found.mask is not None and found.mask.any() else None
        width, height = right - left, bottom - top
        yield (
            found.labels[i],
            {
                "bbox": [left, top, width, height],
                "area": width * height if mask is None else int(mask.sum()),
                "iscrowd": 0,
                # As pycocotools does itself: on a missing or empty outline its `annToMask` fails,
                # and detectron2 drops a box whose list is empty.
                "segmentation": (
                    [[left, top, left, bottom, right, bottom, right, top]]
                    if mask is None
                    else segment(mask)
                ),
                "label_score": found.label_scores[i],
                "score": found.scores[i],
            },
        )


def run_lengths(mask: Mask) -> dict[str, Any]:
    """A mask as pycocotools packs it: the runs down its columns, zeros first, as text."""
    from supervision import mask_to_rle

    return {"size": list(mask.shape), "counts": mask_to_rle(mask, compressed=True)}


def outlines(mask: Mask) -> list[list[float]]:
    """The outer edges of a mask as polygons x, y, x, y, ..., along the borders of its pixels.

    A pixel i covers [i, i + 1]. Polygons cannot have holes, so holes are filled, and inward
    corners are cut by half a pixel.
    """
    corners = cv2.dilate(np.pad(mask, (0, 1)).astype(np.uint8), np.ones((2, 2)), anchor=(1, 1))
    contours, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [contour.ravel().tolist() for contour in contours]
