"""Whether the outputs of some images look like those of the head that a classifier is said to have.

A softmax is blind to a number added to all outputs. So, trained through it, they have about the
same sum on every image and about half of them are above 0, where a sigmoid says that the class is
there. Trained through sigmoids, those of the many classes that are not there are far below 0. And a
network may end in its softmax or sigmoid itself: then its outputs are no logits.
"""

import warnings
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from gradbox.errors import GradboxWarning
from gradbox.models.heads import Head

FEWEST, MOST = 4, 32
"""Images that have to be seen before anything is said, and that are looked at."""

_FEWEST_CLASSES = 3
_MANY_CLASSES, _PRESENT = 16, 0.35
"""Of so many classes, the share that no average image has: 350 of ImageNet's."""
_SAME_SUM = 0.02
"""The variance of the sum of the outputs over that of as many independent ones."""
_AROUND_ZERO = 0.1
"""The mean of the outputs over their standard deviation, within an image."""
_FAR_BELOW = -3.0
_SUM = 1e-3
"""How far probabilities may be from adding up to 1."""


@dataclass(eq=False)
class Doubts:
    """What the outputs of the first images say against the head of a classifier.

    `is_said` tells that somebody chose the head: then many outputs far below 0 are no reason to
    doubt a softmax. `lines` are what was found, a line each, at most one.
    """

    name: str
    head: Head
    is_said: bool
    lines: list[str] = field(default_factory=list)
    _seen: list[Float[Tensor, "b n"]] = field(default_factory=list)

    def look_at(self, logits: Float[Tensor, "b n"]) -> None:
        """Take in a batch, and warn of what it shows."""
        count = sum(map(len, self._seen))
        if self.lines or count >= MOST or (self.head.kind == "softmax" and self.is_said):
            return
        self._seen.append(logits[: MOST - count].detach().double().cpu())
        found = doubt(torch.cat(self._seen), self.head)
        if found is not None:
            self.lines.append(f"{self.name}: {found}")
            warnings.warn(self.lines[0], GradboxWarning, stacklevel=2)


def doubt(logits: Float[Tensor, "b n"], head: Head) -> str | None:
    """What speaks against the head, None where nothing does or where too little was seen."""
    if head.kind == "softmax" and logits.shape[1] == 1:
        return (
            "the network has one output, whose softmax is always 1: if it says yes or no, write "
            'head = "sigmoid" in its model card'
        )
    logits = logits[logits.isfinite().all(dim=1)]
    if len(logits) < FEWEST:
        return None
    if _are_probabilities(logits, head):
        return (
            "all outputs are in 0..1, as behind a softmax or sigmoid that the network ends in: "
            "give it without its last step"
        )
    if logits.shape[1] < _FEWEST_CLASSES:
        return None
    count = logits.shape[1]
    if head.kind == "softmax":
        mean = float(logits.mean())
        if mean < _FAR_BELOW and mean < -float(logits.std(dim=1).mean()):
            return (
                f"nearly all outputs are far below 0 ({mean:.1f} on average), as where each class "
                'is judged for itself: if so, write head = "sigmoid" in the model card, else '
                'head = "softmax"'
            )
        return None
    present = float((logits > 0).double().mean())
    if count >= _MANY_CLASSES and present >= _PRESENT:
        return _no_sigmoid(f"by it the average image has {present * count:.0f} of {count} classes")
    spread = float(logits.std(dim=1).mean())
    same = float(logits.sum(dim=1).var() / logits.var(dim=0).sum())
    if same < _SAME_SUM and float(logits.mean(dim=1).abs().mean()) < _AROUND_ZERO * spread:
        return _no_sigmoid("the outputs have the same sum on every image, as through a softmax")
    return None


def _are_probabilities(logits: Float[Tensor, "b n"], head: Head) -> bool:
    """Whether they are in 0..1, and for a softmax add up to 1, of a yes or no the one that is z."""
    outputs = logits
    if head.kind == "sigmoid" and logits.shape[1] == 2 and torch.equal(logits[:, 0], -logits[:, 1]):
        outputs = logits[:, 1:]
    inside = bool(((outputs >= 0) & (outputs <= 1)).all())
    return inside and (
        head.kind == "sigmoid" or bool(((outputs.sum(dim=1) - 1).abs() < _SUM).all())
    )


def _no_sigmoid(why: str) -> str:
    return (
        f'head = "sigmoid" looks wrong, as {why}: if one class excludes the others, write '
        'head = "softmax"'
    )
