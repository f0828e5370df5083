"""What a training aims at: one class an image (softmax), or each class or not (sigmoid)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

Targets = Bool[Tensor, "b c"]
"""Which classes an image has."""
Counts = Int[Tensor, "2 2 c"]
"""Of how many images a class was there (second row of the first axis) and named (of the second)."""

SURE = 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Objective(ABC):
    """A loss, which classes are named, and how good that is.

    `smoothing` in [0, 1) spreads so much of a target evenly over all answers. `weights` (2, c) says
    what an image without a class, and one with it, counts for that class; None counts all alike.
    """

    head: ClassVar[str]
    smoothing: float = 0.0
    weights: Float[Tensor, "2 c"] | None = None

    @abstractmethod
    def losses(self, logits: Float[Tensor, "b c"], targets: Targets) -> Float[Tensor, "b"]:
        """The loss of each image in nats."""

    @abstractmethod
    def named(self, logits: Float[Tensor, "b c"]) -> Targets:
        """Which classes the network names."""

    @staticmethod
    @abstractmethod
    def balanced(targets: Targets) -> Float[Tensor, "2 c"]:
        """The `weights` by which rare classes count as much as frequent ones."""

    @abstractmethod
    def accuracies(self, counts: Counts) -> Float[Tensor, "c"]:
        """The accuracy of each class, in [0, 1]."""

    @abstractmethod
    def accuracy(self, counts: Counts) -> float:
        """The accuracy over all classes, in [0, 1]."""

    def count(self, logits: Float[Tensor, "b c"], targets: Targets) -> Counts:
        """The counts of these images; those of several batches add up."""
        named = self.named(logits)
        there, said = (torch.stack([~one, one]).long() for one in (targets, named))
        return torch.einsum("tbc,sbc->tsc", there, said).cpu()


class OneClass(Objective):
    """An image has one class; the most probable one is named.

    The accuracy is the share of images whose class is named, that of a class the share of its own
    images.
    """

    head = "softmax"

    def losses(self, logits: Float[Tensor, "b c"], targets: Targets) -> Float[Tensor, "b"]:
        """Cross-entropy."""
        weight = None if self.weights is None else self.weights[1].to(logits)
        return F.cross_entropy(
            logits,
            targets.long().argmax(dim=1),
            weight=weight,
            reduction="none",
            label_smoothing=self.smoothing,
        )

    def named(self, logits: Float[Tensor, "b c"]) -> Targets:
        """The class of the largest logit."""
        return F.one_hot(logits.argmax(dim=1), logits.shape[1]).bool()

    @staticmethod
    def balanced(targets: Targets) -> Float[Tensor, "2 c"]:
        """N / c n' for a class that n' of n images have: the images of each class count alike."""
        count, classes = targets.shape
        weights = count / (classes * targets.sum(dim=0).clamp(min=1))
        return torch.stack([torch.zeros_like(weights), weights])

    def accuracies(self, counts: Counts) -> Float[Tensor, "c"]:
        """See the class; 0 where no image has it."""
        return counts[1, 1] / counts[1].sum(dim=0).clamp(min=1)

    def accuracy(self, counts: Counts) -> float:
        """See the class."""
        return float(counts[1, 1].sum() / counts[1].sum())


class AnyClasses(Objective):
    """An image has any number of classes; those of a probability above one half are named.

    The accuracy of a class is balanced: the mean of the share of images with it for which it is
    named, and of those without it for which it is not, so 0.5 is chance however rare it is. Where
    there are images of one kind alone it is their share. The accuracy is the mean over classes.
    """

    head = "sigmoid"

    def losses(self, logits: Float[Tensor, "b c"], targets: Targets) -> Float[Tensor, "b"]:
        """Binary cross-entropy, the mean over the classes."""
        aims = targets.to(logits) * (1 - self.smoothing) + self.smoothing / 2
        found = F.binary_cross_entropy_with_logits(logits, aims, reduction="none")
        if self.weights is not None:
            without, with_it = self.weights.to(logits)
            found = found * torch.where(targets, with_it, without)
        return found.mean(dim=1)

    def named(self, logits: Float[Tensor, "b c"]) -> Targets:
        """The classes of a probability above one half."""
        return logits.sigmoid() > SURE

    @staticmethod
    def balanced(targets: Targets) -> Float[Tensor, "2 c"]:
        """N / 2 n' for the n' of n images with a class, and those without: they count alike."""
        there = targets.sum(dim=0)
        sides = torch.stack([len(targets) - there, there])
        return len(targets) / (2 * sides.clamp(min=1))

    def accuracies(self, counts: Counts) -> Float[Tensor, "c"]:
        """See the class."""
        right = torch.stack([counts[0, 0], counts[1, 1]])
        return (right / counts.sum(dim=1)).nanmean(dim=0)

    def accuracy(self, counts: Counts) -> float:
        """See the class."""
        return float(self.accuracies(counts).mean())


OBJECTIVES: Mapping[str, type[Objective]] = {one.head: one for one in (OneClass, AnyClasses)}
"""The objectives by the head that a model card names."""


def no_counts(targets: Targets) -> Counts:
    """The counts of no image of these classes."""
    return torch.zeros(2, 2, targets.shape[1], dtype=torch.long)


def rarity(targets: Targets) -> Float[Tensor, "n"]:
    """How often to draw each image, so that classes are seen alike often: by its rarest class.

    Images without any class are a class of their own here.
    """
    classes = torch.cat([targets, ~targets.any(dim=1, keepdim=True)], dim=1)
    return (classes / classes.sum(dim=0).clamp(min=1)).amax(dim=1)
