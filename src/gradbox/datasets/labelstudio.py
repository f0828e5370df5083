"""`labelstudio:IMAGES@FILE.json`: what people corrected in Label Studio, exported as JSON.

The full export ("JSON") or its short form ("JSON-MIN"). Of a task the annotation marked as ground
truth counts, else the last that was not cancelled; tasks without one are left out. Rectangles (of a
turned one, the box around it), polygons, ellipses and brushes are read as boxes; the only choice of
an image is its class. A task's image is found by the end of its path, an upload by its name without
the eight characters before it.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from gradbox.boxes import Box, around_ellipse, bounding, spanning, turned
from gradbox.brush import from_brush
from gradbox.datasets.dataset import Dataset, gather
from gradbox.datasets.documents import read_json
from gradbox.datasets.layout import (
    divide,
    file,
    folder,
    images_under,
    number,
    shared,
    shortened,
    stated_size,
    words,
)
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.localization import Sample

Entry = Mapping[str, Any]
_UPLOAD = re.compile(r"[0-9a-f]{8}-")
_FORBIDDEN = re.compile(r"[^-\w.]")
"""What Label Studio leaves out of the name of an upload; blanks become underscores."""


def load(rest: str) -> Dataset:
    """Read the layout of this module's docstring.

    Raises:
        UsageError: the folder or file is missing, the file is no such export, an image's name
            stands for two, or a shape lacks a number.
    """
    text, name = divide("labelstudio", rest)
    root, path = folder("labelstudio", text), file(name)
    tasks = read_json(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise UsageError(f"{path} is no export of Label Studio: it has to hold a list of tasks")
    finder = _Finder.of(root)
    answered = [(i, _answer(task)) for i, task in enumerate(tasks)]
    samples = [
        _sample(finder, tasks[i], answer, f"{path}: task {tasks[i].get('id', i)}")
        for i, answer in answered
        if answer is not None
    ]
    found = gather(
        f"labelstudio:{root.as_posix()}@{path.as_posix()}", root, samples, present=finder.present
    )
    if missing := len(tasks) - len(samples):
        line = f"{missing} of {len(tasks)} tasks without an annotation (left out)"
        return replace(found, problems=(*found.problems, line))
    return found


def _answer(task: Entry) -> Sequence[Entry] | None:
    """What one annotation says; None where there is none."""
    if "annotations" not in task:  # the short form: its values stand at the task itself
        shapes = [shape for value in task.values() for shape in _dicts(value)]
        return [_from_short(shape) for shape in shapes if "original_width" in shape]
    good = [a for a in _dicts(task["annotations"]) if not a.get("was_cancelled")]
    if not good:
        return None
    best = max(good, key=lambda a: (bool(a.get("ground_truth")), str(a.get("updated_at") or "")))
    return _dicts(best.get("result"))


def _dicts(values: Any) -> list[Entry]:
    """The mappings of a list; none of anything else."""
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _from_short(shape: Entry) -> Entry:
    return {
        **{key: shape.get(key) for key in ("original_width", "original_height", "image_rotation")},
        "type": next((kind for kind in _LABELLED if kind in shape), ""),
        "value": shape,
    }


def _sample(finder: "_Finder", task: Entry, shapes: Sequence[Entry], where: str) -> Sample:
    image_id = finder.find(task.get("data") if "data" in task else task, where)
    names = {  # of regions whose label stands apart from their shape
        str(shape.get("id")): _name(shape, "labels", where)
        for shape in shapes
        if shape.get("type") == "labels"
    }
    boxes, labels = [], []
    choices: set[str] = set()
    size: Size | None = None
    for shape in shapes:
        kind, value = str(shape.get("type")), _value(shape)
        if kind == "choices":
            given = value.get("choices")
            choices.update(map(str, given if isinstance(given, list) else []))
        elif kind in _LABELLED or kind in _PLAIN:
            size = _size(shape, where)
            apart = names.get(str(shape.get("id")))
            label = _name(shape, kind, where) if kind in _LABELLED else apart
            if label is None:
                raise UsageError(f"{where}: the {kind} {shape.get('id')} has no label; give one")
            boxes.append(_PLAIN[kind.removesuffix("labels")](_Shape(value, size, where)))
            labels.append(label)
    return Sample(
        image_id=image_id,
        source=finder.present.get(image_id, finder.root / image_id),
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=tuple(labels),
        label=shared(choices or labels),
        size=size,
    )


def _name(shape: Entry, kind: str, where: str) -> str:
    given = _value(shape).get(kind)
    if not isinstance(given, list) or len(given) != 1:
        raise UsageError(f"{where}: {kind} {shortened(given)}: give each shape one label")
    return words(given[0], f"{where}: {kind}")


def _value(shape: Entry) -> Entry:
    """What a shape says; nothing where that is no mapping."""
    value = shape.get("value")
    return value if isinstance(value, dict) else {}


def _size(shape: Entry, where: str) -> Size:
    if shape.get("image_rotation"):
        raise UsageError(
            f"{where}: the image was turned by {shape['image_rotation']} degrees in Label Studio; "
            "turn it back there, or turn the file"
        )
    size = stated_size(shape.get("original_height"), shape.get("original_width"), where)
    if size is None:
        raise UsageError(f"{where}: original_width and original_height are 0; export again")
    return size


@dataclass(frozen=True, kw_only=True)
class _Finder:
    """Which image of a folder a task means."""

    root: Path
    present: Mapping[str, Path]
    uploads: Mapping[str, Sequence[str]]
    """The images by the name that an upload of them would have."""

    @classmethod
    def of(cls, root: Path) -> "_Finder":
        present = images_under(root)
        uploads = defaultdict(list)
        for image_id in present:
            uploads[_upload_name(PurePosixPath(image_id).name)].append(image_id)
        return cls(root=root, present=present, uploads=uploads)

    def find(self, data: Any, where: str) -> str:
        texts = [v for v in data.values() if isinstance(v, str)] if isinstance(data, dict) else []
        for text in texts:
            for path in _paths(text):
                if found := self._by_end(path) or self._by_upload(path, where):
                    return found
        if not texts:
            raise UsageError(f"{where} has no image: its data has to hold a path or an address")
        return _paths(texts[0])[0].name or "image"

    def _by_end(self, path: PurePosixPath) -> str | None:
        parts = [part for part in path.parts if part != "/"]
        ends = ("/".join(parts[i:]) for i in range(len(parts)))
        return next((end for end in ends if end in self.present), None)

    def _by_upload(self, path: PurePosixPath, where: str) -> str | None:
        if not _UPLOAD.match(path.name):
            return None
        found = self.uploads.get(_UPLOAD.sub("", path.name, count=1), [])
        if len(found) > 1:
            raise UsageError(
                f"{where}: {path.name} may be {found[0]} or {found[1]}; give one of them another "
                "name, or serve them from a folder instead of uploading them"
            )
        return found[0] if found else None


def _upload_name(name: str) -> str:
    return _FORBIDDEN.sub("", name.strip().replace(" ", "_"))


def _paths(text: str) -> list[PurePosixPath]:
    """The path that an address says, of local files the one behind `?d=` first."""
    try:
        parts = urlsplit(text)
    except ValueError:  # no address, such as http://[
        return [PurePosixPath(text)]
    local = parse_qs(parts.query).get("d", [])
    return [PurePosixPath(one) for one in (*local, unquote(parts.path), text)]


@dataclass(frozen=True)
class _Shape:
    """A shape's value, in percent of the image, in pixels."""

    value: Entry
    size: Size
    where: str

    def pixels(self, *names: str) -> list[float]:
        """Those of x, width, ... of the width, of the others of the height."""
        height, width = self.size
        return [
            number(self.value.get(name), f"{self.where}: {name}")
            * (width if name in ("x", "width", "radiusX") else height)
            / 100
            for name in names
        ]

    @property
    def degrees(self) -> float:
        return number(self.value.get("rotation") or 0, f"{self.where}: rotation")


