"""The network of a foreground head: few convolutions over activations of several strides."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """Which activations a head looks at, of which backbone, and how wide it is.

    `backbone` is one of `models.efficientnet_lite.RELEASES`, `layers` are names of its layers,
    `channels` how many each has. `width` channels come of each layer.
    """

    backbone: str
    layers: tuple[str, ...]
    channels: tuple[int, ...]
    width: int = 128

    def __post_init__(self) -> None:
        if not self.layers or len(self.layers) != len(self.channels):
            raise ValueError(f"{len(self.layers)} layers and {len(self.channels)} channels")


class HeadNetwork(nn.Module):
    """Logits of "this cell's middle lies in an object", on the grid of the finest layer.

    Each layer: batch norm, dropout, a 1 x 1 convolution; bilinearly to the finest grid; the sum.
    Then ReLU, batch norm, a 3 x 3 convolution, ReLU, dropout, a 3 x 3 convolution to one channel.
    """

    def __init__(self, shape: HeadShape, dropout: float = 0.3) -> None:
        super().__init__()
        self.reading = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels), nn.Dropout2d(dropout), nn.Conv2d(channels, shape.width, 1)
            )
            for channels in shape.channels
        )
        self.deciding = nn.Sequential(
            nn.ReLU(),
            nn.BatchNorm2d(shape.width),
            nn.Conv2d(shape.width, shape.width, 3, padding=1),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(shape.width, 1, 3, padding=1),
        )

    def forward(self, activations: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b h w"]:
        """The logits; `activations` are those of the layers, in their order."""
        return self.last(self.before_last(activations))[:, 0]

    def before_last(
        self, activations: Sequence[Float[Tensor, "b _ _ _"]]
    ) -> Float[Tensor, "b width h w"]:
        """What the last layer makes the logits of."""
        read = [layer(one) for layer, one in zip(self.reading, activations, strict=True)]
        finest = max((one.shape[2:] for one in read), key=lambda size: size[0] * size[1])
        meeting = [_at(one, finest) for one in read]
        found: Tensor = self.deciding[:-1](sum(meeting[1:], start=meeting[0]))
        return found

    @property
    def last(self) -> nn.Conv2d:
        """The last layer."""
        last = self.deciding[-1]
        assert isinstance(last, nn.Conv2d)
        return last


def _at(values: Tensor, size: Sequence[int]) -> Tensor:
    if values.shape[2:] == size:
        return values
    return F.interpolate(values, size, mode="bilinear")
