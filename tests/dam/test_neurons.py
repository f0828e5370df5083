import networks
import numpy as np
import pytest
import torch
from captum.attr import LayerGradientXActivation
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import vgg16

from gradbox.attribution.gradients import forward, input_gradient
from gradbox.dam.neurons import (
    FIELD,
    guided_backpropagation,
    layer_gradient_x_activation,
    neuron_layer,
    top_neurons,
)
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier

NEURONS = torch.tensor([[[3, 6, 4], [0, 0, 0], [1, 2, 3]], [[2, 5, 0], [3, 6, 4], [3, 6, 4]]])
"""(channel, row, column) of three neurons of each of two images, in `features` (4, 7, 5)."""


def images(classifier: Classifier) -> Tensor:
    return classifier.normalize(networks.pixels(2))


def overlapping(a: np.ndarray, b: np.ndarray, size: tuple[int, int]) -> float:
    """The IoU of the squares of two neurons (channel, row, column), as shares of the image."""
    sides = [max(FIELD - abs(a[i + 1] - b[i + 1]) / n, 0) for i, n in enumerate(size)]
    shared = sides[0] * sides[1]
    return shared / (2 * FIELD**2 - shared)


def test_layer_gradient_x_activation_is_captums():
    classifier = networks.classifier()
    labels = torch.tensor([4, 1])
    outputs = forward(classifier, images(classifier), layers=["features"])
    expected = LayerGradientXActivation(classifier.module, classifier.module.features).attribute(
        images(classifier), target=labels
    )
    found = layer_gradient_x_activation(outputs, "features", labels, keep=True)
    assert expected.any()
    torch.testing.assert_close(found, expected)
    again = layer_gradient_x_activation(outputs, "features", labels)  # the graph was kept
    torch.testing.assert_close(again, expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 12),
    distinct=st.booleans(),
    overlap=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)
@settings(max_examples=12, deadline=None)
def test_top_neurons_equal_a_greedy_loop(
    memory_format: torch.memory_format, seed: int, count: int, distinct: bool, overlap: float
):
    rank_scores = torch.rand((2, 4, 5, 6), generator=torch.Generator().manual_seed(seed))
    given_scores = rank_scores.clone(memory_format=memory_format)
    scores, positions = top_neurons(
        given_scores, count, distinct_channels=distinct, overlap=overlap
    )
    assert (given_scores == rank_scores).all()
    for image, values in enumerate(rank_scores.numpy()):
        chosen: list[np.ndarray] = []
        for flat in np.argsort(-values, axis=None):
            position = np.array(np.unravel_index(flat, values.shape))
            allowed = all(
                not (distinct and position[0] == other[0])
                and overlapping(position, other, (5, 6)) <= overlap + 1e-6
                for other in chosen
            )
            if allowed and len(chosen) < count:
                chosen.append(position)
        there = scores[image] > -torch.inf
        assert positions[image][there].tolist() == [p.tolist() for p in chosen]
        assert scores[image][there].tolist() == [float(values[tuple(p)]) for p in chosen]


def test_of_equal_neurons_the_first_comes_first():
    _, positions = top_neurons(torch.zeros(1, 2, 1, 2), 3)
    assert positions.tolist() == [[[0, 0, 0], [0, 0, 1], [1, 0, 0]]]


@pytest.mark.parametrize("rule", ["plain", "guided"])
def test_many_neurons_equal_one_at_a_time(rule: str):
    classifier = networks.classifier()
    together = guided_backpropagation(
        classifier, images(classifier), "features", NEURONS, rule=rule
    )
    assert together.shape == (2, 3, 3, *networks.SIZE)
    for image in range(2):
        for k, (channel, row, column) in enumerate(NEURONS[image].tolist()):
            alone = input_gradient(
                classifier,
                images(classifier)[image : image + 1],
                lambda out, at=(0, channel, row, column): out.activations["features"][at][None],
                layers=["features"],
                rule=rule,
            )
            torch.testing.assert_close(together[image, k], alone[0], rtol=0, atol=1e-10)


def test_a_neuron_sees_nothing_outside_its_receptive_field():
    # Two 3 x 3 convolutions, the second with stride 2: row 6 sees rows 10..14, column 0 -2..2.
    classifier = networks.classifier()
    maps = guided_backpropagation(classifier, images(classifier), "features", NEURONS)
    assert not maps[0, 0, :, :10].any()
    assert not maps[1, 0, :, :, 3:].any()
    assert maps[:, 0].any()


def test_the_head_is_not_run_for_the_maps():
    net = networks.network()
    net.head = networks.Raising()
    classifier = networks.classifier(net)
    assert guided_backpropagation(classifier, images(classifier), "features", NEURONS).any()


def test_vgg16_gives_conv5_2_after_its_relu():
    # In torchvision's list: 24, 26, 28 are the convolutions of the fifth group.
    with torch.device("meta"):
        net = vgg16(init_weights=False)
    net.classifier = nn.Linear(512 * 7 * 7, 2)
    layer = neuron_layer(Classifier.wrap(net.to_empty(device="cpu"), device="cpu"))
    assert (layer.name, layer.shape) == ("features.27", (512, 14, 14))


class Block(nn.Module):
    """Halves the resolution, with a convolution at the old one inside."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 3, 1)
        self.after = nn.Conv2d(3, 3, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.before(x).relu()).relu()


def test_the_last_but_one_block_of_the_last_fine_resolution_is_taken():
    # 14 x 10, then 7 x 5 twice, then 3 x 2 in a block; every resolution is fine enough here.
    relu = lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())  # noqa: E731
    net = nn.Sequential(
        nn.Sequential(Block(), relu(), relu()),
        nn.Sequential(Block()),
        nn.Flatten(),
        nn.Linear(18, 2),
    )
    assert neuron_layer(networks.classifier(net)).name == "1"  # the only block of 3 x 2
    net = nn.Sequential(nn.Sequential(Block(), relu(), relu()), nn.Flatten(), nn.Linear(105, 2))
    assert neuron_layer(networks.classifier(net)).name == "0.1"


def test_a_layer_that_is_named_is_taken():
    assert neuron_layer(networks.classifier(layer="features.2")).name == "features.2"
    with pytest.raises(UsageError, match="layer=head has no extent in space"):
        neuron_layer(networks.classifier(layer="head"))


class Tokens(nn.Module):
    """A patch embedding and a block of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.block = nn.Conv2d(3, 8, 2, stride=2), nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))


def test_a_transformer_is_told_why_not():
    with pytest.raises(UsageError, match="no rows and columns: give layer=NAME"):
        neuron_layer(networks.classifier(Tokens(), layer="block"))
