"""The neurons that speak for a class, and what each of them sees (paper B, steps 2 and 3)."""

from collections import Counter
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gradbox.attribution.gradients import Outputs, Rule, differentiable, forward, gradient
from gradbox.attribution.heatmaps import signed_mean
from gradbox.attribution.layers import Layer, last_convolutional_layer, named_layer, spatial_layers
from gradbox.attribution.targets import class_score, neuron
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier

FIELD = 0.25
"""The side of what a neuron stands for where overlap is avoided, as a share of the image's."""

_COARSEST = 20
"""The most rows of the input for one row of the layer of `neuron_layer`."""


def neuron_layer(classifier: Classifier) -> Layer:
    """The layer that `classifier.layer` names, else the last block but one of a 16th of the input.

    Blocks are what stands in the network itself and in its `Sequential`s, bare convolutions (before
    their ReLU) aside. Of those whose activations have at least one row for each 20 of the input,
    those of the last such resolution count; where it has a single block, that one is taken. So
    VGG16 gives conv5_2 after its ReLU, the paper's layer, GoogLeNet inception 4d and ResNet-50
    layer3.4.

    Raises:
        UsageError: no layer of that name, or none with channels, rows and columns.
    """
    if classifier.layer is not None:
        return _convolutional(named_layer(classifier, classifier.layer), classifier)
    fine = [
        b for b in blocks(classifier) if classifier.preprocessing.size[0] <= _COARSEST * b.shape[1]
    ]
    last = [b for b in fine if b.shape[1:] == fine[-1].shape[1:]]
    found = last[-2:][0] if last else last_convolutional_layer(classifier)
    return _convolutional(found, classifier)


def blocks(classifier: Classifier) -> list[Layer]:
    """The layers (c, h, w) that stand in the network itself and in its `Sequential`s, in order.

    Bare convolutions, before their ReLU, are left out, and what runs more than once.
    """
    layers = [layer for layer in spatial_layers(classifier) if len(layer.shape) == 3]
    names = Counter(layer.name for layer in layers)
    return [
        layer for layer in layers if names[layer.name] == 1 and _is_block(classifier, layer.name)
    ]


def layer_gradient_x_activation(
    outputs: Outputs, layer: str, labels: Int[Tensor, "b"], *, keep: bool = False
) -> Float[Tensor, "b c h w"]:
    """What each neuron of a layer contributes to its image's class score: A * d score / d A (B1).

    Args:
        outputs: a forward pass with its head that recorded `layer`.
        layer: the layer's name.
        labels: the class of each image; its logit is the score.
        keep: keep the graph, for the next class.
    """
    assert outputs.logits is not None
    activation = outputs.activations[layer]
    with differentiable():
        scores = class_score(outputs.logits, labels)
    return activation.detach() * gradient(scores, activation, keep=keep)


def top_neurons(
    rank_scores: Float[Tensor, "b c h w"],
    count: int,
    *,
    distinct_channels: bool = False,
    overlap: float = 1.0,
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k 3"]]:
    """The neurons with the highest rank scores, best first, the first found of equals.

    Args:
        rank_scores: for instance of `layer_gradient_x_activation`.
        count: how many neurons of each image, k.
        distinct_channels: at most one neuron of each channel.
        overlap: a neuron is passed over where its field has an IoU above this with the field of a
            better one. The field is taken as the square around the neuron with `FIELD` of each side
            of the image. 1 passes none over.

    Returns:
        Their scores, -inf where no neuron was left, and their positions (channel, row, column).
    """
    left = rank_scores.detach().clone(memory_format=torch.contiguous_format)
    picked = [_take_best(left, distinct_channels, overlap) for _ in range(count)]
    scores, positions = zip(*picked, strict=True)
    return torch.stack(scores, dim=1), torch.stack(positions, dim=1)


def guided_backpropagation(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    layer: str,
    neurons: Int[Tensor, "b k 3"],
    *,
    rule: Rule = "guided",
) -> Float[Tensor, "b k c h w"]:
    """The attribution of k neurons of each image: their guided gradient at the input (B2).

    One forward pass, to the layer only, and k backward passes over all images together. `rule` may
    be "plain", for the gradient itself. The neurons are at (channel, row, column) of `layer`.

    Raises:
        UsageError: an unknown layer, or the guided rule for a network without ReLUs.
    """
    return torch.stack(list(_attributions(classifier, images, layer, neurons, rule)), dim=1)


def neuron_maps(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    layer: str,
    neurons: Int[Tensor, "b k 3"],
    *,
    rule: Rule = "guided",
) -> Float[Tensor, "b k h w"]:
    """The signed mean over the channels of what `guided_backpropagation` gives.

    Raises:
        UsageError: as `guided_backpropagation`.
    """
    attributions = _attributions(classifier, images, layer, neurons, rule)
    return torch.stack([signed_mean(one) for one in attributions], dim=1)


def _attributions(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    layer: str,
    neurons: Int[Tensor, "b k 3"],
    rule: Rule,
) -> Iterator[Float[Tensor, "b c h w"]]:
    """The attribution of one neuron of each image after the other."""
    outputs = forward(classifier, images, layers=[layer], head=False, rule=rule)
    for rank, positions in enumerate(neurons.unbind(dim=1), start=1):
        with differentiable():
            values = neuron(outputs.activations[layer], positions)
        yield gradient(values, outputs.images, keep=rank < neurons.shape[1])


def _convolutional(layer: Layer, classifier: Classifier) -> Layer:
    if len(layer.shape) != 3:
        raise UsageError(
            f"dam takes the neurons of a convolutional layer, and {layer} of {classifier.name} has "
            "no rows and columns: give layer=NAME or use another method"
        )
    return layer


def _is_block(classifier: Classifier, name: str) -> bool:
    parents = [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
    in_the_open = all(
        isinstance(classifier.module.get_submodule(parent), nn.Sequential) for parent in parents
    )
    return in_the_open and not isinstance(classifier.module.get_submodule(name), nn.Conv2d)


def _take_best(
    left: Float[Tensor, "b c h w"], distinct_channels: bool, overlap: float
) -> tuple[Float[Tensor, "b"], Int[Tensor, "b 3"]]:
    """The best neuron of each image; it and those that it rules out become -inf in `left`."""
    scores, index = left.flatten(1).max(dim=1)
    channel, row, column = torch.unravel_index(index, left.shape[1:])
    left.flatten(1).scatter_(1, index[:, None], -torch.inf)
    if distinct_channels:
        channels = torch.arange(left.shape[1], device=left.device)
        left.masked_fill_((channels == channel[:, None])[:, :, None, None], -torch.inf)
    if overlap < 1:
        down, across = (
            (FIELD - (torch.arange(n, device=left.device) - at[:, None]).abs() / n).clamp(min=0)
            for n, at in zip(left.shape[2:], (row, column), strict=True)
        )
        shared = down[:, :, None] * across[:, None, :]  # (b, h, w)
        ruled_out = shared / (2 * FIELD**2 - shared) > overlap
        left.masked_fill_(ruled_out[:, None], -torch.inf)
    return scores, torch.stack([channel, row, column], dim=1)
