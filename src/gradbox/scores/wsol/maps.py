"""Saved heat maps scored by wsolevaluation's protocol, with and without its look at the answers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from gradbox.boxes import Boxes
from gradbox.datasets import split
from gradbox.datasets.subsets import Subset
from gradbox.geometry import Frame, Size
from gradbox.localization import Sample
from gradbox.results.heatmaps import MapStore
from gradbox.scores.run_masks import load_mask
from gradbox.scores.wsol.protocol import (
    MAX_BOX_ACC,
    MAX_BOX_ACC_V2,
    SIDE,
    BoxAccuracy,
    PixelAveragePrecision,
    overlaps,
    resize_boxes,
    scoremap_of,
)

FrameOf = Callable[[Size], Frame]
_VARIANTS = {"max_box_acc": MAX_BOX_ACC, "max_box_acc_v2": MAX_BOX_ACC_V2}


def wsol_scores(
    store: MapStore,
    samples: Sequence[Sample],
    truth: Callable[[Sample], Boxes],
    frame_of: FrameOf,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """MaxBoxAcc, MaxBoxAccV2, and PxAP where there are masks, of saved maps.

    `maximum` is the protocol's own number: its threshold is the best one for the images that are
    scored. For `held_out` the images are cut in two random halves, and each half is scored with the
    thresholds that are best for the other one; `thresholds` are these two (for IoU 0.5).

    Args:
        store: the maps, at input size.
        samples: what is scored; those whose size is not known are left out.
        truth: true boxes of each image in original pixels.
        frame_of: how an image of a (height, width) became the network input.
        seed: of the halves.
    """
    sized = _only(samples, lambda sample: sample.size is not None)
    halves = [split(sized, (0.5, 0.5), number, seed) for number in (1, 2)]
    scores: dict[str, Any] = {"n_images": len(sized)}
    states = [box_accuracies(store, half, truth, frame_of) for half in halves]
    for name in _VARIANTS:
        one, other = (of_half[name] for of_half in states)
        scores[name] = {
            "maximum": (one + other).maximum,
            "held_out": _held_out(one, other),
            "thresholds": [one.best_threshold(), other.best_threshold()],
        }
    masked = _only(sized, lambda sample: sample.mask is not None)
    if len(masked):
        scores["pxap"] = pixel_average_precision(store, masked, frame_of).value
    return scores


def box_accuracies(
    store: MapStore, samples: Iterable[Sample], truth: Callable[[Sample], Boxes], frame_of: FrameOf
) -> dict[str, BoxAccuracy]:
    """The protocol's hits of saved maps, by the name of the variant; contours are found once."""
    states = {name: BoxAccuracy.empty(variant) for name, variant in _VARIANTS.items()}
    for sample in samples:
        assert sample.size is not None
        boxes = resize_boxes(truth(sample), sample.size)
        best = overlaps(_scoremap(store, sample, frame_of), boxes)
        states = {name: state.add_overlaps(best) for name, state in states.items()}
    return states


def pixel_average_precision(
    store: MapStore, samples: Iterable[Sample], frame_of: FrameOf
) -> PixelAveragePrecision:
    """PxAP of saved maps against the samples' masks; no region is ignored."""
    state = PixelAveragePrecision.empty()
    for sample in samples:
        assert sample.mask is not None
        grey = load_mask(sample.mask).astype(np.uint8)
        mask = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0
        state = state.add(_scoremap(store, sample, frame_of), mask, np.zeros_like(mask))
    return state


def _only(samples: Sequence[Sample], keeps: Callable[[Sample], bool]) -> Sequence[Sample]:
    return Subset(samples, (i for i, sample in enumerate(samples) if keeps(sample)))


def _scoremap(store: MapStore, sample: Sample, frame_of: FrameOf) -> Float[np.ndarray, "224 224"]:
    """The map over the whole image in the protocol's frame; 0 where a crop cut away."""
    assert sample.size is not None
    heatmap, frame = store[sample.image_id], frame_of(sample.size)
    if frame.shows_all:
        return scoremap_of(heatmap)
    return scoremap_of(replace(frame, original=(SIDE, SIDE)).map_to_original(heatmap))


def _held_out(one: BoxAccuracy, other: BoxAccuracy) -> float | None:
    """Each half at the other's best threshold for each IoU, mean over units, then over IoUs."""
    if not one.n or not other.n:
        return None
    accuracies = []
    for iou in one.variant.ious:
        hits = 0.0
        for scored, choosing in ((one, other), (other, one)):
            accuracy = scored.accuracy_at(choosing.best_threshold(iou), iou)
            hits += scored.n * (accuracy or 0.0)
        accuracies.append(hits / (one.n + other.n))
    return float(np.mean(accuracies))
