"""Masks held against the true ones: a method's own, its box filled, and the true box filled."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from gradbox.boxes import bounding
from gradbox.images import load_rgb
from gradbox.localization import Localization, MaskSource, Sample
from gradbox.masks import MaskScores, Overlap, filled_box
from gradbox.results import Found

COMPARED = ("mask", "box_filled", "true_box_filled")


def load_mask(source: MaskSource) -> Bool[np.ndarray, "h w"]:
    """The true mask of an image: the non-zero pixels of a file, or what a function returns.

    Raises:
        ImageError: the file cannot be read.
    """
    if callable(source):
        return source().astype(bool)
    return np.any(load_rgb(source), axis=2)


def score_masks(
    samples: Mapping[str, Sample], found: Iterable[tuple[str, Found]]
) -> dict[str, Any]:
    """IoU, pixel precision and recall over the images that have a true mask.

    `mask` is the method's own (images without one are left out), `box_filled` every pixel of its
    main box, `true_box_filled` every pixel of the box around the true mask: what a perfect box
    would score. Empty where no image has a mask.
    """
    overlaps: dict[str, list[Overlap]] = {name: [] for name in COMPARED}
    for image_id, localization in found:
        sample = samples.get(image_id)
        if sample is None or sample.mask is None or not isinstance(localization, Localization):
            continue
        truth = load_mask(sample.mask)
        if not truth.any():
            continue
        candidates = {"true_box_filled": filled_box(bounding(truth), localization.size)}
        if len(localization.boxes):
            candidates["box_filled"] = filled_box(localization.boxes[0], localization.size)
        if localization.mask is not None:
            candidates["mask"] = localization.mask
        for name, mask in candidates.items():
            overlaps[name].append(Overlap.of(mask, truth))
    return {name: MaskScores.of(seen).summary() for name, seen in overlaps.items() if seen}
