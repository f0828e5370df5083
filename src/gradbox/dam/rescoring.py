"""What the network says of a region alone (paper B, step 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gradbox.attribution.targets import Score, class_score
from gradbox.boxes import bounding
from gradbox.dam.blobs import Masks
from gradbox.dam.windows import Local, logits_in_windows
from gradbox.models.classifier import Classifier

Background = Literal["mean", "blur", "crop"]

_SCORES: tuple[Score, Score] = ("logit", "probability")
_NOTHING = (-torch.inf, 0.0)
"""The logit and the probability of a region without a pixel."""

_BLUR = 0.05
"""The standard deviation of the blurred background, as a share of the image's mean side."""


def rescore(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    masks: Bool[np.ndarray, "n h w"],
    owners: Int[np.ndarray, "n"],
    labels: Int[Tensor, "n"],
    *,
    score: Score = "logit",
    background: Background = "mean",
    at_once: int = 32,
) -> Float[Tensor, "n"]:
    """The class score of each region where the network sees the region alone.

    Args:
        classifier: the network.
        images: normalized input.
        masks: the regions; one without a pixel has the score -inf, or the probability 0.
        owners: the image of each region, an index into `images`.
        labels: the class that each region is scored for.
        score: the logit, or the probability.
        background: what lies outside a region: "mean", the mean pixel; "blur", the image blurred
            by 5 % of its side; or "crop": no outside, the box around the region is enlarged to the
            whole input.
        at_once: how many regions are in the network at the same time.
    """
    both = scores_alone(
        classifier, images, masks, owners, labels, background=background, at_once=at_once
    )
    return both[:, _SCORES.index(score)]


def scores_alone(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    masks: Bool[np.ndarray, "n h w"],
    owners: Int[np.ndarray, "n"],
    labels: Int[Tensor, "n"],
    *,
    background: Background,
    at_once: int,
    local: Sequence[Local] = (),
) -> Float[Tensor, "n 2"]:
    """The logit and the probability of `rescore`, where the `local` layers run on windows."""
    exact = torch.float64 if images.dtype == torch.float64 else torch.float32
    scores = images.new_tensor(_NOTHING, dtype=exact).repeat(len(masks), 1)
    filled = np.flatnonzero(masks.any(axis=(1, 2)))
    if local:  # those of a size together
        boxes = np.array([bounding(mask) for mask in masks[filled]]).reshape(-1, 4)
        filled = filled[np.argsort((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]
    for start in range(0, len(filled), at_once):
        some = filled[start : start + at_once]
        with torch.inference_mode():
            alone = region_alone(images[owners[some]], masks[some], background)
            logits = logits_in_windows(classifier, local, alone, masks[some]).to(exact)
            own = labels[some].to(logits.device)
            for column, score in enumerate(_SCORES):
                scores[some, column] = class_score(logits, own, score, classifier.head)
    return scores


@dataclass(frozen=True, eq=False)
class Alone:
    """Regions of some images, each scored alone for its image's class, and shown but once.

    `images` (b, c, h, w) are normalized input, `labels` one class of each.
    """

    classifier: Classifier
    images: Float[Tensor, "b c h w"]
    labels: Sequence[int]
    background: Background
    at_once: int
    local: Sequence[Local] = ()
    _known: dict[tuple[int, bytes], tuple[float, float]] = field(default_factory=dict)

    def scores(self, masks: Sequence[Masks], score: Score) -> list[Float[np.ndarray, "_"]]:
        """The score of each image's class on each of the image's masks alone, in few calls."""
        keys = [[(image, mask.tobytes()) for mask in own] for image, own in enumerate(masks)]
        pairs = zip(chain.from_iterable(keys), chain.from_iterable(masks), strict=True)
        new = {key: mask for key, mask in pairs if key not in self._known}
        if new:
            owners = np.array([image for image, _ in new])
            found = scores_alone(
                self.classifier,
                self.images,
                np.stack(list(new.values())),
                owners,
                torch.tensor(self.labels)[owners],
                background=self.background,
                at_once=self.at_once,
                local=self.local,
            )
            self._known.update(zip(new, map(tuple, found.tolist()), strict=True))
        column = _SCORES.index(score)
        return [np.array([self._known[key][column] for key in own]) for own in keys]


def region_alone(
    images: Float[Tensor, "n c h w"], masks: Bool[np.ndarray, "n h w"], background: Background
) -> Float[Tensor, "n c h w"]:
    """The normalized input that shows one region of each image, as `rescore` describes it."""
    if background == "crop":
        return _enlarged(images, masks)
    inside = torch.from_numpy(masks).to(images.device)[:, None]
    if background == "mean":
        return images * inside  # the mean pixel is 0 after normalization
    from torchvision.transforms.functional import gaussian_blur

    sigma = _BLUR * sum(images.shape[2:]) / 2
    return torch.where(
        inside, images, gaussian_blur(images, [2 * round(3 * sigma) + 1] * 2, [sigma] * 2)
    )


def _enlarged(
    images: Float[Tensor, "n c h w"], masks: Bool[np.ndarray, "n h w"]
) -> Float[Tensor, "n c h w"]:
    from torchvision.ops import roi_align

    boxes = torch.from_numpy(np.stack([bounding(mask) for mask in masks])).to(images)
    size = (images.shape[2], images.shape[3])
    return roi_align(images, list(boxes[:, None]), size, sampling_ratio=2, aligned=True)
