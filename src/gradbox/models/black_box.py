"""A black box: a function from images to scores, as a module without parameters or gradient.

Whatever answers an array of images with an array of scores becomes an ordinary classifier, so
labels, runs, files and scores work unchanged. What needs a gradient or a layer refuses it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradbox.errors import UsageError
from gradbox.files import hash_bytes, hash_file
from gradbox.functions import load_function
from gradbox.models.heads import HeadKind

Scorer = Callable[[np.ndarray], np.ndarray]
"""From normalized images (b, c, h, w) in float32 to scores (b, n_classes) in floating point."""
Scores = Literal["logits", "probabilities"]
"""What the scores are: before the softmax or the sigmoid, or after it."""

_SMALLEST = 1e-12
"""The logarithm of a probability below it is that of this one: a logit stays finite."""
_SUM = 0.02
"""How far the sum of a row of probabilities may be from 1: half precision of 1000 classes."""


class BlackBox(nn.Module):
    """A function as the module of a classifier.

    Args:
        function: gets a copy of the normalized images, (b, c, h, w) float32 in the order of the
            preprocessing's `color`, and returns scores (b, n_classes), a numpy array of floating
            point. A row of NaN fails its image alone.
        outputs: "logits", or "probabilities", whose logarithm, from 1e-12 on, is taken, so that
            the softmax gives them back; of a sigmoid, that of p / (1 - p).
        head: what makes probabilities of logits; see `Head`.
        name: what messages call it.
        digest: the SHA-256 of the file that it is, None where it is code that has none.

    Raises:
        UsageError: no function, or other `outputs`.
    """

    def __init__(
        self,
        function: Scorer,
        outputs: Scores = "logits",
        head: HeadKind = "softmax",
        *,
        name: str | None = None,
        digest: str | None = None,
    ) -> None:
        super().__init__()
        if not callable(function) or isinstance(function, (type, nn.Module)):
            raise UsageError(
                f"{function!r} is no function from images to scores: give one that takes an array "
                "(b, c, h, w) and returns an array (b, classes); a torch module goes to "
                "Classifier.wrap"
            )
        if outputs not in get_args(Scores):
            raise UsageError(f"outputs={outputs!r}: use logits or probabilities")
        self.function = function
        self.outputs = outputs
        self.head = head
        self.name = name or _name_of(function)
        self.digest = digest

    def __deepcopy__(self, _memo: dict[int, Any]) -> "BlackBox":
        """Another module around the same function, which need not be able to be copied."""
        return BlackBox(self.function, self.outputs, self.head, name=self.name, digest=self.digest)

    @property
    def fingerprint(self) -> str:
        """Its digest, else a text with the name of its function, which may change behind it."""
        return self.digest or f"function {_name_of(self.function)}"

    def forward(self, images: Float[Tensor, "b c h w"]) -> Tensor:
        """Logits (b, n_classes) in float32, on the device of the images, without a gradient.

        Raises:
            UsageError: the function returned no array of floating point, or probabilities that are
                none.
        """
        copied = np.array(images.detach().cpu().numpy(), dtype=np.float32, order="C")
        scores: Any = self.function(copied)
        if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
            raise UsageError(f"{self.name} returned {_described(scores)}")
        values = scores.astype(np.float32)
        if self.outputs == "probabilities":
            self._check_probabilities(values)
            logs = np.log(np.maximum(values, _SMALLEST))
            values = logs - np.log(np.maximum(1 - values, _SMALLEST)) if self._each else logs
        return torch.from_numpy(values).to(images.device)

    @property
    def _each(self) -> bool:
        """Whether each class is for itself."""
        return self.head == "sigmoid"

    def _check_probabilities(self, values: np.ndarray) -> None:
        if self._each:
            if (values < 0).any() or (values > 1).any():  # NaN is neither
                raise UsageError(
                    f"{self.name} returned scores from {np.nanmin(values):.3g} to "
                    f"{np.nanmax(values):.3g}: probabilities of classes that are each for itself "
                    'are in 0..1; if these are logits, say outputs="logits"'
                )
            return
        sums = values.sum(axis=-1) if values.ndim else values
        if (values < 0).any() or (np.abs(sums - 1) > _SUM).any():  # NaN is neither
            raise UsageError(
                f"{self.name} returned scores from {np.nanmin(values):.3g} to "
                f"{np.nanmax(values):.3g} that add up to {sums.flat[0]:.3g}: probabilities are 0 "
                'or more and add up to 1; if these are logits, say outputs="logits", if each class '
                'is for itself, head="sigmoid"'
            )


def function_of_file(spec: str, root: Path, outputs: Scores, head: HeadKind) -> BlackBox:
    """The function that `path/file.py:function` names, the path relative to `root`.

    Its digest is that of the file and of the function's name.

    Raises:
        UsageError: no such file or function.
    """
    function = load_function(spec, root)
    file, _, name = spec.rpartition(":")
    digest = hash_bytes(f"{hash_file(root / file)}:{name}".encode())
    return BlackBox(function, outputs, head, name=spec, digest=digest)


def is_black_box(module: nn.Module) -> bool:
    """Whether a module can only be called: it has neither a gradient nor layers."""
    return isinstance(module, BlackBox)


def refuse_black_box(module: nn.Module, name: str) -> None:
    """Refuse a module that can only be called.

    Raises:
        UsageError: it is a black box.
    """
    if is_black_box(module):
        raise UsageError(
            f"{name} is a black box, which has neither a gradient nor layers: use a method that "
            "only calls it, --method occlusion or --method rise"
        )


def _name_of(function: Any) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def _described(scores: Any) -> str:
    """What came and what to do, of something that is no array of floating point."""
    if isinstance(scores, Tensor):
        return (
            f"a torch tensor {tuple(scores.shape)}: return a numpy array, "
            "scores.detach().cpu().numpy()"
        )
    if isinstance(scores, np.ndarray):
        return (
            f"an array {scores.shape} of {scores.dtype}: return floating-point scores, "
            "scores.astype(np.float32)"
        )
    return (
        f"an object of type {type(scores).__name__}: return a numpy array (images, classes), "
        "np.array(scores, dtype=np.float32)"
    )
