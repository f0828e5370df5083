"""What is differentiated: one scalar per image; and which classes it is asked for."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gradbox.attribution.gradients import Outputs, Target
from gradbox.errors import UsageError
from gradbox.localization import Batch, Selection

Score = Literal["logit", "probability"]
NO_CLASS = Selection(top=0)


def class_score(
    logits: Float[Tensor, "b n"], labels: Int[Tensor, "b"], score: Score = "logit"
) -> Float[Tensor, "b"]:
    """The score of one class per image: the net input of its output unit, or its softmax (A1)."""
    values = logits if score == "logit" else logits.softmax(dim=1)
    return values.gather(1, labels[:, None]).squeeze(1)


def class_target(labels: Sequence[int | None], score: Score = "logit") -> Target:
    """The target that is the score of one class of each image, all of them known."""

    def target(outputs: Outputs) -> Tensor:
        assert outputs.logits is not None
        index = torch.tensor(labels, device=outputs.logits.device)
        return class_score(outputs.logits, index, score)

    return target


def layer_mean(activation: Float[Tensor, "b ..."], prefix_tokens: int = 0) -> Float[Tensor, "b"]:
    """The mean of all activations of a layer, paper A's attention map "Gestalt Total" (A2).

    A transformer's (b, tokens, c) activation has its class and register tokens left out: the first
    `prefix_tokens`.
    """
    patches = activation[:, prefix_tokens:] if prefix_tokens else activation
    return patches.flatten(1).mean(dim=1)


def neuron(
    activation: Float[Tensor, "b c h w"], positions: Int[Tensor, "b 3"]
) -> Float[Tensor, "b"]:
    """One neuron per image: the activation at (channel, row, column)."""
    rows = torch.arange(len(activation), device=activation.device)
    channel, row, column = positions.unbind(dim=1)
    return activation[rows, channel, row, column]


def labels_to_locate(
    logits: Float[Tensor, "b n"] | None, batch: Batch
) -> list[tuple[int | None, ...]]:
    """The classes of each image: those given, else those selected; (None,) where none is wanted.

    `logits` may be None only where no class is wanted.

    Raises:
        UsageError: a class is given that the network does not have, or more are wanted than it has.
    """
    if logits is None:
        return [given or (None,) for given in batch.labels]
    count = logits.shape[1]
    for label in (label for given in batch.labels for label in given or ()):
        if not 0 <= label < count:
            raise UsageError(f"class {label}: the network has {count} classes, from 0 on")
    if batch.selection == NO_CLASS:
        return [given or (None,) for given in batch.labels]
    if None in batch.labels:
        check_top(batch.selection, count)
    probabilities = logits.softmax(dim=1)
    return [
        select_labels(row, batch.selection) if given is None else given
        for row, given in zip(probabilities, batch.labels, strict=True)
    ]


def check_top(selection: Selection, count: int) -> None:
    """Refuse a selection of more than the `count` classes of a network.

    Raises:
        UsageError: it is one.
    """
    if selection.top > count:
        raise UsageError(f"top={selection.top}: the network has {count} classes")


def top_labels(probabilities: Float[Tensor, "n"], count: int = 5) -> tuple[int, ...]:
    """The `count` most probable classes, best first."""
    return tuple(probabilities.argsort(descending=True, stable=True)[:count].tolist())


def select_labels(probabilities: Float[Tensor, "n"], selection: Selection) -> tuple[int, ...]:
    """The classes to locate, best first: the `top` best and all with p >= `near_top` * best."""
    count = selection.top
    if selection.near_top is not None:
        near = probabilities >= selection.near_top * probabilities.max()
        count = max(count, int(near.sum()), 1)  # NaN is not near itself
    return top_labels(probabilities, count)
