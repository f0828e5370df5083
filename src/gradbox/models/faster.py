"""A network made faster: the same function, above all where it is differentiated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gradbox.models.copying import private_copy
from gradbox.models.folding import Watch, folds, is_norm

_TOLERANCE = 1e-3
"""The most that an output may change, as a share of the largest: rounding is far below."""


@dataclass(frozen=True, eq=False)
class Faster:
    """A network that computes the same; all parts keep their names.

    Without the batch norms of `folded`: names of a convolution and its batch norm. Such a
    convolution returns what its batch norm returned.
    """

    module: nn.Module
    folded: Sequence[tuple[str, str]] = ()

    def shows(self, layer: str) -> bool:
        """Whether the part of this name returns what it returned before."""
        return not any(
            _is_in(layer, made) and not _is_in(layer, norm) for made, norm in self.folded
        )


class WholeProducts(nn.MultiheadAttention):
    """Attention whose tokens lie in one block of memory where it is differentiated.

    Else, with the images first, torch multiplies the weights with each token by itself.
    """

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `nn.MultiheadAttention`."""
        if query is key is value and self.batch_first and query.dim() == 3 and query.requires_grad:
            query = key = value = query.transpose(0, 1).contiguous().transpose(0, 1)
        return super().forward(query, key, value, *args, **kwargs)


def _copying_nothing(kind: type[nn.Module], function: Callable[..., Tensor]) -> type[nn.Module]:
    """An activation that writes into its input, if it may, only where nothing is derived.

    Its derivative is made of its input, so that in place torch would copy that first.
    """

    def forward(_self: nn.Module, x: Tensor) -> Tensor:
        return function(x, inplace=not x.requires_grad)

    return type(f"CopyingNothing{kind.__name__}", (kind,), {"forward": forward})


_OF_THEIR_INPUT: Mapping[type[nn.Module], Callable[..., Tensor]] = {
    nn.ReLU6: F.relu6,
    nn.Hardswish: F.hardswish,
    nn.Hardsigmoid: F.hardsigmoid,
    nn.SiLU: F.silu,
    nn.Mish: F.mish,
}
_COPYING_NOTHING = {kind: _copying_nothing(kind, f) for kind, f in _OF_THEIR_INPUT.items()}


def faster(module: nn.Module, example: Callable[[], Tensor]) -> Faster:
    """A faster copy, or the module itself where there is none or its outputs are not the same.

    Batch norms are folded, attention multiplies whole matrices, and no activation copies what it
    then writes into. The module, in evaluation mode, stays as it is, and shares its other tensors;
    it is run once on an example (b, c, h, w), and so is the copy. Give it in float32 or float64: in
    half precision what is folded would be rounded twice.
    """
    if not any(is_norm(part) or _faster_kind(part) for part in module.modules()):
        return Faster(module)
    try:
        with torch.no_grad():
            images = example()
            with Watch() as watch:
                expected = tree_leaves(module(images.clone()))
            copied, pairs = private_copy(module), list(folds(module, watch, expected))
            for pair in pairs:
                pair.fold(copied)
            changed = [(part, kind) for part in copied.modules() if (kind := _faster_kind(part))]
            for part, kind in changed:
                part.__class__ = kind
            with torch._C.DisableTorchFunction():
                found = tree_leaves(copied(images.clone()))
    except Exception:  # of any type: it is the network's own code
        return Faster(module)
    if not pairs and not changed:
        return Faster(module)
    same = len(found) == len(expected) and all(map(_alike, found, expected))
    return Faster(copied, [(pair.made, pair.norm) for pair in pairs]) if same else Faster(module)


def _faster_kind(part: nn.Module) -> type[nn.Module] | None:
    """The class that does the same in less time, None where there is none."""
    if type(part) is nn.MultiheadAttention:
        return WholeProducts
    return _COPYING_NOTHING.get(type(part)) if getattr(part, "inplace", False) else None


def _is_in(layer: str, name: str) -> bool:
    """Whether a part is a layer, or stands in it."""
    return f"{name}.".startswith(f"{layer}.")


def _alike(found: object, expected: object) -> bool:
    if not isinstance(found, Tensor) or not isinstance(expected, Tensor):
        return bool(found == expected)
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())
