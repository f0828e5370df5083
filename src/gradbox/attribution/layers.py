"""Which layer to look into: the last convolutional one, found from one traced forward pass.

The last module with parameters is the classifier. The layer is the last activation with an extent
in space that is made before it and not by pooling or normalization alone. So SqueezeNet's
convolutional classifier is not taken, GoogLeNet's four branches are taken after they are joined,
and ReLUs that follow are included. A vision transformer has no such activation but its patch
embedding; there it is the last block's tokens, before the final norm (after it, their mean has no
gradient). Where the classifier reads a class token alone, the score of a class does not depend on
the last block's patches: for it, `scored_layer` takes the last block that it depends on.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import chain
from math import log2
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradbox.attribution.gradients import Call, forward, gradients, scalars_of, trace
from gradbox.attribution.targets import class_target
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier
from gradbox.models.outputs import described

LAST = "last"
_MOST_PREFIX_TOKENS = 15
_SAME = (nn.Dropout, nn.Dropout2d, nn.Identity)
"""In evaluation mode they return their input itself, so they make no activation."""


@dataclass(frozen=True)
class Layer:
    """A layer of a network: its name, the shape of one image's activation, and its prefix tokens.

    `shape` is (c, h, w), (h, w, c) in some transformers, or (tokens, c); `prefix_tokens` counts
    the class and register tokens before the patches. `grid` has its rows and columns, (h, w), None
    where nobody knows how its tokens lie.
    """

    name: str
    shape: tuple[int, ...]
    prefix_tokens: int = 0
    grid: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.shape))})"

    def spatial(self, activation: Float[Tensor, "b ..."]) -> Float[Tensor, "b c h w"]:
        """An activation of this layer, or its derivative, as channels of rows and columns.

        The input may have another size than that of which the layer was found.

        Raises:
            UsageError: its tokens lie on no known grid.
        """
        if self.grid is None:
            raise UsageError(f"the tokens of {self} lie on no known grid: name another layer")
        if len(self.shape) == 2:
            patches = activation[:, self.prefix_tokens :].mT
            rows, columns = _scaled_grid(self.grid, patches.shape[2])
            return patches.reshape(*patches.shape[:2], rows, columns)
        last = self.shape[:2] == self.grid != self.shape[1:]
        return activation.permute(0, 3, 1, 2) if last else activation


_FOUND: WeakKeyDictionary[Classifier, dict[Any, Any]] = WeakKeyDictionary()
P = ParamSpec("P")
T = TypeVar("T")


def _once(
    find: Callable[Concatenate[Classifier, P], T],
) -> Callable[Concatenate[Classifier, P], T]:
    """What is found of a classifier by a pass of its own is found once."""

    @wraps(find)
    def found(classifier: Classifier, /, *args: P.args, **kwargs: P.kwargs) -> T:
        kept = _FOUND.setdefault(classifier, {})
        key = find, args, *kwargs.items()
        if key not in kept:
            kept[key] = find(classifier, *args, **kwargs)
        return kept[key]

    return found


def find_layer(classifier: Classifier, name: str | None) -> Layer:
    """The layer of a name, of `last` or None, or of `strideN`, such as `stride16`.

    `last` is the `last_convolutional_layer`; `strideN` the last one with a row for each N rows of
    the input, to the nearest power of two.

    Raises:
        UsageError: there is none.
    """
    if name is None or name == LAST:
        return last_convolutional_layer(classifier)
    stride = re.fullmatch(r"stride(\d+)", name)
    if stride is None:
        return named_layer(classifier, name)
    height, layers = classifier.preprocessing.size[0], spatial_layers(classifier)
    strides = {2 ** round(log2(height / layer.grid[0])): layer for layer in layers if layer.grid}
    if int(stride[1]) not in strides:
        known = ", ".join(f"stride{one}" for one in sorted(strides))
        raise UsageError(
            f"layer={name}: {classifier.name} has no layer with a row for each {stride[1]} of the "
            f"input: use {known or 'the name of a layer'}"
        )
    return strides[int(stride[1])]


def scored_layer(classifier: Classifier, name: str | None) -> Layer:
    """`find_layer`, but by itself of the layers on which the score of a class depends in space.

    Raises:
        UsageError: there is none.
    """
    found = find_layer(classifier, name)
    chosen = name not in (None, LAST) or classifier.layer is not None
    if chosen or len(found.shape) != 2:
        return found
    alike = [
        one
        for one in spatial_layers(classifier)
        if one.shape == found.shape and not _is_projection(classifier.submodule(one.name))
    ]
    return next((one for one in reversed(alike) if scores_depend_on(classifier, one)), found)


def _is_projection(module: nn.Module) -> bool:
    """Whether it is a part of a block alone, as the values that its attention reads are."""
    return isinstance(module, nn.Linear)


@_once
def scores_depend_on(classifier: Classifier, layer: Layer) -> bool:
    """Whether the score of a class depends on any patch of a layer, tried on an image of noise."""
    seeded = torch.Generator().manual_seed(0)
    shape = classifier.preprocessing.blank().shape
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded)
    images = classifier.normalize(pixels)
    outputs = forward(classifier, images, layers=[layer.name], by="layers")
    (found,) = gradients(scalars_of(class_target((0,)), outputs), [outputs.at(layer.name)])
    return found is not None and bool(found[:, layer.prefix_tokens :].any())


def last_convolutional_layer(classifier: Classifier) -> Layer:
    """The layer that `classifier.layer` names, else the last convolutional one.

    Raises:
        UsageError: no layer of that name, or none with an extent in space.
    """
    if classifier.layer is not None:
        return named_layer(classifier, classifier.layer)
    layers = spatial_layers(classifier)
    if not layers:
        raise UsageError(f"{classifier.name} has no layer with an extent in space: give layer=NAME")
    return layers[-1]


@_once
def named_layer(classifier: Classifier, name: str) -> Layer:
    """The layer of this name.

    Raises:
        UsageError: none has it, or it has no extent in space; those that have are listed.
    """
    traced = _calls(classifier)
    calls = [call for call in traced if call.name == name]
    if not calls or not _is_spatial(calls[-1].output):
        usable = ", ".join(layer.name for layer in spatial_layers(classifier)[-8:])
        made = f" ({described(calls[-1].output)})" if calls else ""
        why = f"has no extent in space{made}" if calls else "is not a layer"
        raise UsageError(f"layer={name} {why} of {classifier.name}: use for instance {usable}")
    return _layer(calls[-1], _patches(traced), classifier.preprocessing.size)


@_once
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
    patches, size = _patches(before), classifier.preprocessing.size
    by_tensor: dict[int, list[Call]] = {}
    for call in before:
        by_tensor.setdefault(id(call.output), []).append(call)
    kept = [
        _layer(next(c for c in reversed(same) if not _passes(c.module)), patches, size)
        for same in by_tensor.values()
        if not _passes(same[0].module) and _is_spatial(same[0].output)
    ]
    tokens = [layer for layer in kept if len(layer.shape) == 2]
    return tuple(tokens or [layer for layer in kept if len(layer.shape) == 3])


def _calls(classifier: Classifier) -> list[Call]:
    return trace(classifier, classifier.normalize(classifier.preprocessing.blank()))


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


def _patches(calls: Sequence[Call]) -> Sequence[tuple[int, int]]:
    """Rows and columns that a transformer's patches may have: of its 4-D activations, last first.

    Bare patches are the first one, those behind a stem of convolutions the last of it.
    """
    shapes = [c.output.shape for c in calls if isinstance(c.output, Tensor) and c.output.dim() == 4]
    return [(shape[2], shape[3]) for shape in reversed(shapes)]


def _layer(call: Call, patches: Sequence[tuple[int, int]], size: tuple[int, int]) -> Layer:
    shape = tuple(call.output.shape[1:])
    if len(shape) == 3:
        return Layer(call.name, shape, grid=_rows_and_columns(shape, size))
    for rows, columns in (*patches, *chain.from_iterable(map(_merged, patches))):
        prefix = shape[0] - rows * columns
        if 0 <= prefix <= min(_MOST_PREFIX_TOKENS, rows * columns):
            return Layer(call.name, shape, prefix, (rows, columns))
    return Layer(call.name, shape)


def _merged(patches: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The grids where 2 x 2 patches become one, again and again, as in Swin."""
    rows, columns = patches
    while rows % 2 == columns % 2 == 0 and min(rows, columns) > 2:
        rows, columns = rows // 2, columns // 2
        yield rows, columns


def _rows_and_columns(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """Which two of three axes are rows and columns: the pair with the input's proportions.

    Channels come first where both could be.
    """
    height, width = size
    first, last = (shape[1], shape[2]), (shape[0], shape[1])
    return min((first, last), key=lambda g: abs(g[0] * width - g[1] * height) / max(g))


def _scaled_grid(grid: tuple[int, int], patches: int) -> tuple[int, int]:
    """Rows and columns of so many patches, in the proportions of a grid."""
    rows = round((patches * grid[0] / grid[1]) ** 0.5)
    if rows * (patches // rows) != patches:
        raise UsageError(f"{patches} patches do not lie on a grid of {grid[0]} x {grid[1]}")
    return rows, patches // rows