def _rectangle(shape: _Shape) -> Box:
    x, y, width, height = shape.pixels("x", "y", "width", "height")
    return turned(np.array([x, y, x + width, y + height]), shape.degrees, about=(x, y))


def _ellipse(shape: _Shape) -> Box:
    x, y, across, down = shape.pixels("x", "y", "radiusX", "radiusY")
    return around_ellipse((x, y), (across, down), shape.degrees)


def _polygon(shape: _Shape) -> Box:
    height, width = shape.size
    points = shape.value.get("points")
    where = f"{shape.where}: points"
    if not isinstance(points, list) or not all(isinstance(p, list) for p in points) or not points:
        raise UsageError(f"{where} {shortened(points)}: a polygon has a list of points [x, y]")
    numbers = [[number(v, where) for v in p] for p in points]
    if any(len(p) != 2 for p in numbers):
        raise UsageError(f"{where} {shortened(points)}: a point is [x, y]")
    return spanning(np.array(numbers) * [width / 100, height / 100])


def _brush(shape: _Shape) -> Box:
    try:
        mask = from_brush(shape.value.get("rle") or [], *shape.size)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{shape.where}: the brush cannot be read ({error})") from None
    return bounding(mask) if mask.any() else np.zeros(4)


_PLAIN: Mapping[str, Callable[[_Shape], Box]] = {
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "brush": _brush,
}
_LABELLED = tuple(f"{kind}labels" for kind in _PLAIN)
