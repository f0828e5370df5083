"""What the network says of a region alone (paper B, step 5)."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gradbox.attribution.targets import Score, class_score
from gradbox.boxes import bounding
from gradbox.models.classifier import Classifier
from gradbox.models.trying import logits_of

Background = Literal["mean", "blur", "crop"]

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
    nothing = -torch.inf if score == "logit" else 0.0
    exact = torch.float64 if images.dtype == torch.float64 else torch.float32
    scores = images.new_full((len(masks),), nothing, dtype=exact)
    filled = np.flatnonzero(masks.any(axis=(1, 2)))
    with torch.inference_mode():
        for start in range(0, len(filled), at_once):
            some = filled[start : start + at_once]
            alone = region_alone(images[owners[some]], masks[some], background)
            logits = logits_of(classifier, classifier.module(alone), len(alone)).to(scores.dtype)
            own = labels[some].to(logits.device)
            scores[some] = class_score(logits, own, score, classifier.head)
    return scores


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
