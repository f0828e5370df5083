"""Predictions in the formats of other tools, one file a format, and as values of other libraries.

An exporter reads localizations once, writes below a folder, and gives back the path it wrote. Image
ids are written as they are, relative to the folder of the images; no image is copied. Where a
format cannot hold a character of a name, its escape stands there (`classes.printable`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from gradbox.exports import coco, csv, cvat, labelstudio, openimages, pixels, proposals, voc, yolo
from gradbox.exports.about import About, model_version
from gradbox.exports.conversions import to_dict, to_fiftyone, to_pandas, to_supervision
from gradbox.localization import Localization
from gradbox.registry import Registry

__all__ = [
    "FORMATS",
    "WHOLE_FOLDERS",
    "About",
    "Exporter",
    "check_formats",
    "exporters",
    "model_version",
    "to_dict",
    "to_fiftyone",
    "to_pandas",
    "to_supervision",
]

Exporter = Callable[[Iterable[Localization], About, Path], Path]
"""From localizations, what is to be known beside them, and the folder to write below."""

FORMATS: Registry[Exporter] = Registry(
    "gradbox.exports",
    {
        "coco": coco.write,
        "coco_polygons": coco.write_polygons,
        "crops": pixels.write_crops,
        "csv": csv.write,
        "cvat": cvat.write,
        "labelstudio": labelstudio.write,
        "masks": pixels.write_masks,
        "openimages": openimages.write,
        "voc": voc.write,
        "yolo": yolo.write,
    },
)

PROPOSALS: Mapping[str, Exporter] = {"coco": proposals.write_coco, "csv": proposals.write_csv}
"""What the formats that can hold proposals write beside their own file where a run keeps them."""

WHOLE_FOLDERS = frozenset({"crops", "masks"})
"""The folders that hold nothing but what an export writes."""

_CHECKS: Mapping[str, Callable[[Iterable[str]], None]] = {
    "crops": pixels.check,
    "masks": pixels.check,
    "voc": voc.check,
    "yolo": yolo.check,
}
"""The formats that cannot hold every set of images."""


def exporters(formats: Iterable[str], *, proposals: bool) -> Sequence[Exporter]:
    """What writes these formats, with the files of proposals where a run keeps them."""
    found = []
    for name in formats:
        found.append(FORMATS[name])
        if proposals and name in PROPOSALS:
            found.append(PROPOSALS[name])
    return found


def check_formats(formats: Iterable[str], image_ids: Callable[[], Iterable[str]]) -> None:
    """Refuse images that one of the formats cannot hold, before there is anything to export.

    Raises:
        UsageError: which images, and why.
    """
    for name in formats:
        if name in _CHECKS:
            _CHECKS[name](image_ids())
