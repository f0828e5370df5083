"""PASCAL VOC's XML annotations."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gradbox.boxes import Boxes
from gradbox.exports.about import About
from gradbox.exports.classes import printable
from gradbox.exports.folders import check_files, whole_folder, write_beside
from gradbox.localization import Localization

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SUFFIX = ".xml"


def check(image_ids: Iterable[str]) -> None:
    """Refuse images that would have the same file.

    Raises:
        UsageError: two images differ in their suffix only, or one has another's file as a folder.
    """
    check_files(image_ids, _SUFFIX)


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`voc/Annotations/*.xml`: boxes in whole pixels counted from 1, the last one included.

    Every box has at least one pixel. The format has no place for scores.

    Raises:
        UsageError: what `check` refuses.
    """
    folder = out / "voc"
    with whole_folder(folder / "Annotations") as annotations:
        for found in localizations:
            tree = _annotation(found, about)
            ElementTree.indent(tree)
            text = ElementTree.tostring(tree, encoding="unicode") + "\n"
            write_beside(annotations, found.image_id, _SUFFIX, text)
    return folder


def _annotation(found: Localization, about: About) -> ElementTree.Element:
    height, width = found.size
    tree = ElementTree.Element("annotation")
    _add(tree, filename=found.image_id)
    _add(ElementTree.SubElement(tree, "size"), width=width, height=height, depth=3)
    _add(tree, segmented=0)
    for label, corners in zip(found.labels, _pixels(found.boxes, height, width), strict=True):
        item = ElementTree.SubElement(tree, "object")
        _add(item, name=about.names(label), pose="Unspecified", truncated=0, difficult=0)
        box = ElementTree.SubElement(item, "bndbox")
        _add(box, **dict(zip(_CORNERS, corners.tolist(), strict=True)))
    return tree


def _pixels(boxes: Boxes, height: int, width: int) -> Int[np.ndarray, "n 4"]:
    """First and last pixels, counted from 1, of half-open boxes."""
    first = np.minimum(np.rint(boxes[:, :2]), [width - 1, height - 1])
    last = np.maximum(np.rint(boxes[:, 2:]), first + 1)
    return np.hstack([first + 1, last]).astype(int)


def _add(parent: ElementTree.Element, **children: object) -> None:
    for tag, value in children.items():
        ElementTree.SubElement(parent, tag).text = printable(str(value))
