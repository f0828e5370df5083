"""From the regions that a class was found in to a `Localization` (paper B)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

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
        regions=tuple(chain.from_iterable(regions(one, frame, details=details) for one in found)),
    )


def heatmap(found: RegionsOfClass) -> Float[np.ndarray, "h w"]:
    """The mean of the chosen neurons' maps, each scaled to the maximum 1; all 0 without any."""
    chosen = torch.from_numpy(found.heatmaps[: found.count]).clamp(min=0)
    return normalize_max(chosen).sum(dim=0).numpy() / max(found.count, 1)


def regions(found: RegionsOfClass, frame: Frame, *, details: bool = False) -> tuple[Region, ...]:
    """The blobs of all neurons of a class as regions, the highest logit first."""
    return tuple(
        Region(
            box=_box(mask, frame),
            score=float(found.logits[i]),
            label=found.label,
            chosen=i < found.count,
            heatmap=found.heatmaps[i] if details else None,
            mask=mask if details else None,
        )
        for i, mask in enumerate(found.blobs)
    )


def _box(shape: Mask, frame: Frame) -> Float[np.ndarray, "4"]:
    """The box around a shape in original pixels; the whole image where it has no pixel."""
    seen = shape if shape.any() else np.ones_like(shape)
    return frame.to_original(bx.bounding(seen)[None])[0]
