"""Which layer to look into: the last convolutional one, found from one traced forward pass.

The last module with parameters is the classifier. The layer is the last activation with an extent
in space that is made before it and not by pooling or normalization alone. So SqueezeNet's
convolutional classifier is not taken, GoogLeNet's four branches are taken after they are joined,
and ReLUs that follow are included. A vision transformer has no such activation but its patch
embedding; there it is the last block's tokens, before the final norm (after it, their mean has no
gradient).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradbox.attribution.gradients import Call, trace
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier

_SAME = (nn.Dropout, nn.Dropout2d, nn.Identity)
"""In evaluation mode they return their input itself, so they make no activation."""


@dataclass(frozen=True)
class Layer:
    """A layer of a network: its name, the shape of one image's activation, and its prefix tokens.

    `shape` is (c, h, w), (h, w, c) in some transformers, or (tokens, c); `prefix_tokens` counts
    the class and register tokens before the patches.
    """

    name: str
    shape: tuple[int, ...]
    prefix_tokens: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.shape))})"


def last_convolutional_layer(classifier: Classifier) -> Layer:
    """The layer that `classifier.layer` names, else the last convolutional one.

    Raises:
        UsageError: no layer of that name, or none with an extent in space.
    """
    layers = spatial_layers(classifier)
    if classifier.layer is None:
        if not layers:
            raise UsageError(
                f"{classifier.name} has no layer with an extent in space: give layer=NAME"
            )
        return layers[-1]
    return named_layer(classifier, classifier.layer)


def named_layer(classifier: Classifier, name: str) -> Layer:
    """The layer of this name.

    Raises:
        UsageError: none has it, or it has no extent in space; those that have are listed.
    """
    traced = _calls(classifier)
    calls = [call for call in traced if call.name == name]
    if not calls or not _is_spatial(calls[-1].output):
        usable = ", ".join(layer.name for layer in spatial_layers(classifier)[-8:])
        why = "has no extent in space" if calls else "is not a layer"
        raise UsageError(f"layer={name} {why} of {classifier.name}: use for instance {usable}")
    return _layer(calls[-1], _grid(traced))


def spatial_layers(classifier: Classifier) -> Sequence[Layer]:
    """The activations before the classifier that may be looked into, in order, each named once.

    An activation has the name of the outermost module that returns it, so a block's output has
    the block's name, after the block's last ReLU.
    """
    calls = _calls(classifier)
    owners = [i for i, call in enumerate(calls) if _owns_parameters(call.module)]
    before = [
        call
        for call in calls[: max(owners, default=len(calls))]
        if isinstance(call.output, Tensor) and not isinstance(call.module, _SAME)
    ]
    grid = _grid(before)
    by_tensor: dict[int, list[Call]] = {}
    for call in before:
        by_tensor.setdefault(id(call.output), []).append(call)
    kept = [
        _layer(next(c for c in reversed(same) if not _passes(c.module)), grid)
        for same in by_tensor.values()
        if not _passes(same[0].module) and _is_spatial(same[0].output)
    ]
    tokens = [layer for layer in kept if len(layer.shape) == 2]
    return tokens or [layer for layer in kept if len(layer.shape) == 3]


def _calls(classifier: Classifier) -> list[Call]:
    height, width = classifier.preprocessing.size
    blank = torch.zeros((1, 3, height, width), dtype=torch.uint8)
    return trace(classifier, classifier.normalize(blank))


def _owns_parameters(module: nn.Module) -> bool:
    kind = type(module).__name__
    return any(True for _ in module.parameters(recurse=False)) and "Norm" not in kind


def _passes(module: nn.Module) -> bool:
    kind = type(module).__name__
    return isinstance(module, (nn.Flatten, nn.LayerNorm)) or "Pool" in kind or kind == "Permute"


def _is_spatial(output: object) -> bool:
    """Whether it is (1, c, h, w), (1, h, w, c) or (1, tokens, c); windows of an image are not."""
    if not isinstance(output, Tensor) or output.dim() not in (3, 4):
        return False
    return len(output) == 1 and min(output.shape[1:]) > 1


def _grid(calls: Sequence[Call]) -> int | None:
    """The number of patches of a transformer's patch embedding, the first 4-D activation."""
    shapes = [c.output.shape for c in calls if isinstance(c.output, Tensor) and c.output.dim() == 4]
    return shapes[0][2] * shapes[0][3] if shapes else None


def _layer(call: Call, grid: int | None) -> Layer:
    shape = tuple(call.output.shape[1:])
    prefix = shape[0] - grid if len(shape) == 2 and grid and 0 < shape[0] - grid < 16 else 0
    return Layer(call.name, shape, prefix)
