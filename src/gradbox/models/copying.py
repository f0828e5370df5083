"""The private copy of a caller's module: the same tensors, none of the caller's hooks or flags."""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from gradbox.errors import UsageError

_HOOKS = frozenset(
    {
        "_forward_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_backward_hooks",
        "_backward_pre_hooks",
    }
)
_MAKES_WEIGHTS = (WeightNorm, SpectralNorm, BasePruningMethod)
"""What torch itself hooks in: without it a layer computes something else."""


def private_copy(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares the tensors, but neither flags nor foreign hooks.

    Hooks stay where they are part of the network: a method of one of its modules, or torch's own
    that makes a weight. Of what `torch.compile` has wrapped the module inside is taken, so that
    names and layers are those of the network itself.

    Raises:
        UsageError: a module that does not copy, or whose parameters have no shape yet.
    """
    _refuse_lazy(module)
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(_shared(parameter), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = _shared(buffer)
    parts = list(module.modules())
    hooks = [kept for part in parts for name, kept in vars(part).items() if name in _HOOKS]
    memo.update((id(kept), OrderedDict()) for kept in hooks)
    own = {key for kept in hooks for key, hook in kept.items() if _is_own(hook, parts)}
    try:
        with torch.no_grad():  # TorchScript copies its tensors as it computes
            for part in reversed(parts):  # the inner ones first
                inside = getattr(part, "_orig_mod", None)  # where torch.compile keeps it
                if isinstance(inside, nn.Module):
                    memo[id(part)] = copy.deepcopy(inside, memo)
            copied: nn.Module = copy.deepcopy(module, memo)
            for kept in hooks:
                memo[id(kept)].update(copy.deepcopy({k: kept[k] for k in kept if k in own}, memo))
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"the module cannot be copied ({error}); gradbox works on a copy so that yours stays "
            "as it is: remove old-style weight norm, locks and other things that do not copy"
        ) from error
    return copied.eval()


def _refuse_lazy(module: nn.Module) -> None:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    if lazy := [name for name, tensor in tensors if is_lazy(tensor)]:
        raise UsageError(
            f"{lazy[0]} has no shape yet: it gets one when a lazy module runs; run the module once "
            "on an image, then wrap it"
        )


def _is_own(hook: object, parts: list[nn.Module]) -> bool:
    owner = getattr(hook, "__self__", None)
    return isinstance(hook, _MAKES_WEIGHTS) or any(owner is part for part in parts)


def _shared(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.is_inference() else tensor.detach()
