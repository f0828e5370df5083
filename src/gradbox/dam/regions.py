"""From the regions that a class was found in to a `Localization`, and to features (paper B)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradbox import boxes as bx
from gradbox.attribution.heatmaps import normalize_max
from gradbox.attribution.localizer import peak
from gradbox.attribution.targets import top_labels
from gradbox.dam.blobs import Masks
from gradbox.geometry import Frame, Mask
from gradbox.localization import Batch, Localization, Region


@dataclass(frozen=True, eq=False, kw_only=True)
class RegionsOfClass:
    """Where one class was found in one image, in pixels of the network input.

    The `blobs` (n, h, w) of its neurons and their `heatmaps` (n, h, w) are in falling order of the
    class's `logits` on each alone. The first `count` make the `shapes` (m, h, w), one box each,
    whose `scores` are the probability of the class on each alone.
    """

    label: int
    blobs: Masks
    logits: Float[np.ndarray, "n"]
    heatmaps: Float[np.ndarray, "n h w"]
    count: int
    shapes: Masks
    scores: Float[np.ndarray, "m"]


@dataclass(frozen=True, eq=False)
class _Shape:
    label: int
    mask: Mask
    score: float
    heatmap: Float[np.ndarray, "h w"]


def localization(
    batch: Batch,
    image: int,
    probabilities: Float[Tensor, "n_classes"],
    found: Sequence[RegionsOfClass],
    abstain: float,
    details: bool,
) -> Localization:
    """The answer for one image of a batch; shapes with a score below `abstain` are left out.

    The shapes of a class stand in falling order of their scores. Where none is left the heat map is
    that of the first class.
    """
    frame = batch.frames[image]
    heatmaps = [heatmap(one) for one in found]
    shapes = [
        _Shape(one.label, one.shapes[i], float(one.scores[i]), over)
        for one, over in zip(found, heatmaps, strict=True)
        for i in np.argsort(-one.scores, kind="stable")
        if one.scores[i] >= abstain
    ]
    over_main = shapes[0].heatmap if shapes else heatmaps[0]
    return Localization(
        image_id=batch.image_ids[image],
        size=frame.original,
        boxes=bx.as_boxes([_box(shape.mask, frame) for shape in shapes]),
        labels=tuple(shape.label for shape in shapes),
        label_scores=tuple(float(probabilities[shape.label]) for shape in shapes),
        scores=tuple(shape.score for shape in shapes),
        peaks=tuple(peak(shape.heatmap * shape.mask, frame) for shape in shapes),
        top_labels=top_labels(probabilities),
        heatmap=over_main if details else None,
        mask=frame.map_to_original(shapes[0].mask.astype(np.float32)) > 0.5
        if details and shapes
        else None,
        regions=tuple(region for one in found for region in _regions(one, frame, details)),
    )


def heatmap(found: RegionsOfClass) -> Float[np.ndarray, "h w"]:
    """The mean of the chosen neurons' maps, each scaled to the maximum 1; all 0 without any."""
    chosen = torch.from_numpy(found.heatmaps[: found.count]).clamp(min=0)
    return normalize_max(chosen).sum(dim=0).numpy() / max(found.count, 1)


def region_features(localization: Localization, count: int = 10) -> Float[np.ndarray, "n"]:
    """Features of fixed length, for a regressor from DAM's answer to a better box.

    The main box, then the boxes of the `count` best regions of its class, each as xmin, ymin, xmax,
    ymax in [0, 1] of the image and its score: n = 5 * (count + 1). Missing regions are filled up
    with the last one, or the main box; an image without a box counts as a whole one with score 0.
    """
    height, width = localization.size
    rows = [np.array([0.0, 0.0, width, height, 0.0])]
    if len(localization.boxes):
        main = localization.labels[0]
        rows = [np.append(localization.boxes[0], localization.scores[0])]
        same = [region for region in localization.regions if region.label == main]
        rows += [np.append(region.box, region.score) for region in same[:count]]
    rows += rows[-1:] * (count + 1 - len(rows))
    return (np.stack(rows) / np.array([width, height, width, height, 1.0])).ravel()


def _regions(found: RegionsOfClass, frame: Frame, details: bool) -> list[Region]:
    return [
        Region(
            box=_box(mask, frame),
            score=float(found.logits[i]),
            label=found.label,
            chosen=i < found.count,
            heatmap=found.heatmaps[i] if details else None,
            mask=mask if details else None,
        )
        for i, mask in enumerate(found.blobs)
    ]


def _box(shape: Mask, frame: Frame) -> Float[np.ndarray, "4"]:
    """The box around a shape in original pixels; the whole image where it has no pixel."""
    seen = shape if shape.any() else np.ones_like(shape)
    return frame.to_original(bx.bounding(seen)[None])[0]
