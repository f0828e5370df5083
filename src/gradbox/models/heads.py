"""What the outputs of a network say: one class of all, each class for itself, or no class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradbox.errors import UsageError

HeadKind = Literal["softmax", "sigmoid", "none"]
USUAL_THRESHOLD = 0.5
ABSENCE = "no "
"""What the name of a class begins with where it stands for the class's absence."""


@dataclass(frozen=True)
class Head:
    """How outputs become probabilities of classes.

    `softmax`: one class of all. `sigmoid`: each class for itself, and it is there where its
    probability reaches its threshold: `thresholds` has one for each class or one for all, 0.5 where
    it is empty. A network whose only output is z then says yes or no: its classes are 0, that there
    is none, with the logit -z, and 1, that there is one, with z; the threshold is that of 1, and 0
    is located only where it is asked for. `none`: the outputs are no classes, such as an
    embedding's or a map's; they are for targets of your own.
    """

    kind: HeadKind = "softmax"
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("softmax", "sigmoid", "none"):
            raise UsageError(f"head={self.kind!r}: use softmax, sigmoid or none")
        if self.thresholds and self.kind != "sigmoid":
            raise UsageError(f"thresholds are for head=sigmoid, and the head is {self.kind}")
        if not all(0 < threshold < 1 for threshold in self.thresholds):
            raise UsageError(f"thresholds={list(self.thresholds)}: probabilities, above 0, below 1")

    def logits(self, outputs: Float[Tensor, "b n"]) -> Float[Tensor, "b n_classes"]:
        """The logits of the classes: the outputs, or of a single yes or no those of both."""
        if self.kind == "sigmoid" and outputs.shape[1] == 1:
            return torch.cat([-outputs, outputs], dim=1)
        return outputs

    def probabilities(self, logits: Float[Tensor, "b n_classes"]) -> Float[Tensor, "b n_classes"]:
        """The probability of each class."""
        return logits.sigmoid() if self.kind == "sigmoid" else logits.softmax(dim=1)

    def names(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names of the classes, of which a single one of a yes or no makes two."""
        if self.kind == "sigmoid" and len(names) == 1:
            return ABSENCE + names[0], names[0]
        return tuple(names)

    def threshold(self, label: int, above: float | None, *, is_binary: bool) -> float:
        """The probability from which on a class is there; see `Classifier.threshold`."""
        if is_binary and label == 0:
            return torch.inf
        if above is not None:
            return above
        given = self.thresholds or (USUAL_THRESHOLD,)
        return given[label] if len(given) > 1 else given[0]


SOFTMAX = Head()
"""The usual one."""


def as_head(value: Head | HeadKind | None) -> Head:
    """A head by its kind alone; softmax where nobody says."""
    return value if isinstance(value, Head) else Head(value or "softmax")
