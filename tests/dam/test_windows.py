from collections.abc import Callable

import networks
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gradbox.dam.windows import local_layers, logits_in_windows
from gradbox.models.classifier import Classifier

SIZE = (64, 96)


def conv(channels: int, kernel: int = 3, **options: int) -> nn.Sequential:
    """A convolution of the input's size, or of a half of it with stride=2, and its ReLU."""
    padding = options.pop("padding", kernel // 2)
    return nn.Sequential(
        nn.Conv2d(channels, 4, kernel, padding=padding, **options), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """A block with a way around it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.inner[1].running_mean.uniform_(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.inner(x)).relu()


class Squeezed(nn.Module):
    """Weighs its input by the mean of the picture."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean(dim=(2, 3), keepdim=True)


class HidesNaN(nn.Module):
    """As `Squeezed`, but a mean that is no number counts as 1."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        return x * mean.nan_to_num(1.0)


class PadsAtTheEnd(nn.Module):
    """As TensorFlow's SAME: a picture of even size gets its zeros after it only."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 1, 0, 1))


class Skipping(nn.Module):
    """Its last block sees the first one's output, past the one between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = conv(3), conv(4), conv(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return self.head(self.third(self.second(first) + first).mean(dim=(2, 3)))


NETWORKS: dict[str, Callable[[], list[nn.Module]]] = {
    "convolutions": lambda: [conv(3), conv(4), conv(4, stride=2), conv(4), conv(4, 5, stride=2)],
    "residual": lambda: [conv(3, 7, stride=2), Residual(), Residual(), conv(4, stride=2)],
    "pooling": lambda: [
        conv(3), nn.MaxPool2d(2), conv(4), nn.MaxPool2d(3, stride=2, ceil_mode=True), conv(4, 1),
        nn.AvgPool2d(3, stride=1, padding=1), nn.ReLU6(),
    ],
    "dilated": lambda: [conv(3, dilation=2, padding=2), conv(4, stride=2), nn.Hardtanh(0, 6)],
    "padded at the end": lambda: [
        nn.Sequential(PadsAtTheEnd(), conv(3, stride=2, padding=0)), conv(4), conv(4, stride=2),
    ],
}  # fmt: skip


def classifier(layers: list[nn.Module], dtype: str = "float64") -> Classifier:
    torch.manual_seed(1)
    head = [nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 5)]
    return networks.classifier(nn.Sequential(nn.Sequential(*layers), *head), dtype, SIZE)


def regions(seed: int, count: int) -> np.ndarray:
    """Rectangles of noise of any size, with at least one pixel each."""
    rng, masks = np.random.default_rng(seed), np.zeros((count, *SIZE), dtype=bool)
    for mask in masks:
        rows, columns = (np.sort(rng.choice(n + 1, 2, replace=False)) for n in SIZE)
        inside = mask[rows[0] : rows[1], columns[0] : columns[1]]
        inside[:] = rng.random(inside.shape) < 0.5
        inside.flat[0] = True
    return masks


@pytest.mark.parametrize("name", NETWORKS)
def test_windows_give_the_logits_of_whole_pictures(name: str) -> None:
    torch.manual_seed(0)
    net = classifier(NETWORKS[name]())
    layers = local_layers(net)
    assert len(layers) >= 3

    @given(st.integers(0, 10_000), st.integers(1, 4))
    @settings(max_examples=25, deadline=None)
    def check(seed: int, count: int) -> None:
        masks = regions(seed, count)
        images = (
            net.normalize(networks.pixels(count, SIZE, seed)) * torch.from_numpy(masks)[:, None]
        )
        found = logits_in_windows(net, layers, images, masks)
        torch.testing.assert_close(found, net.module(images), rtol=0, atol=1e-10)

    check()


def test_how_far_a_layer_looks_by_hand() -> None:
    # 3 x 3: one cell on each side. 7 x 7 with stride 2: cell j sees the pixels 2j - 3 to 2j + 3,
    # so the pair 2k, 2k + 1 is seen by j = k - 1 to k + 2. A residual block: its 3 x 3.
    net = classifier([conv(3), conv(4, 7, stride=2), Residual(), conv(4, 1)])
    assert [(one.stride, one.reach) for one in local_layers(net)] == [
        (1, 1),
        (2, 2),
        (2, 1),
        (2, 0),
    ]


def test_a_small_region_is_seen_in_small_windows() -> None:
    net = classifier([conv(3), conv(4), conv(4, stride=2)])
    layers, seen = local_layers(net), []
    for block in net.module[0]:
        block[0].register_forward_hook(lambda _m, given, _o: seen.append(given[0].shape[2:]))
    masks = np.zeros((1, *SIZE), dtype=bool)
    masks[0, 30:34, 40:50] = True
    logits_in_windows(net, layers, torch.zeros(1, 3, *SIZE, dtype=torch.float64), masks)
    # By hand, in rows: 4 changed, 6 after the first layer, which therefore runs on 8; 8 after the
    # second, on 10; the third has stride 2: 10 if 8 start at an odd row, 14 with its reach, on 18.
    assert [tuple(size) for size in seen] == [(8, 14), (10, 16), (18, 24)]


def test_layers_behind_one_that_looks_at_the_whole_picture_run_on_the_whole() -> None:
    assert len(local_layers(classifier([conv(3), conv(4), Squeezed(), conv(4)]))) == 2


@pytest.mark.parametrize(
    "net",
    [lambda: classifier([conv(3), HidesNaN(), conv(4)]),
     lambda: networks.classifier(Skipping(), size=SIZE)],
    ids=["hidden", "skipping"],
)  # fmt: skip
def test_what_windows_would_make_wrong_is_found_out(net: Callable[[], Classifier]) -> None:
    assert local_layers(net()) == []


def test_a_network_that_takes_no_windows_runs_on_whole_pictures() -> None:
    class OneSize(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[2:] != SIZE:
                raise ValueError("another size")
            return x

    assert local_layers(classifier([conv(3), OneSize(), conv(4)])) == []


def test_windows_keep_the_layout() -> None:
    net = classifier(NETWORKS["convolutions"](), "float32")
    layers = local_layers(net)
    masks = regions(3, 2)
    images = net.normalize(networks.pixels(2, SIZE)) * torch.from_numpy(masks)[:, None]
    images = images.contiguous(memory_format=torch.channels_last)
    seen: list[bool] = []
    for block in net.module[0]:
        block.register_forward_hook(
            lambda _m, given, _o: seen.append(
                given[0].is_contiguous(memory_format=torch.channels_last)
            )
        )
    found = logits_in_windows(net, layers, images, masks)
    assert all(seen)
    torch.testing.assert_close(found, net.module(images), rtol=1e-5, atol=1e-5)
