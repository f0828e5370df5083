"""What was found as the values of other libraries, in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from gradbox.boxes import Box
from gradbox.errors import ImageError, UsageError
from gradbox.exports.csv import COLUMNS
from gradbox.geometry import Frame, Mask, filled_box
from gradbox.localization import Found, Localization
from gradbox.results.predictions import to_line

if TYPE_CHECKING:
    import pandas
    import supervision

_WHOLE = ("width", "height", "label")
_REAL = ("xmin", "ymin", "xmax", "ymax", "label_score", "score")
_SIDE = 512
"""The longer side of a heat map that was laid over its image, in pixels at most."""


def to_dict(found: Found) -> dict[str, Any]:
    """Ready for JSON: the line of `predictions.jsonl`, with the mask where there is one."""
    image_id = found.image_id if found.image_id is not None else ""
    return to_line(image_id, found, masks=True)


def to_supervision(found: Localization) -> "supervision.Detections":
    """The `Detections` of supervision: boxes in pixels of the image, scores as their confidence.

    `class_id` is None where a box has no class; `data` has `class_name` and `label_score` of each
    box. Where there is a mask it is that of the first box, and the others are filled.
    """
    import supervision

    labels = found.labels
    named = np.array([_name(found, i) for i in range(len(labels))], dtype=str)
    return supervision.Detections(
        xyxy=found.boxes.astype(np.float32).reshape(-1, 4),
        mask=None if found.mask is None else _masks(found, found.mask),
        confidence=np.array(found.scores, dtype=np.float32),
        class_id=None if None in labels else np.array(labels, dtype=int),
        data={"class_name": named, "label_score": np.array(found.label_scores, dtype=np.float32)},
    )


def to_pandas(results: Iterable[Found]) -> "pandas.DataFrame":
    """A row for each box with the columns of `boxes.csv`, and `error`.

    An image without a box, or one that failed, has a row with empty cells.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError("to_pandas needs pandas: pip install 'gradbox[pandas]'") from error
    rows = [row for found in results for row in _rows(found)]
    frame = pandas.DataFrame(rows, columns=[*COLUMNS, "error"])
    return frame.astype({**dict.fromkeys(_WHOLE, "Int64"), **dict.fromkeys(_REAL, float)})


def to_fiftyone(found: Localization, frame: Frame | None = None) -> dict[str, Any]:
    """The fields of a FiftyOne sample: `boxes`, its `Detections`, and `heatmap` where there is one.

    As in `fiftyone.Sample(filepath=path, **to_fiftyone(found))`. Boxes are shares of the image,
    scores their confidence, and `label_score` the probability of the class; the mask of the first
    box is cut to the pixels of that box.

    Args:
        found: with its details where the heat map is wanted.
        frame: how the image became the network input, `classifier.preprocessing.frame(found.size)`;
            without one the heat map covers all of it.

    Raises:
        UsageError: fiftyone is not installed.
    """
    try:
        import fiftyone
    except ImportError as error:
        raise UsageError("to_fiftyone needs fiftyone: pip install fiftyone") from error
    height, width = found.size
    detections = []
    for i, (xmin, ymin, xmax, ymax) in enumerate(found.boxes.tolist()):
        mask = None if i or found.mask is None else _inside(found.mask, found.boxes[0])
        detections.append(
            fiftyone.Detection(
                label=_name(found, i),
                bounding_box=[
                    *(xmin / width, ymin / height),
                    *((xmax - xmin) / width, (ymax - ymin) / height),
                ],
                confidence=found.scores[i],
                label_score=found.label_scores[i],
                mask=mask,
            )
        )
    fields: dict[str, Any] = {"boxes": fiftyone.Detections(detections=detections)}
    if found.heatmap is not None:
        laid = _laid(found.heatmap, frame).astype(np.float32).clip(min=0)
        fields["heatmap"] = fiftyone.Heatmap(map=laid, range=[0, float(laid.max()) or 1.0])
    return fields


def _rows(found: Found) -> Iterator[tuple[Any, ...]]:
    if isinstance(found, ImageError):
        yield found.image_id, *[None] * (len(COLUMNS) - 1), str(found)
        return
    height, width = found.size
    image = found.image_id, width, height
    for i, box in enumerate(found.boxes.tolist()):
        scores = found.labels[i], found.label_scores[i], found.scores[i]
        yield *image, _name(found, i), *box, *scores, None
    if not len(found.boxes):
        yield *image, *[None] * (len(COLUMNS) - 3), None


def _masks(found: Localization, mask: Mask) -> Bool[np.ndarray, "n h w"]:
    rest = [filled_box(box, found.size) for box in found.boxes[1:]]
    return np.stack([mask, *rest])[: len(found.boxes)]


def _inside(mask: Mask, box: Box) -> Bool[np.ndarray, "rows columns"]:
    """The part of a mask on the pixels that a box touches."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    return mask[top:bottom, left:right]


def _laid(
    heatmap: Float[np.ndarray, "h w"], frame: Frame | None
) -> Float[np.ndarray, "rows columns"]:
    """A map over the input as one over the whole image."""
    if frame is None or frame.shows_all:
        return heatmap
    height, width = frame.original
    share = min(1.0, _SIDE / max(height, width))
    smaller = max(1, round(height * share)), max(1, round(width * share))
    return replace(frame, original=smaller).map_to_original(heatmap)


def _name(found: Localization, i: int) -> str:
    name = found.names[i] if found.names else None
    label = found.labels[i]
    return name or ("object" if label is None else str(label))
