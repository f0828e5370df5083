"""Masks held against the true ones: a run's own, its boxes filled, constant boxes filled."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gradbox.boxes import bounding, centered
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Mask, Size, filled_box
from gradbox.images.decode import load_rgb
from gradbox.localization import Found, Localization, MaskSource, Sample
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


def mask_scores(
    samples: Mapping[str, Sample], found: Iterable[tuple[str, Found]], candidates: Candidates
) -> dict[str, MaskScores]:
    """The candidates over the images that have a true mask with a pixel; others do not count.

    Raises:
        UsageError: a true mask cannot be read, or has another size than its image.
    """
    seen: dict[str, list[MaskScore]] = {}
    for image_id, localization in found:
        sample = samples.get(image_id)
        if sample is None or sample.mask is None or not isinstance(localization, Localization):
            continue
        truth = _true_mask(image_id, sample.mask, localization.size)
        if truth.any():
            for name, mask in candidates(localization, truth).items():
                seen.setdefault(name, []).append(MaskScore.of(image_id, mask, truth))
    return {name: MaskScores.of(masks) for name, masks in seen.items()}


def score_masks(
    samples: Mapping[str, Sample], found: Iterable[tuple[str, Found]]
) -> dict[str, dict[str, Any]]:
    """IoU, pixel precision and recall, boundary F of a run over the images that have a true mask.

    `mask` is the method's own and left out where it made none in any image; its `difference` is
    that to `box_filled`, paired over the images. `box_filled` is every pixel of its main box;
    `true_box_filled`, every pixel of the box around the true mask, is an oracle: what a perfect box
    would score. An image without a mask, or a box, is a miss: 0. Empty where no image has a true
    mask. The rows are those of `summary`.

    Raises:
        UsageError: a true mask cannot be read, or has another size than its image.
    """
    scores = mask_scores(samples, found, _of_run)
    made = {name: one for name, one in scores.items() if name != "mask" or one.pooled.predicted}
    rows = {name: summary(one) for name, one in made.items()}
    if rows:
        rows["true_box_filled"]["oracle"] = True
    if "mask" in rows:
        rows["mask"]["difference"] = difference(scores["mask"], scores["box_filled"])
    return rows


def score_constant_masks(
    samples: Mapping[str, Sample],
    found: Iterable[tuple[str, Found]],
    shares: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """The same for centred boxes with these shares of (height, width), each with `box_filled`.

    Raises:
        UsageError: a true mask cannot be read, or has another size than its image.
    """

    def filled(localization: Localization, _: Mask) -> dict[str, Mask]:
        size = localization.size
        return {name: filled_box(centered(*size, share), size) for name, share in shares.items()}

    scores = mask_scores(samples, found, filled)
    return {name: {"box_filled": summary(scores[name])} if scores else {} for name in shares}


def summary(scores: MaskScores) -> dict[str, Any]:
    """The numbers of `MaskScores.summary`, the means with bootstrap intervals over images."""
    numbers = scores.summary()
    for name in MEASURES:
        spread = interval(scores.values(name), scores.image_ids)
        numbers[f"mean_{name}_interval"] = [spread.low, spread.high]
    return numbers


def difference(a: MaskScores, b: MaskScores) -> dict[str, list[float | None]]:
    """How much higher the means of `a` are on the same images: mean, low and high (paired)."""
    spreads = {
        f"mean_{name}": paired_difference(a.values(name), b.values(name), a.image_ids)
        for name in MEASURES
    }
    return {name: [one.mean, one.low, one.high] for name, one in spreads.items()}


def _of_run(localization: Localization, truth: Mask) -> dict[str, Mask]:
    size, nothing = localization.size, np.zeros_like(truth)
    boxes, own = localization.boxes, localization.mask
    return {
        "mask": nothing if own is None else own,
        "box_filled": filled_box(boxes[0], size) if len(boxes) else nothing,
        "true_box_filled": filled_box(bounding(truth), size),
    }


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
