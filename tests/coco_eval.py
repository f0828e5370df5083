"""Average precision by pycocotools, the second implementation that ours is held against."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

with contextlib.redirect_stdout(io.StringIO()):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

from gradbox.boxes import Boxes

Boxed = tuple[Boxes, Sequence[Any]]
"""Boxes with the class of each."""


def coco_numbers(
    truth: Sequence[Boxed], predicted: Sequence[tuple[Boxes, Sequence[Any], Sequence[float]]]
) -> dict[str, float | None]:
    """`ap30`, `ap50`, `recall30` and `recall50` of images in order; None without a true box.

    Args:
        truth: the true boxes and classes of each image.
        predicted: for each of the same images boxes, classes and scores.
    """
    evaluation = _evaluation(truth, predicted)
    evaluation.params.iouThrs = np.array([0.3, 0.5])
    evaluation.params.maxDets = [100]
    _run(evaluation)
    numbers: dict[str, float | None] = {}
    for row, percent in enumerate((30, 50)):
        for name, key in (("precision", "ap"), ("recall", "recall")):
            values = evaluation.eval[name][row]
            seen = values[values > -1]
            numbers[f"{key}{percent}"] = float(seen.mean()) if seen.size else None
    return numbers


def coco_recalls(
    truth: Sequence[Boxes],
    predicted: Sequence[tuple[Boxes, Sequence[float]]],
    counts: Sequence[int],
) -> np.ndarray:
    """Recall without classes at IoU 0.5 to 0.95, a row each, with these numbers of boxes."""
    evaluation = _evaluation(
        [(boxes, [0] * len(boxes)) for boxes in truth],
        [(boxes, [0] * len(boxes), scores) for boxes, scores in predicted],
    )
    evaluation.params.useCats = 0
    evaluation.params.maxDets = list(counts)
    _run(evaluation)
    return evaluation.eval["recall"][:, 0, 0]


def _evaluation(
    truth: Sequence[Boxed], predicted: Sequence[tuple[Boxes, Sequence[Any], Sequence[float]]]
) -> Any:
    labels = list(dict.fromkeys(c for _, classes in truth for c in classes))
    labels += [c for _, classes, _ in predicted for c in classes if c not in labels]
    ids = {label: i for i, label in enumerate(dict.fromkeys(labels), start=1)}
    true = [
        {"image_id": i, "category_id": ids[label], **_box(box), "iscrowd": 0}
        for i, (boxes, classes) in enumerate(truth, start=1)
        for box, label in zip(boxes, classes, strict=True)
    ]
    found = [
        {"image_id": i, "category_id": ids[label], **_box(box), "score": score}
        for i, image in enumerate(predicted, start=1)
        for box, label, score in zip(*image, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(1, len(truth) + 1)],
            "annotations": [{"id": i, **one} for i, one in enumerate(true, start=1)],
            "categories": [{"id": i} for i in ids.values()],
        }
        known.createIndex()
        # loadRes fails on no result at all
        results = known.loadRes(found) if found else COCO()
        evaluation = COCOeval(known, results, "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    return evaluation


def _run(evaluation: Any) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()


def _box(box: np.ndarray) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = box.tolist()
    width, height = xmax - xmin, ymax - ymin
    return {"bbox": [xmin, ymin, width, height], "area": width * height}
