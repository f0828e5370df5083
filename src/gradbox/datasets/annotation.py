"""PASCAL VOC's XML annotations, which ImageNet uses too."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradbox.boxes import Boxes
from gradbox.datasets.documents import read_xml
from gradbox.datasets.layout import number, stated_size
from gradbox.errors import UsageError
from gradbox.geometry import Size

_BLANKS = " \t\r\n"
"""XML's own: an indented file has them around a name, which may begin or end with others."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One file: `boxes` (n, 4) hold the numbers as written, in whatever convention that is."""

    boxes: Boxes
    labels: tuple[str, ...]
    difficult: tuple[bool, ...]
    size: Size | None


def read(path: Path) -> Annotation:
    """Read one annotation; boxes of the parts of an object (heads, hands) are not objects.

    Raises:
        UsageError: the file is not XML, or an object lacks its name or a corner.
    """
    root = read_xml(path)
    objects = root.findall("object")
    corners = [
        [number(item.findtext(f"bndbox/{corner}"), f"{path}: {corner}") for corner in _CORNERS]
        for item in objects
    ]
    return Annotation(
        boxes=np.array(corners, dtype=np.float64).reshape(-1, 4),
        labels=tuple(_name(item, path) for item in objects),
        difficult=tuple(item.findtext("difficult", "0").strip() == "1" for item in objects),
        size=_size(root, path),
    )


def _name(item: ElementTree.Element, path: Path) -> str:
    name = (item.findtext("name") or "").strip(_BLANKS)
    if not name:
        raise UsageError(f"{path}: an object has no name; add <name>")
    return name


def _size(root: ElementTree.Element, path: Path) -> Size | None:
    if root.find("size") is None:
        return None
    return stated_size(root.findtext("size/height"), root.findtext("size/width"), str(path))
