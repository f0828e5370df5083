"""Predictions in the formats of other tools: one file a format.

An exporter reads localizations once, writes below a folder, and gives back the path it wrote. Image
ids are written as they are, relative to the folder of the images; no image is copied.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from gradbox.exports import coco, csv, labelstudio, voc, yolo
from gradbox.localization import Localization
from gradbox.registry import Registry

__all__ = ["FORMATS", "Exporter"]

Exporter = Callable[[Iterable[Localization], Callable[[int | None], str], Path], Path]
"""From localizations, the name of each label (None: no class) and the folder to write below."""

FORMATS: Registry[Exporter] = Registry(
    "gradbox.exports",
    {
        "coco": coco.write,
        "csv": csv.write,
        "labelstudio": labelstudio.write,
        "voc": voc.write,
        "yolo": yolo.write,
    },
)
