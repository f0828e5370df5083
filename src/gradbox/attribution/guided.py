"""Guided backpropagation (B2): every ReLU of a forward pass swapped for one with another gradient.

A ReLU called as a function escapes module hooks, so the calls are swapped, not the modules.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradbox.models.classifier import Classifier


class _GuidedReLU(torch.autograd.Function):
    """A ReLU with an upper limit whose backward pass is B2: D = R * (R > 0) * (0 < f < limit)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float, inplace: bool) -> Tensor:
        # The gate, not the output: what comes after a clamp may write into it. As the most that may
        # pass, 0 or all, so that the backward pass is a single clamp; made by the plain backward
        # pass of everything, one vectorized kernel.
        everything = x.new_full((), torch.inf).expand_as(x)
        ctx.save_for_backward(torch.ops.aten.hardtanh_backward(everything, x, 0.0, limit))
        if inplace:
            ctx.mark_dirty(x)
            return x.clamp_(0, limit)
        return x.clamp(0, limit)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (most,) = ctx.saved_tensors
        return grads[0].clamp(most.new_zeros(()), most), None, None


_Rectifier = tuple[Tensor, float, bool] | None
"""The (input, upper limit, in place) of a call that is a ReLU, None of one that is not."""


def _clamp(x: Tensor, low: Any, high: Any, inplace: bool) -> _Rectifier:
    if isinstance(low, Tensor) or isinstance(high, Tensor) or low != 0:
        return None
    return x, math.inf if high is None else float(high), inplace


def _relu(input: Tensor, inplace: bool = False) -> _Rectifier:  # noqa: A002 - torch's names
    return input, math.inf, inplace


def _relu_inplace(input: Tensor) -> _Rectifier:  # noqa: A002
    return input, math.inf, True


def _relu6(input: Tensor, inplace: bool = False) -> _Rectifier:  # noqa: A002
    return input, 6.0, inplace


def _hardtanh(
    input: Tensor,  # noqa: A002
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> _Rectifier:
    return _clamp(input, min_val, max_val, inplace)


def _clamped(input: Tensor, min: Any = None, max: Any = None) -> _Rectifier:  # noqa: A002
    return _clamp(input, min, max, inplace=False)


def _clamped_inplace(input: Tensor, min: Any = None, max: Any = None) -> _Rectifier:  # noqa: A002
    return _clamp(input, min, max, inplace=True)


_RECTIFIERS: Mapping[Any, Callable[..., _Rectifier]] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu), _relu),
    **dict.fromkeys((F.relu_, torch.relu_, Tensor.relu_), _relu_inplace),
    F.relu6: _relu6,
    F.hardtanh: _hardtanh,
    F.hardtanh_: partial(_hardtanh, inplace=True),
    **dict.fromkeys((torch.clamp, torch.clip, torch.clamp_min), _clamped),
    **dict.fromkeys((Tensor.clamp, Tensor.clip, Tensor.clamp_min), _clamped),
    **dict.fromkeys((torch.clamp_, torch.clip_, torch.clamp_min_), _clamped_inplace),
    **dict.fromkeys((Tensor.clamp_, Tensor.clip_, Tensor.clamp_min_), _clamped_inplace),
}


class GuidedReLUs(TorchFunctionMode):
    """Swaps every ReLU of a forward pass, module or functional, for `_GuidedReLU`; counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        rectifier = _RECTIFIERS[func](*args, **kwargs) if func in _RECTIFIERS else None
        if rectifier is None:
            return func(*args, **kwargs)
        self.count += 1
        return _GuidedReLU.apply(*rectifier)


def no_relu(classifier: Classifier) -> str:
    """What is said of a network without ReLUs."""
    kinds = {type(m).__name__ for m in classifier.module.modules() if not list(m.children())}
    others = sorted(k for k in kinds if k in nn.modules.activation.__all__)
    return (
        f"{classifier.name} has no ReLU, so guided backpropagation is not defined for it "
        f"(its activations: {', '.join(others) or 'none that gradbox knows'}): use rule=plain"
    )
