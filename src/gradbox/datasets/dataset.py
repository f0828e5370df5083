"""What every layout gives back."""

import dataclasses
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from gradbox.boxes import area, clip
from gradbox.errors import UsageError, expect
from gradbox.localization import Sample

ROUNDING = 0.02
"""Pixels by which two coordinates rounded to two decimals may miss the edge of an image."""
_WITHOUT = "without boxes"
_ODD = (
    "listed, but there is no such file",
    _WITHOUT,
    "with a box that reached outside (clipped)",
    "with a box without area (left out)",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images with what is known about them.

    `spec` is the canonical text that loads the same data set. `samples` may be made or read as they
    are asked for; they are sorted by `image_id`, the path below `root`, but for those of a parquet
    file, which are in its order. `class_names` are sorted, as the data set writes them. `problems`
    are oddities, each a line to warn with; an image that is listed but missing is still a sample.
    """

    spec: str
    samples: Sequence[Sample]
    class_names: tuple[str, ...]
    root: Path
    problems: tuple[str, ...] = ()


def check_dataset(value: object) -> None:
    """Refuse what is no data set.

    Raises:
        UsageError: it is something else, such as the text of a data set or a list of samples.
    """
    expect(value, Dataset, "make one with load_dataset('csv:DIR')")


def gather(
    spec: str,
    root: Path,
    samples: Iterable[Sample],
    *,
    present: Container[str],
    class_names: Iterable[str] = (),
) -> Dataset:
    """The data set of these samples, with its boxes clipped, checked and its oddities counted.

    Boxes are clipped to their image where its size is known; those without area are left out.

    Args:
        spec: canonical text.
        root: the folder that each `image_id` is relative to.
        samples: in any order.
        present: the `image_id`s whose file is there.
        class_names: from a list of the data set; without them the classes of the boxes, or those
            of the images where there is no box at all.

    Raises:
        UsageError: no images, one image twice, or an image outside `root`.
    """
    listed = sorted(samples, key=lambda sample: sample.image_id)
    if not listed:
        raise UsageError(f"{spec}: no images in {root}")
    _check_ids(spec, [sample.image_id for sample in listed])
    repaired = [inside(sample) for sample in listed]
    oddities = Oddities()
    for before, after in zip(listed, repaired, strict=True):
        oddities.add(before, after, is_there=before.image_id in present)
    of_boxes = {label for sample in repaired for label in sample.labels}
    of_images = {sample.label for sample in repaired if sample.label is not None}
    return Dataset(
        spec=spec,
        samples=repaired,
        class_names=tuple(sorted(set(class_names) or of_boxes or of_images)),
        root=root,
        problems=tuple(oddities.lines),
    )


def _check_ids(spec: str, image_ids: Sequence[str]) -> None:
    for image_id, count in Counter(image_ids).items():
        if count > 1:
            raise UsageError(f"{spec}: {image_id} is listed {count} times; list each image once")
        check_id(spec, image_id)


def check_id(spec: str, image_id: str) -> None:
    """Refuse an id that leads out of the images, or that can name no file.

    Raises:
        UsageError: it does; the message begins with `spec`.
    """
    if image_id.startswith("/") or ".." in image_id.split("/"):
        raise UsageError(f"{spec}: {image_id} lies outside the images; write paths below them")
    if "\0" in image_id or image_id == ".":
        raise UsageError(f"{spec}: {image_id!r} can be no file; write the path of an image")


def inside(sample: Sample) -> Sample:
    """The sample with its boxes clipped to its image, and without those that have no area."""
    boxes = sample.boxes if sample.size is None else clip(sample.boxes, *sample.size)
    keep = area(boxes) > 0
    if keep.all() and np.array_equal(boxes, sample.boxes):
        return sample
    labels = tuple(label for label, kept in zip(sample.labels, keep, strict=True) if kept)
    return dataclasses.replace(sample, boxes=boxes[keep], labels=labels)


class Oddities:
    """What is odd about the images of a data set, counted one after the other."""

    def __init__(self) -> None:
        self._n_images = 0
        self._has_boxes = False
        self._counts: dict[str, tuple[int, str]] = dict.fromkeys(_ODD, (0, ""))

    def add(self, listed: Sample, repaired: Sample, *, is_there: bool = True) -> None:
        """Count an image as it is listed and as `inside` made it."""
        self._n_images += 1
        self._has_boxes = self._has_boxes or len(repaired.boxes) > 0
        odd = (
            not is_there,
            not len(repaired.boxes),
            _reaches_outside(listed),
            len(listed.boxes) > len(repaired.boxes),
        )
        for what, is_odd in zip(_ODD, odd, strict=True):
            if is_odd:
                count, first = self._counts[what]
                self._counts[what] = count + 1, first or listed.image_id

    @property
    def lines(self) -> Iterator[str]:
        """Each oddity as a line to warn with."""
        for what, (count, first) in self._counts.items():
            if count and (self._has_boxes or what != _WITHOUT):
                yield f"{count} of {self._n_images} images {what}, such as {first}"


def _reaches_outside(sample: Sample) -> bool:
    if sample.size is None:
        return False
    return bool(np.any(np.abs(clip(sample.boxes, *sample.size) - sample.boxes) > ROUNDING))
