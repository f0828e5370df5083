"""CVAT's auto-annotation: `cvat-cli task auto-annotate 7 --function-module gradbox.cvat`.

CVAT's client loads the task's images, and asks for the shapes in each.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL.Image import Image

from gradbox.datasets.table import read_table
from gradbox.errors import ImageError, UsageError, nearest
from gradbox.exports.classes import distinct_names, printable
from gradbox.exports.coco import outlines
from gradbox.geometry import Mask, filled_box
from gradbox.localization import Localization, Sample, Selection
from gradbox.methods import DEFAULT_METHOD, ready
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.models.load import load_classifier
from gradbox.pipeline import plan_of
from gradbox.runs.plan import Plan, chunks

if TYPE_CHECKING:
    from cvat_sdk.auto_annotation import DetectionFunctionContext, DetectionFunctionSpec
    from cvat_sdk.models import LabeledShapeRequest

_log = logging.getLogger(__name__)
_OTHERS = "*"


def create(
    model: str = DEFAULT_MODEL,
    weights: str | None = None,
    device: str = "auto",
    method: str = DEFAULT_METHOD,
    box: str = "auto",
    labels: str = "",
    top: int | None = None,
    min_score: float | None = None,
    labels_map: str | None = None,
    masks: bool = False,
    **others: Any,
) -> "Function":
    """What `cvat-cli` calls with the parameters that stand behind its `-p`, as in `-p top=int:3`.

    `labels` are the classes to locate, with semicolons; the rest are the options of `gradbox
    locate`. A wrong call ends the program with one line.
    """
    try:
        for name in others:
            known = [one for one in signature(create).parameters if one != "others"]
            raise UsageError(
                f"unknown parameter {name!r}{nearest(name, known)}: -p takes {', '.join(known)}"
            )
        return function(
            load_classifier(model, weights=weights, device=device),
            method=method,
            box=box,
            labels=[label.strip() for label in labels.split(";") if label.strip()],
            selection=None if top is None else Selection(top=top),
            min_score=min_score,
            labels_map=None if labels_map is None else Path(labels_map),
            masks=masks,
        )
    except UsageError as error:
        raise SystemExit(f"gradbox: {error}") from error


def function(
    classifier: Classifier,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = "auto",
    labels: Sequence[str] = (),
    selection: Selection | None = None,
    min_score: float | None = None,
    labels_map: Path | None = None,
    masks: bool = False,
) -> "Function":
    """The same of a classifier in memory, for `cvat_sdk.auto_annotation.annotate_task`.

    `method`, `box`, `labels`, `selection` and `min_score` are those of `gradbox.localize`. CVAT
    finds its labels by the names of the classes, equal ones with their index behind, or by
    `labels_map`: a table with the columns `class,label`, where `*` stands for all classes without a
    row; classes that it leaves out have no shapes. `masks` gives masks in the place of boxes.

    Raises:
        UsageError: the call is wrong, the classes have no names, or CVAT's client is missing.
    """
    try:
        import cvat_sdk.auto_annotation  # asked for here, not at the first image
        import cvat_sdk.masks  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"CVAT's client is missing ({error}): pip install 'gradbox[cvat]'"
        ) from error
    if classifier.preprocessing.reading.is_of_dataset:
        raise UsageError(
            "a range of a data set cannot be measured over CVAT's images: give LOW:HIGH"
        )
    made = ready(method, box, classifier, masks=masks)
    plan = plan_of((), classifier, made, labels, selection, min_score)
    return Function(plan, _names(plan, labels_map), masks)


@dataclass(frozen=True, eq=False)
class Function:
    """What CVAT's client asks: the labels that shapes may have, and the shapes of an image.

    `names` are the labels of CVAT by class; boxes of other classes are left out.
    """

    plan: Plan
    names: Mapping[int | None, str]
    masks: bool

    @cached_property
    def spec(self) -> "DetectionFunctionSpec":
        """Its labels, each once: masks, or rectangles."""
        import cvat_sdk.auto_annotation as cvat

        kind = "mask" if self.masks else "rectangle"
        labels = [cvat.label_spec(name, i, type=kind) for name, i in self._ids.items()]
        return cvat.DetectionFunctionSpec(labels=labels)

    def detect(
        self, context: "DetectionFunctionContext", image: Image
    ) -> "list[LabeledShapeRequest]":
        """The shapes of an image; of one that cannot be used none, and a warning says why.

        `conf_threshold` is one of the scores where these are probabilities, else of the probability
        of the class. With `conv_mask_to_poly` masks become polygons without their holes.

        Raises:
            BadFunctionError: a score is not a finite number.
        """
        sample = Sample(image_id="0", source=image)
        (chunk,) = chunks(
            [replace(self.plan, samples=[sample])], batch_size=1, workers=1, details=self.masks
        )
        found = chunk.found[0][0]
        if isinstance(found, ImageError):
            _log.warning("%s: no shapes: %s", context.frame_name, found)
            return []
        sure = found.scores if self.plan.method.is_calibrated else found.label_scores
        least = context.conf_threshold or 0.0
        return [
            shape
            for i, label in enumerate(found.labels)
            if label in self.names and sure[i] >= least
            for shape in self._shapes(found, i, context)
        ]

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(dict.fromkeys(self.names.values()))}

    def _shapes(
        self, found: Localization, i: int, context: "DetectionFunctionContext"
    ) -> "Iterator[LabeledShapeRequest]":
        import cvat_sdk.auto_annotation as cvat
        from cvat_sdk.masks import encode_mask

        label, score = self._ids[self.names[found.labels[i]]], _share(found.scores[i], context)
        if not self.masks:
            yield cvat.rectangle(label, found.boxes[i].tolist(), score=score)
            return
        mask = _mask(found, i)
        if not mask.any():
            return
        if not context.conv_mask_to_poly:
            yield cvat.mask(label, encode_mask(mask), score=score)
            return
        for outline in outlines(mask):
            yield cvat.polygon(label, outline, score=score)


def _names(plan: Plan, labels_map: Path | None) -> dict[int | None, str]:
    """CVAT's labels by class, of those that may be located."""
    classifier = plan.classifier
    if plan.labels:
        classes: Sequence[int | None] = plan.labels
    elif plan.selection.top == 0 and plan.selection.above is None:
        classes = [None]
    else:
        classes = range(len(classifier.class_names))
    if not classes:
        raise UsageError(
            f"{classifier.name} has no names of classes, by which CVAT finds its labels: give them "
            "in the model card"
        )
    named = map(printable, distinct_names(classes, classifier.class_name))
    names = dict(zip(classes, named, strict=True))
    if labels_map is None:
        return names
    table = read_table(labels_map, ("class", "label"))
    table.check_keys()
    rows = dict(zip(map(printable, table.cells["class"]), table.cells["label"], strict=True))
    for row, name in enumerate(rows):
        if name != _OTHERS and name not in names.values():
            table.fail(row, f"no class of the model{nearest(name, list(names.values()))}")
    listed = {index: rows.get(name, rows.get(_OTHERS)) for index, name in names.items()}
    return {index: label for index, label in listed.items() if label}


def _mask(found: Localization, i: int) -> Mask:
    """The mask of a box; of all but the main one, the box filled."""
    if i == 0 and found.mask is not None:
        return found.mask
    return filled_box(found.boxes[i], found.size)


def _share(score: float, context: "DetectionFunctionContext") -> float:
    """A score as CVAT takes it, in [0, 1]."""
    from cvat_sdk.auto_annotation import BadFunctionError

    if not isfinite(score):
        raise BadFunctionError(f"{context.frame_name}: the method's score is {score}")
    return min(max(score, 0.0), 1.0)
