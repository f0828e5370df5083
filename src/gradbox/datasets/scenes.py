"""`scenes:N`: drawn pictures of things in clutter, with exact boxes and masks.

Every class is drawn in the same colours, on the same backgrounds, so a classifier has to learn
shape and texture; objects lie anywhere, so a box in the middle is a poor answer. Masks hold the
visible pixels, and boxes bound them: what another object or the foreground hides belongs to
neither. The foreground hides at most `composition.MOST_HIDDEN` of an object.
"""

import csv
import functools
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import cv2
import numpy as np
from jaxtyping import Bool

from gradbox import specs
from gradbox.boxes import Boxes, bounding
from gradbox.datasets.dataset import Dataset
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.localization import RGB, Sample
from gradbox.scenes.classes import KINDS
from gradbox.scenes.composition import Plan, alphas, compose, masks, picture

CLASSES: tuple[str, ...] = tuple(sorted(KINDS))
SIZE: Size = (224, 224)

Masks = Bool[np.ndarray, "n h w"]

_SMALLEST, _LARGEST = 48, 4096
_MOST = 1_000_000  # more names would not sort as their numbers do
_MOST_OBJECTS = 1000
_GREEN = (60, 255, 60)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture with what is in it, main object first.

    `boxes` are half-open and bound the true pixels of `masks`, the visible part of each object.
    """

    image: RGB
    boxes: Boxes
    masks: Masks
    labels: tuple[str, ...]


def scene(seed: int, index: int, *, size: Size = SIZE, objects: int = 1) -> Scene:
    """Scene `index` of `seed`: always the same, however many are drawn.

    Each block of `len(CLASSES)` scenes has every class once as the main object, the largest and
    the foremost one.

    Args:
        seed: 0 or more.
        index: 0 to 999,999.
        size: (height, width) of the picture, 48 to 4096 pixels each.
        objects: there are 1 to this many, all numbers equally likely, where there is room; 1000 at
            most.

    Raises:
        UsageError: an argument is out of range.
    """
    plan = _plan(seed, index, size, objects)
    covers = alphas(plan, size)
    seen = masks(plan, covers)
    return Scene(image=picture(plan, covers), boxes=_boxes(seen), masks=seen, labels=plan.labels)


def load(rest: str) -> Dataset:
    """`N`, or `N,seed=7,size=192,objects=3`: scenes 0 to N - 1, drawn when they are asked for.

    `mask` of a sample holds all objects of the image's class.

    Raises:
        UsageError: the text is not of this form, or a number is out of range.
    """
    options = specs.build(f"scenes({rest})", {"scenes": _Options})
    return Dataset(
        spec=f"scenes:{options}", samples=_Samples(options), class_names=CLASSES, root=Path()
    )


def write(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: Size = SIZE,
    objects: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write scenes 0 to `count` - 1 in the layout that `csv:DIR` reads.

    `images/` and `masks/` hold lossless PNG files, so the pixels are those of `scenes:N`; masks
    are 255 on all objects of the image's class. `boxes.csv` has every object, `meta.csv` the class
    of each image, `classes.txt` the class names. The folder appears only when it is complete.

    Args:
        out: a folder that does not exist or is empty.
        count: how many.
        seed: as for `scene`.
        size: as for `scene`.
        objects: as for `scene`.
        progress: called after each scene with the number of those written.

    Raises:
        UsageError: `out` is taken, or an argument is out of range.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder: name another or remove it")
    if not 1 <= count <= _MOST:
        raise UsageError(f"count={count}: write 1 scene or more, {_MOST} at most")
    boxes: list[tuple[object, ...]] = [
        ("image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    ]
    labels: list[tuple[object, ...]] = [("image", "label")]
    with _whole_folder(out) as partial:
        for folder in ("images", "masks"):
            (partial / folder).mkdir()
        for index in range(count):
            drawn, name = scene(seed, index, size=size, objects=objects), _name(index)
            _write_png(partial / "images" / name, cv2.cvtColor(drawn.image, cv2.COLOR_RGB2BGR))
            main = _of_main_class(drawn.masks, drawn.labels)
            _write_png(partial / "masks" / name, main.astype(np.uint8) * 255)
            for label, box in zip(drawn.labels, drawn.boxes, strict=True):
                boxes.append((name, size[1], size[0], label, *box.astype(int)))
            labels.append((name, drawn.labels[0]))
            progress(index + 1)
        _write_csv(partial / "boxes.csv", boxes)
        _write_csv(partial / "meta.csv", labels)
        (partial / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def contact_sheet(scenes: Sequence[Scene], columns: int, *, boxes: bool = False) -> RGB:
    """Scenes of one size side by side on white, `columns` in a row, with their boxes in green."""
    height, width, _ = scenes[0].image.shape
    gap = max(2, width // 56)
    rows = -(-len(scenes) // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for number, each in enumerate(scenes):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        shown = _framed(each) if boxes else each.image
        sheet[top : top + height, left : left + width] = shown
    return sheet


@dataclass(frozen=True)
class _Options:
    count: int = 0
    seed: int = 0
    size: int = SIZE[0]
    objects: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MOST:
            raise ValueError(f"count={self.count}: write how many, 1 to {_MOST}, as in scenes:1000")
        _check(self.seed, 0, (self.size, self.size), self.objects)

    def __str__(self) -> str:
        return f"{self.count},seed={self.seed},size={self.size},objects={self.objects}"


@dataclass(frozen=True)
class _Samples(Sequence[Sample]):
    options: _Options

    def __len__(self) -> int:
        return self.options.count

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        number = range(len(self))[index]
        if isinstance(number, range):
            return [self[each] for each in number]
        size = (self.options.size, self.options.size)
        asked = (self.options.seed, number, size, self.options.objects)
        boxes, labels = _truth(*asked)
        return Sample(
            image_id=_name(number),
            source=functools.partial(_image, *asked),
            boxes=boxes,
            labels=labels,
            label=labels[0],
            mask=functools.partial(_mask, *asked),
            size=size,
        )


def _seen(seed: int, index: int, size: Size, objects: int) -> tuple[Masks, tuple[str, ...]]:
    """The masks and labels of a scene without its picture, at a quarter of the work."""
    plan = _plan(seed, index, size, objects)
    return masks(plan, alphas(plan, size)), plan.labels


@functools.lru_cache(maxsize=10_000)
def _truth(seed: int, index: int, size: Size, objects: int) -> tuple[Boxes, tuple[str, ...]]:
    """The boxes and labels of a scene, which are asked for again and again."""
    seen, labels = _seen(seed, index, size, objects)
    return _boxes(seen), labels


def _image(seed: int, index: int, size: Size, objects: int) -> RGB:
    return scene(seed, index, size=size, objects=objects).image


def _mask(seed: int, index: int, size: Size, objects: int) -> Bool[np.ndarray, "h w"]:
    return _of_main_class(*_seen(seed, index, size, objects))


def _of_main_class(seen: Masks, labels: tuple[str, ...]) -> Bool[np.ndarray, "h w"]:
    same = [label == labels[0] for label in labels]
    return np.any(seen[same], axis=0)


def _boxes(seen: Masks) -> Boxes:
    return np.stack([bounding(mask) for mask in seen])


def _plan(seed: int, index: int, size: Size, objects: int) -> Plan:
    _check(seed, index, size, objects)
    block, place = divmod(index, len(CLASSES))
    order = np.random.default_rng([seed, block, 0]).permutation(len(CLASSES))
    rng = np.random.default_rng([seed, index, 1])
    return compose(rng, CLASSES[order[place]], size, objects)


def _check(seed: int, index: int, size: Size, objects: int) -> None:
    for name, value, least, most in (
        ("seed", seed, 0, math.inf),
        ("index", index, 0, _MOST - 1),
        ("size", min(size), _SMALLEST, _LARGEST),
        ("size", max(size), _SMALLEST, _LARGEST),
        ("objects", objects, 1, _MOST_OBJECTS),
    ):
        if value < least:
            raise UsageError(f"{name}={value} of a scene: write {least} or more")
        if value > most:
            raise UsageError(f"{name}={value} of a scene: write {most} or less")


def _framed(shown: Scene) -> RGB:
    image = shown.image.copy()
    thick = max(1, min(image.shape[:2]) // 100)
    for x0, y0, x1, y1 in shown.boxes.astype(int).tolist():
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), _GREEN, thick)
    return image


def _name(index: int) -> str:
    return f"scene_{index:06d}.png"


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; it gets the final name only when the block ends well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    if not cv2.imwrite(str(path), pixels):
        raise OSError(f"cannot write {path}")


def _write_csv(path: Path, rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
