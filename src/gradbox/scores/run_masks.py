"""Masks held against the true ones: a run's own, its boxes filled, constant boxes filled."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradbox.boxes import bounding, centered
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Mask, Size, filled_box
from gradbox.images.decode import load_rgb
from gradbox.localization import Localization, MaskSource, Sample
from gradbox.scores.bootstrap import interval, paired_difference
from gradbox.scores.masks import MEASURES, MaskScore, MaskScores

Candidates = Callable[[Localization, Mask], Mapping[str, Mask]]
"""The masks, by name, that are held against the true one of an image; the same names for each."""


def load_mask(source: MaskSource) -> Mask:
    """The true mask of an image: the non-zero pixels of a file, or what a function returns.

    Raises:
        ImageError: the file cannot be read.
    """
    if callable(source):
        return source().astype(bool)
    return np.any(load_rgb(source), axis=2)


class CandidateScores:
    """The scores of the candidates by name, over the images that have a true mask with a pixel."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self.by_name: dict[str, MaskScores] = {}

    def add(self, image: int, sample: Sample, found: Localization) -> None:
        """Score the masks of an image, its number in the run; without a true one it does not count.

        Raises:
            UsageError: a true mask cannot be read, or has another size than its image.
        """
        if sample.mask is None:
            return
        truth = _true_mask(sample.image_id, sample.mask, found.size)
        if truth.any():
            for name, mask in self._candidates(found, truth).items():
                scores = self.by_name.setdefault(name, MaskScores())
                scores.add(MaskScore.of(image, mask, truth))


def of_run(scores: Mapping[str, MaskScores]) -> dict[str, dict[str, Any]]:
    """IoU, pixel precision and recall, boundary F of the `run_candidates` of a run.

    `mask` is left out where the method made none in any image; its `difference` is that to
    `box_filled`, paired over the images. `true_box_filled` is an oracle. Empty where no image has a
    true mask. The rows are those of `summary`.
    """
    made = {name: one for name, one in scores.items() if name != "mask" or one.pooled.predicted}
    rows = {name: summary(one) for name, one in made.items()}
    if rows:
        rows["true_box_filled"]["oracle"] = True
    if "mask" in rows:
        rows["mask"]["difference"] = difference(scores["mask"], scores["box_filled"])
    return rows


def run_candidates(localization: Localization, truth: Mask) -> dict[str, Mask]:
    """`mask`, the method's own, `box_filled`, every pixel of its main box, and `true_box_filled`.

    The last, every pixel of the box around the true mask, is what a perfect box would score. What
    is not there is a mask of no pixel: a miss.
    """
    size, nothing = localization.size, np.zeros_like(truth)
    boxes, own = localization.boxes, localization.mask
    return {
        "mask": nothing if own is None else own,
        "box_filled": filled_box(boxes[0], size) if len(boxes) else nothing,
        "true_box_filled": filled_box(bounding(truth), size),
    }


def constant_candidates(shares: Mapping[str, tuple[float, float]]) -> Candidates:
    """Centred boxes, filled, by name, each with its share of (height, width)."""

    def filled(localization: Localization, _: Mask) -> dict[str, Mask]:
        size = localization.size
        return {name: filled_box(centered(*size, share), size) for name, share in shares.items()}

    return filled


def summary(scores: MaskScores) -> dict[str, Any]:
    """The numbers of `MaskScores.summary`, the means with bootstrap intervals over images."""
    numbers = scores.summary()
    for name in MEASURES:
        spread = interval(scores.values(name), scores.images)
        numbers[f"mean_{name}_interval"] = [spread.low, spread.high]
    return numbers


def difference(a: MaskScores, b: MaskScores) -> dict[str, list[float | None]]:
    """How much higher the means of `a` are on the same images: mean, low and high (paired)."""
    spreads = {
        f"mean_{name}": paired_difference(a.values(name), b.values(name), a.images)
        for name in MEASURES
    }
    return {name: [one.mean, one.low, one.high] for name, one in spreads.items()}


def _true_mask(image_id: str, source: MaskSource, size: Size) -> Mask:
    try:
        mask = load_mask(source)
    except ImageError as error:
        raise UsageError(f"the true mask of {image_id}: {error}; mend or remove it") from error
    if mask.shape != size:
        (height, width), (high, wide) = size, mask.shape
        raise UsageError(
            f"the true mask of {image_id} has {wide} x {high} pixels and the image {width} x "
            f"{height}: mend or remove it"
        )
    return mask
