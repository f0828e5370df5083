"""Open Images' table of boxes."""

import csv
from collections.abc import Iterable
from pathlib import Path

from gradbox.datasets.table import guarded
from gradbox.exports.about import About
from gradbox.exports.csv import guarded_path
from gradbox.files import whole_file
from gradbox.localization import Localization

COLUMNS = (
    *("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax"),
    *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
)
_SOURCE = "gradbox"
_UNKNOWN = -1


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`openimages.csv`: a line for each box, its sides as shares of the image.

    `ImageID` is the path of the image, `LabelName` the name of the class, `Confidence` the score;
    what nobody looked at, such as `IsOccluded`, is -1. Cells are guarded as in `exports.csv`.
    """
    path = out / "openimages.csv"
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for found in localizations:
            height, width = found.size
            image = guarded_path(found.image_id)
            for (xmin, ymin, xmax, ymax), label, score in zip(
                found.boxes.tolist(), found.labels, found.scores, strict=True
            ):
                sides = (xmin / width, xmax / width, ymin / height, ymax / height)
                name = guarded(about.names(label))
                writer.writerow([image, _SOURCE, name, score, *sides, *[_UNKNOWN] * 5])
    return path
