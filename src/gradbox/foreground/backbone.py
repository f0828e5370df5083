"""The frozen classifier whose activations a foreground head reads, and which of them."""

from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gradbox.attribution.gradients import forward
from gradbox.errors import UsageError, nearest
from gradbox.foreground.network import HeadShape
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import RELEASES, NotInstalled
from gradbox.models.load import load_classifier

LAYERS = ("blocks.6", "blocks.4")
"""In every EfficientNet-Lite: the last blocks of stride 32 and 16."""


@cache
@torch.random.fork_rng([])  # the caller's random numbers stay as they are
def load_backbone(name: str, device: str) -> Classifier:
    """A backbone by its name, loaded once a device.

    Raises:
        UsageError: it is none, or not installed.
    """
    if name not in RELEASES:
        raise UsageError(
            f"the foreground head's backbone cannot be {name!r}{nearest(name, RELEASES)}: use one "
            f"of {', '.join(RELEASES)}"
        )
    try:
        return load_classifier(name, device=device)
    except NotInstalled as error:
        raise UsageError(
            f"foreground looks with a classifier of its own beside yours: {error.what}"
        ) from error


def activations(
    backbone: Classifier, pixels: UInt8[Tensor, "b 3 rows columns"], layers: Sequence[str]
) -> list[Float[Tensor, "b _ _ _"]]:
    """What these layers give, in their order; without a graph, and without what follows them."""
    images = backbone.normalize(pixels)
    outputs = forward(backbone, images, layers=layers, head=False, by="nothing")
    return [outputs.at(name) for name in layers]


def shape_of_head(backbone: Classifier) -> HeadShape:
    """The shape of a head of this backbone."""
    blank = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    channels = tuple(one.shape[1] for one in activations(backbone, blank, LAYERS))
    return HeadShape(backbone=backbone.name, layers=LAYERS, channels=channels)
