"""CVAT's own annotations: "CVAT for images 1.1"."""

import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from gradbox.boxes import bounding
from gradbox.exports.about import About
from gradbox.exports.classes import printable
from gradbox.files import whole_file
from gradbox.geometry import Mask
from gradbox.localization import Localization


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`cvat.xml`: corners of each box in pixels at a hundredth; the mask of the main box beside it.

    To import it into a task of the same images, whose labels have to hold the classes. A mask is
    the run lengths of its own box, row by row, zeros first. The format has no place for scores.
    """
    path = out / "cvat.xml"
    known: dict[str, None] = {}
    with (
        whole_file(path) as partial,
        partial.open("w", encoding="utf-8") as stream,
        TemporaryFile("w+", encoding="utf-8") as images,
    ):
        for number, found in enumerate(localizations):
            known.update(dict.fromkeys(map(about.names, found.labels)))
            images.write(_text(_image(number, found, about)))
        images.seek(0)
        stream.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        stream.write("<version>1.1</version>\n")
        stream.write(_text(_meta(known)))
        shutil.copyfileobj(images, stream)
        stream.write("</annotations>\n")
    return path


def _text(element: ElementTree.Element) -> str:
    ElementTree.indent(element)
    return ElementTree.tostring(element, encoding="unicode") + "\n"


def _meta(names: Iterable[str]) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    labels = ElementTree.SubElement(ElementTree.SubElement(meta, "task"), "labels")
    for name in names:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = printable(name)
    return meta


def _image(number: int, found: Localization, about: About) -> ElementTree.Element:
    height, width = found.size
    image = ElementTree.Element(
        "image",
        id=str(number),
        name=printable(found.image_id),
        width=str(width),
        height=str(height),
    )
    for label, corners in zip(found.labels, found.boxes.tolist(), strict=True):
        sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(_rounded, corners), strict=True))
        ElementTree.SubElement(image, "box", _shared(about.names(label)), **sides)
    if found.mask is not None and found.mask.any() and found.labels:
        numbers = _run_lengths(found.mask)
        ElementTree.SubElement(image, "mask", _shared(about.names(found.labels[0])), **numbers)
    return image


def _shared(name: str) -> dict[str, str]:
    return {"label": printable(name), "source": "auto", "occluded": "0", "z_order": "0"}


def _rounded(value: float) -> str:
    return f"{value:.2f}"


def _run_lengths(mask: Mask) -> dict[str, str]:
    left, top, right, bottom = map(int, bounding(mask))
    inside = mask[top:bottom, left:right].ravel()
    edges = np.flatnonzero(np.diff(inside, prepend=False))  # a run of zeros comes first
    lengths = np.diff(np.concatenate([[0], edges, [inside.size]]))
    return {
        "rle": ", ".join(map(str, lengths.tolist())),
        "left": str(left),
        "top": str(top),
        "width": str(right - left),
        "height": str(bottom - top),
    }
