"""Small networks with seeded weights, and batches of seeded pixels, shared by the tests."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradbox.geometry import Frame
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Selection
from gradbox.models.classifier import Classifier

SIZE = (14, 10)
"""Height and width of the input of `classifier()`."""


def network(n_classes: int = 6, seed: int = 0) -> nn.Sequential:
    """Two convolutions with batch norm, whose statistics are not the default ones, and a head."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(
                nn.Conv2d(3, 5, 3, padding=1),
                nn.BatchNorm2d(5),
                nn.ReLU(inplace=True),
                nn.Conv2d(5, 4, 3, stride=2, padding=1),
                nn.ReLU(),
            ),
            pool=nn.AdaptiveAvgPool2d(2),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(0.5),
            head=nn.Linear(16, n_classes),
        )
    )
    norm = net.features[1]
    norm.running_mean.uniform_(-0.5, 0.5)
    norm.running_var.uniform_(0.5, 1.5)
    return net.eval()


def classifier(
    net: nn.Module | None = None,
    dtype: str = "float64",
    size: tuple[int, int] = SIZE,
    **options: Any,
) -> Classifier:
    """A classifier on the CPU."""
    return Classifier.wrap(
        network() if net is None else net,
        preprocessing=Preprocessing(size=size),
        device="cpu",
        dtype=dtype,
        **options,
    )


def pixels(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> Tensor:
    """Noise (count, 3, h, w) as uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=generator)


def batch(
    images: Tensor,
    labels: Sequence[tuple[int, ...] | None] | None = None,
    selection: Selection | None = None,
) -> Batch:
    """The images as they are: the original is the input."""
    size = (images.shape[2], images.shape[3])
    return Batch(
        image_ids=tuple(f"{i}.png" for i in range(len(images))),
        pixels=images,
        frames=(Frame.squash(size, size),) * len(images),
        labels=tuple(labels) if labels is not None else (None,) * len(images),
        selection=selection or Selection(),
        originals=tuple(one.permute(1, 2, 0).numpy() for one in images),
    )


class Raising(nn.Module):
    """A layer that raises; as a head it shows whether the head was run."""

    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        super().__init__()
        self.error = error
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        raise self.error("the layer that raises was run")


class RaisingAtWork(Raising):
    """A layer that raises where it is differentiated, or sees many covered images at once.

    Finding layers and recognizing the classes of a few images do neither.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if torch.is_grad_enabled() or len(x) > 4 else x


class NanWhereDark(nn.Module):
    """Passes its input on; an image whose mean is below -1 becomes NaN."""

    def forward(self, x: Tensor) -> Tensor:
        return x.where(x.mean(dim=(1, 2, 3), keepdim=True) > -1, float("nan"))
