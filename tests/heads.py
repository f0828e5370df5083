"""Foreground heads with random weights on the built-in classifier, for tests."""

from dataclasses import replace

import torch
from torch import Tensor

from gradbox.foreground.backbone import LAYERS, activations, load_backbone, shape_of_head
from gradbox.foreground.head import Head, Origin
from gradbox.foreground.network import HeadNetwork
from gradbox.models.efficientnet_lite import DEFAULT_MODEL


def untrained(
    backbone: str = DEFAULT_MODEL, backbone_hash: str | None = None, **seen: frozenset
) -> Head:
    """A head with seeded random weights that says it has seen two images."""
    lite0 = load_backbone(DEFAULT_MODEL, "cpu")
    shape = replace(shape_of_head(lite0), backbone=backbone)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = HeadNetwork(shape).eval()
    return Head(
        shape=shape,
        network=network,
        origin=Origin(
            trained_on=("noise",),
            n_images=2,
            n_boxes=3,
            backbone_hash=backbone_hash or lite0.weights_hash,
            sizes=(64,),
            epochs=1,
            seed=0,
        ),
        **{"image_hashes": frozenset({f"{3:064x}"}), "ilsvrc": frozenset({7}), **seen},
    )


def stride() -> int:
    """Pixels of the input for a cell of the head's map."""
    lite0 = load_backbone(DEFAULT_MODEL, "cpu")
    blank = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    return 64 // max(one.shape[2] for one in activations(lite0, blank, LAYERS))


def pixels(height: int = 64, width: int = 64) -> Tensor:
    """Two images of seeded noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
