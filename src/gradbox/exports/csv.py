"""One line a box, readable again as the `boxes.csv` of a `csv:` data set."""

import csv
from collections.abc import Iterable
from pathlib import Path

from gradbox.datasets.table import guarded
from gradbox.exports.about import About
from gradbox.files import whole_file
from gradbox.localization import Localization

COLUMNS = (
    *("image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"),
    *("label", "label_score", "score"),
)


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`boxes.csv`: a line for each box, in pixels, xmax and ymax exclusive, at full precision.

    `class` is the name and `label` the index, empty without a class. An image without a box has no
    line. What a spreadsheet would take for a formula is guarded: an image by `./`, which changes no
    path, a class by an apostrophe, which the data set leaves out again.
    """
    path = out / "boxes.csv"
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)  # its usual line end: with another, "\r" would not be quoted
        writer.writerow(COLUMNS)
        for found in localizations:
            height, width = found.size
            image = guarded_path(found.image_id)
            for box, label, *scores in zip(
                found.boxes.tolist(),
                found.labels,
                found.label_scores,
                found.scores,
                strict=True,
            ):
                name = guarded(about.names(label))
                writer.writerow([image, width, height, name, *box, label, *scores])
    return path


def guarded_path(image_id: str) -> str:
    """The same path, by `./` where a spreadsheet would take it for a formula."""
    return image_id if guarded(image_id) == image_id else f"./{image_id}"
