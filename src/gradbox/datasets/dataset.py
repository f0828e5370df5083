"""What every layout gives back."""

import dataclasses
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

import numpy as np

from gradbox.boxes import area, clip
from gradbox.errors import UsageError, expect
from gradbox.localization import Sample

ROUNDING = 0.02
"""Pixels by which two coordinates rounded to two decimals may miss the edge of an image."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images with what is known about them.

    `spec` is the canonical text that loads the same data set. `samples` are sorted by `image_id`,
    the path below `root`. `class_names` are sorted, as the data set writes them. `problems` are
    oddities, each a line to warn with; an image that is listed but missing is still a sample.
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
    repaired = [_inside(sample) for sample in listed]
    of_boxes = {label for sample in repaired for label in sample.labels}
    of_images = {sample.label for sample in repaired if sample.label is not None}
    return Dataset(
        spec=spec,
        samples=repaired,
        class_names=tuple(sorted(set(class_names) or of_boxes or of_images)),
        root=root,
        problems=tuple(_problems(listed, repaired, present)),
    )


def _check_ids(spec: str, image_ids: Sequence[str]) -> None:
    for image_id, count in Counter(image_ids).items():
        if count > 1:
            raise UsageError(f"{spec}: {image_id} is listed {count} times; list each image once")
        if image_id.startswith("/") or ".." in image_id.split("/"):
            raise UsageError(f"{spec}: {image_id} lies outside the images; write paths below them")
        if "\0" in image_id or image_id == ".":
            raise UsageError(f"{spec}: {image_id!r} can be no file; write the path of an image")


def _inside(sample: Sample) -> Sample:
    boxes = sample.boxes if sample.size is None else clip(sample.boxes, *sample.size)
    keep = area(boxes) > 0
    labels = tuple(label for label, kept in zip(sample.labels, keep, strict=True) if kept)
    return dataclasses.replace(sample, boxes=boxes[keep], labels=labels)


def _problems(
    listed: Sequence[Sample], repaired: Sequence[Sample], present: Container[str]
) -> Iterable[str]:
    pairs = list(zip(listed, repaired, strict=True))
    with_boxes = any(len(sample.boxes) for sample in repaired)
    found = {
        "listed, but there is no such file": [s for s in listed if s.image_id not in present],
        "without boxes": [s for s in repaired if with_boxes and not len(s.boxes)],
        "with a box that reached outside (clipped)": [s for s in listed if _reaches_outside(s)],
        "with a box without area (left out)": [a for a, b in pairs if len(a.boxes) > len(b.boxes)],
    }
    for what, samples in found.items():
        if samples:
            yield f"{len(samples)} of {len(listed)} images {what}, such as {samples[0].image_id}"


def _reaches_outside(sample: Sample) -> bool:
    if sample.size is None:
        return False
    return bool(np.any(np.abs(clip(sample.boxes, *sample.size) - sample.boxes) > ROUNDING))
