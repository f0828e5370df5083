"""What is differentiated: one scalar per image; and which classes it is asked for."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gradbox.attribution.gradients import Outputs, Target
from gradbox.errors import UsageError
from gradbox.localization import Batch, Selection
from gradbox.models.classifier import Classifier
from gradbox.models.heads import SOFTMAX, Head

Score = Literal["logit", "probability"]
Labels = tuple[int, ...]
"""One class of each image of a batch."""
NO_CLASS = Selection(top=0)


def class_score(
    logits: Float[Tensor, "b n"],
    labels: Int[Tensor, "b"],
    score: Score = "logit",
    head: Head = SOFTMAX,
) -> Float[Tensor, "b"]:
    """The score of one class per image: the net input of its output unit, or its probability (A1).

    The probability is the softmax, or what else `head` makes of logits.
    """
    values = logits if score == "logit" else head.probabilities(logits)
    return values.gather(1, labels[:, None]).squeeze(1)


def class_target(labels: Labels, score: Score = "logit") -> Target:
    """The target that is the score of one class of each image."""

    def target(outputs: Outputs) -> Tensor:
        assert outputs.logits is not None
        index = torch.tensor(labels, device=outputs.logits.device)
        return class_score(outputs.logits, index, score, outputs.head)

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
    classifier: Classifier, logits: Float[Tensor, "b n"] | None, batch: Batch
) -> list[tuple[int | None, ...]]:
    """The classes of each image: those given, else those selected; (None,) where none is wanted.

    `logits` may be None only where no class is wanted, or the outputs are no classes. Where all
    classes above a probability are wanted and none is, it is the best one: what is found of it is
    left out later, by `Plan`.

    Raises:
        UsageError: a class is given that the network does not have, or more are wanted than it has.
    """
    if logits is None:
        _refuse_classes(classifier, batch)
        return [given or (None,) for given in batch.labels]
    classifier.doubts.look_at(logits)
    count = logits.shape[1]
    for label in (label for given in batch.labels for label in given or ()):
        if not 0 <= label < count:
            raise UsageError(f"class {label}: the network has {count} classes, from 0 on")
    if batch.selection == NO_CLASS:
        return [given or (None,) for given in batch.labels]
    if None in batch.labels:
        check_top(batch.selection, count)
    probabilities = classifier.head.probabilities(logits.detach())
    least = None
    if batch.selection.above is not None:
        above = batch.selection.least
        least = torch.tensor([classifier.threshold(label, above) for label in range(count)])
    return [
        select_labels(row, batch.selection, least) if given is None else given
        for row, given in zip(probabilities.cpu(), batch.labels, strict=True)
    ]


def _refuse_classes(classifier: Classifier, batch: Batch) -> None:
    if not classifier.has_classes and any(batch.labels):
        raise UsageError(
            f"the outputs of {classifier.name} are no classes (head = none): leave the class out"
        )


def wants_no_class(batch: Batch) -> bool:
    """Whether no class is asked for in any image: neither given nor to be selected."""
    return batch.selection == NO_CLASS and not any(batch.labels)


def needs_head(batch: Batch, *, needs_class: bool) -> bool:
    """Whether the head has to be run: a class is looked for, or asked for to be named.

    Raises:
        UsageError: a class is looked for and none is wanted.
    """
    unknown = [given is None and batch.selection == NO_CLASS for given in batch.labels]
    if any(unknown) and needs_class:
        raise UsageError(
            "a class score needs a class: for none at all, use target=layer_mean or 'eigencam'"
        )
    return not all(unknown)


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


def select_labels(
    probabilities: Float[Tensor, "n"],
    selection: Selection,
    least: Float[Tensor, "n"] | None = None,
) -> tuple[int, ...]:
    """The classes to locate, best first: the `top` best and all with p >= `near_top` * best.

    Where there are `least` probabilities, those that reach theirs; the best one where none does.
    """
    if least is not None:
        there = [
            label
            for label in top_labels(probabilities, len(least))
            if probabilities[label] >= least[label]
        ]
        return tuple(there) or top_labels(probabilities, 1)
    count = selection.top
    if selection.near_top is not None:
        near = probabilities >= selection.near_top * probabilities.max()
        count = max(count, int(near.sum()), 1)  # NaN is not near itself
    return top_labels(probabilities, count)
