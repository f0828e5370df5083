"""Scored proposals, best first, for a detector: beside `coco.json`, and as a table."""

import csv
from collections.abc import Iterable
from pathlib import Path

from gradbox.datasets.table import guarded
from gradbox.exports.about import About
from gradbox.exports.coco import numbered
from gradbox.exports.csv import guarded_path
from gradbox.exports.json_array import JsonArray
from gradbox.files import whole_file
from gradbox.localization import Localization

COLUMNS = ("image", "class", "xmin", "ymin", "xmax", "ymax", "label", "score")


def write_coco(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`proposals.json`: a COCO results file, for `COCO("coco.json").loadRes("proposals.json")`.

    A line for each proposal: `image_id` and `category_id` as `coco.json` has them, `bbox` as left,
    top, width, height in pixels, `score`. The categories have their names in `coco.json`.
    """
    path = out / "proposals.json"
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
        results = JsonArray(stream)
        stream.write("[")
        for number, found, category_of in numbered(localizations):
            for region in found.regions:
                left, top, right, bottom = region.box.tolist()
                results.append(
                    {
                        "image_id": number,
                        "category_id": category_of[region.label],
                        "bbox": [left, top, right - left, bottom - top],
                        "score": region.score,
                    }
                )
        stream.write("]\n")
    return path


def write_csv(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`proposals.csv`: a line for each proposal, guarded as `boxes.csv` is."""
    path = out / "proposals.csv"
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for found in localizations:
            image = guarded_path(found.image_id)
            for one in found.regions:
                name = guarded(about.names(one.label))
                writer.writerow([image, name, *one.box.tolist(), one.label, one.score])
    return path
