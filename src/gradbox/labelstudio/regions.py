"""From what was found in an image to the regions of Label Studio."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradbox.boxes import Boxes
from gradbox.brush import to_brush
from gradbox.geometry import Mask, Size
from gradbox.labelstudio.configuration import Configuration, Control, Shape
from gradbox.localization import Localization, Point

LabelOf = Callable[[str, Control], str | None]
"""What a class is called where this shape is drawn, None where it has no label."""
_TOLERANCE = 0.002
"""How far an outline may be from the mask, as a share of the image's longer side."""
_POINT = 0.5
"""The width of a point, in percent of the image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shapes:
    """What an image's regions are made of; some kilobytes, whatever the image's size.

    `boxes` (n, 4) are in pixels of the upright image of (height, width) `size`; `brush` is the mask
    of the main box in Label Studio's run lengths, and `outline` (n, 2) the (x, y) around the
    largest part of it, in pixels; both are empty where there is no mask.
    """

    size: Size
    boxes: Boxes
    names: tuple[str, ...]
    scores: tuple[float, ...]
    points: tuple[Point, ...]
    brush: bytes = b""
    outline: Sequence[Point] = ()

    @classmethod
    def of(cls, found: Localization, names: Sequence[str]) -> "Shapes":
        """The shapes of a localization, whose boxes have these names.

        The point of a box is where its map is highest, or else its centre.
        """
        peaks = found.peaks or (None,) * len(found.boxes)
        is_masked = found.mask is not None and found.mask.any() and len(found.boxes)
        mask = found.mask if is_masked else None
        return cls(
            size=found.size,
            boxes=found.boxes,
            names=tuple(names),
            scores=found.scores,
            points=tuple(
                peak or ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
                for peak, box in zip(peaks, found.boxes.tolist(), strict=True)
            ),
            brush=b"" if mask is None else bytes(to_brush(mask)),
            outline=() if mask is None else _outline(mask),
        )


def regions(
    shapes: Shapes, configuration: Configuration, label_of: LabelOf
) -> list[dict[str, Any]]:
    """What Label Studio shows: rectangles, points and the main box's mask, where it has their tags.

    The mask is painted, or where only outlines can be drawn, outlined. A box whose class has no
    label is left out.
    """
    height, width = shapes.size
    found = []
    for shape, value in _values(shapes, configuration):
        control = configuration.controls[shape]
        label = label_of(shapes.names[value.box], control)
        if label is None:
            continue
        kind = f"{shape}labels"
        found.append(
            {
                "id": f"{shape}-{value.box + 1}",
                "type": kind,
                "from_name": control.from_name,
                "to_name": control.to_name,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "score": shapes.scores[value.box],
                "value": {**value.of, kind: [label]},
            }
        )
    return found


def prediction(
    shapes: Shapes, configuration: Configuration, label_of: LabelOf, model_version: str
) -> dict[str, Any]:
    """One prediction of a task; its score is the best of its regions, 0 where there is none."""
    result = regions(shapes, configuration, label_of)
    score = max((one["score"] for one in result), default=0.0)
    return {"model_version": model_version, "score": score, "result": result}


@dataclass(frozen=True)
class _Value:
    """The value of a region, without its label, and the number of its box."""

    box: int
    of: Mapping[str, Any]


def _values(shapes: Shapes, configuration: Configuration) -> list[tuple[Shape, _Value]]:
    """In percent of width and height, as Label Studio has them."""
    height, width = shapes.size
    found: list[tuple[Shape, _Value]] = []
    for i, (xmin, ymin, xmax, ymax) in enumerate(shapes.boxes.tolist()):
        if "rectangle" in configuration.controls:
            value = {
                "x": 100 * xmin / width,
                "y": 100 * ymin / height,
                "width": 100 * (xmax - xmin) / width,
                "height": 100 * (ymax - ymin) / height,
                "rotation": 0,
            }
            found.append(("rectangle", _Value(i, value)))
        if "keypoint" in configuration.controls:
            x, y = shapes.points[i]
            point = {"x": 100 * x / width, "y": 100 * y / height, "width": _POINT}
            found.append(("keypoint", _Value(i, point)))
    if shapes.brush and "brush" in configuration.controls:
        found.append(("brush", _Value(0, {"format": "rle", "rle": list(shapes.brush)})))
    elif shapes.outline and "polygon" in configuration.controls:
        points = [[100 * x / width, 100 * y / height] for x, y in shapes.outline]
        found.append(("polygon", _Value(0, {"points": points, "closed": True})))
    return found


def _outline(mask: Mask) -> Sequence[Point]:
    """The (x, y) of the corners around the largest part of a mask; none where it is a line."""
    import cv2

    parts, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(parts, key=cv2.contourArea)
    corners = cv2.approxPolyDP(largest, _TOLERANCE * max(mask.shape), closed=True)[:, 0]
    # Pixel i reaches from i to i + 1; the contour goes through middles of pixels.
    return [(x + 0.5, y + 0.5) for x, y in corners.tolist()] if len(corners) > 2 else ()
