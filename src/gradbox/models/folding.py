"""Batch norms folded into the convolutions before them: the same function in fewer passes.

In evaluation mode a batch norm multiplies and adds constants, which can stand in the convolution or
linear layer before it. Which pairs there are is seen in a pass that is run, not guessed from names.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True, eq=False)
class _Product:
    """A call of a convolution or of a linear layer, by torch's names."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Norm:
    """A call of a batch norm, by torch's names."""

    input: Tensor
    running_mean: Tensor
    running_var: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


@dataclass(frozen=True, eq=False)
class Fold:
    """A convolution and its batch norm: their names, and how they were called."""

    made: str
    norm: str
    product: _Product
    call: _Norm

    def fold(self, module: nn.Module) -> None:
        """Give the convolution of `module` the batch norm's constants, and take that away."""
        call, weight = self.call, self.product.weight.double()
        scale = (call.running_var.double() + call.eps).rsqrt()
        if call.weight is not None:
            scale = scale * call.weight
        before = (
            call.running_mean
            if self.product.bias is None
            else (call.running_mean - self.product.bias)
        )
        bias = -before * scale if call.bias is None else call.bias - before * scale
        values = {"weight": weight * scale.view(-1, *[1] * (weight.dim() - 1)), "bias": bias}
        made = module.get_submodule(self.made)
        for name, value in values.items():
            rounded = value.to(self.product.weight.dtype)
            setattr(made, name, nn.Parameter(rounded, requires_grad=False))
        rest = _without_norm(module.get_submodule(self.norm))
        assert rest is not None
        module.set_submodule(self.norm, rest)


class Watch(TorchFunctionMode):
    """Sees the products and the batch norms of a pass, and how often each tensor is used."""

    def __init__(self) -> None:
        super().__init__()
        self.products: dict[int, _Product] = {}  # by the id of what they returned
        self.norms: list[_Norm] = []
        self.uses: Counter[int] = Counter()
        self.kept: list[object] = []  # so that no id comes twice

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():  # others may be watching: this is no pass of theirs
            output = func(*args, **kwargs)
        if _asks_for_form(func, output):
            return output
        self.kept.append((args, kwargs, output))
        self.uses.update(map(id, tree_leaves((args, kwargs))))
        if func in _PRODUCTS:
            self.products[id(output)] = _product(*args, **kwargs)
        elif func is F.batch_norm:
            self.norms.append(_Norm(*args, **kwargs))
        return output


_PRODUCTS = frozenset({torch.conv1d, torch.conv2d, torch.conv3d, F.linear})


def _product(input: Tensor, weight: Tensor, bias: Tensor | None = None, *_: Any, **__: Any) -> Any:  # noqa: A002
    return _Product(input, weight, bias)


def _asks_for_form(func: Any, output: object) -> bool:
    """Whether a call asks for the shape of a tensor or the like, and not for its values."""
    asks = getattr(func, "__name__", "") in ("__get__", "__len__", "size", "dim")
    return asks and not isinstance(output, Tensor)


def is_norm(part: nn.Module) -> bool:
    """Whether it is a batch norm of any kind."""
    return isinstance(part, nn.modules.batchnorm._BatchNorm)


def folds(module: nn.Module, watch: Watch, outputs: Sequence[object]) -> Iterator[Fold]:
    """The batch norms that follow a convolution whose output nothing else uses."""
    parts = list(module.named_modules(remove_duplicate=False))
    made = _by_tensor(parts, "weight")
    norms = _by_tensor(parts, "running_mean")
    uses = watch.uses + Counter(map(id, outputs))
    for call in watch.norms:
        product = watch.products.get(id(call.input))
        if product is None or call.training or call.input.dim() != product.weight.dim():
            continue
        once = all(uses[id(one)] == 1 for one in (call.input, product.weight, call.running_mean))
        before, after = made.get(id(product.weight), []), norms.get(id(call.running_mean), [])
        if once and len(before) == len(after) == 1 and _is_free(module, *before, *after):
            yield Fold(before[0], after[0], product, call)


def _by_tensor(parts: Sequence[tuple[str, nn.Module]], kind: str) -> Mapping[int, list[str]]:
    """The names of the parts that own a tensor of this kind, by its id."""
    owners: dict[int, list[str]] = {}
    for name, part in parts:
        own = {**part._parameters, **part._buffers}.get(kind)
        if own is not None:
            owners.setdefault(id(own), []).append(name)
    return owners


def _is_free(module: nn.Module, made: str, norm: str) -> bool:
    """Whether nothing hangs on the two, and what the batch norm does besides is known."""
    both = [module.get_submodule(made), module.get_submodule(norm)]
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in both)
    return not hooked and _without_norm(both[1]) is not None


def _without_norm(part: nn.Module) -> nn.Module | None:
    """What is left of a batch norm: nothing, or in timm's what follows it; None if unknown."""
    if type(part) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return nn.Identity()
    follows = OrderedDict(part.named_children())
    if type(part).__name__ == "BatchNormAct2d" and list(follows) == ["drop", "act"]:
        return nn.Sequential(follows)
    return None
