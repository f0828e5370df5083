"""Attributions (b, c, h, w) to heat maps (b, h, w)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

Reduce = Literal["mean", "max"]


def reduce_channels(
    attribution: Float[Tensor, "b c h w"], how: Reduce = "mean"
) -> Float[Tensor, "b h w"]:
    """One number a pixel: the mean or the maximum of the absolute values of its channels."""
    values = attribution.abs()
    return values.mean(dim=1) if how == "mean" else values.amax(dim=1)


def signed_mean(attribution: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """The mean of the channels with its sign, as paper B's program takes it."""
    return attribution.mean(dim=1)


def normalize_max(heatmaps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Each map divided by its maximum; an all-zero map stays zero."""
    top = heatmaps.amax(dim=(1, 2), keepdim=True)
    return heatmaps / top.where(top > 0, 1.0)
