"""The one derivative: the gradient of one scalar per image with regard to the network's input.

The only file that touches autograd and hooks. `forward` records what a target needs, `gradient`
differentiates it, `input_gradient` does both.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier
from gradbox.models.outputs import as_logits, check_outputs, described

Rule = Literal["plain", "guided"]
Hook = Callable[[nn.Module, Any, Any], Any]
"""What torch calls after a module, with its input and output: see `register_forward_hook`."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a forward pass left behind, differentiable with regard to `images`.

    `images` (b, 3, h, w) are the normalized input; `logits` (b, n_classes) is None where the head
    was not run; `activations` are the outputs of the layers asked for, by name, (b, c, h, w) or
    (b, tokens, c).
    """

    images: Float[Tensor, "b 3 h w"]
    logits: Float[Tensor, "b n_classes"] | None
    activations: Mapping[str, Tensor]


Target = Callable[[Outputs], Tensor]
"""Gives one scalar per image, (b,): what `input_gradient` differentiates."""


def input_gradient(
    classifier: Classifier,
    images: Float[Tensor, "b 3 h w"],
    target: Target,
    *,
    layers: Sequence[str] = (),
    head: bool = True,
    rule: Rule = "plain",
) -> Float[Tensor, "b 3 h w"]:
    """Attribution: the derivative of one scalar per image with regard to its normalized pixels.

    Paper A, A1 and A2, and paper B, B2, are this function with another target and rule.

    Args:
        classifier: the network; it is left as it was.
        images: normalized input, for instance `classifier.normalize(pixels)`.
        target: from the recorded outputs to one scalar per image (b,).
        layers: names of the layers whose activations the target reads.
        head: False stops the forward pass at the last of `layers`.
        rule: "plain", or "guided" for guided backpropagation at every ReLU.

    Raises:
        UsageError: an unknown layer, the guided rule for a network without ReLUs, or a target that
            is not one scalar per image.
    """
    outputs = forward(classifier, images, layers=layers, head=head, rule=rule)
    return gradient(scalars_of(target, outputs), outputs.images)


def forward(
    classifier: Classifier,
    images: Float[Tensor, "b 3 h w"],
    *,
    layers: Sequence[str] = (),
    head: bool = True,
    rule: Rule = "plain",
) -> Outputs:
    """One forward pass that records the outputs of `layers`; see `input_gradient`."""
    modules = {name: classifier.submodule(name) for name in layers}
    if not head and not modules:
        raise ValueError("head=False needs at least one layer to stop at")
    if modules or rule == "guided":
        refuse_scripts(classifier)
    activations: dict[str, Tensor] = {}

    def record(name: str) -> Hook:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            if name in activations:
                raise UsageError(
                    f"the layer {name!r} runs more than once a pass: name the block around it"
                )
            activations[name] = output
            if not head and len(activations) == len(modules):
                raise _Stop
            return output.clone()  # what follows may be in place

        return hook

    logits = None
    with differentiable(), ExitStack() as stack:
        x = images.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        for name, module in modules.items():
            stack.enter_context(_hooked(module, record(name)))
        guided = stack.enter_context(_GuidedReLUs()) if rule == "guided" else None
        with suppress(_Stop):
            logits = as_logits(classifier.module(x.clone()))  # its first layer may be in place
            check_outputs(classifier, logits, len(x))
    if guided is not None and guided.count == 0:
        raise UsageError(_no_relu(classifier))
    return Outputs(x, logits, activations)


def scalars_of(target: Target, outputs: Outputs) -> Float[Tensor, "b"]:
    """What the target makes of a forward pass.

    Raises:
        UsageError: it is not one scalar per image, or does not depend on the images.
    """
    with differentiable():
        scalars = target(outputs)
    count = len(outputs.images)
    if not isinstance(scalars, Tensor) or scalars.shape != (count,):
        raise UsageError(
            f"the target returned {described(scalars)}: it gives one number per image, here "
            f"({count},)"
        )
    if not scalars.requires_grad:
        raise UsageError("the target does not depend on the images: there is nothing to derive")
    return scalars


def gradient(
    scalars: Float[Tensor, "b"], of: Float[Tensor, "b ..."], *, keep: bool = False
) -> Float[Tensor, "b ..."]:
    """The derivative of each image's scalar with regard to its part of `of`.

    The images do not mix in the network, so one backward pass of the sum serves the whole batch.
    `keep` keeps the graph for another call. Half-precision gradients are scaled up on their way,
    so that small ones do not vanish, and come back as float32.
    """
    half = of.dtype in (torch.float16, torch.bfloat16)
    scale = 2.0**12 if of.dtype == torch.float16 else 1.0
    seed = torch.full_like(scalars, scale)
    with differentiable():
        (result,) = torch.autograd.grad(scalars, of, seed, retain_graph=keep)
    return result.float() / scale if half else result


@dataclass(frozen=True, eq=False)
class Call:
    """One module's turn in a forward pass: its name, itself, and what it returned."""

    name: str
    module: nn.Module
    output: Any


def trace(classifier: Classifier, images: Float[Tensor, "b 3 h w"]) -> list[Call]:
    """Every module call of one forward pass, in the order in which they end.

    Raises:
        UsageError: a part of the network is TorchScript.
    """
    refuse_scripts(classifier)
    calls: list[Call] = []
    with torch.no_grad(), ExitStack() as stack:
        for name, module in classifier.module.named_modules():

            def hook(module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                calls.append(Call(name, module, output))

            stack.enter_context(_hooked(module, hook))
        classifier.module(images)
    return calls


def refuse_scripts(classifier: Classifier) -> None:
    """Refuse TorchScript, which neither hooks nor swapped ReLUs reach into.

    Raises:
        UsageError: the network, or a part of it, is TorchScript.
    """
    for name, module in classifier.module.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            what = f"{name} of {classifier.name}" if name else classifier.name
            raise UsageError(
                f"{what} is TorchScript, whose layers and ReLUs cannot be looked into: wrap the "
                "Python module that it was made of, or use 'sensitivity' with a class"
            )


class _Stop(Exception):  # noqa: N818 - a signal, not an error
    """Ends a forward pass once every wanted layer has run."""


@contextmanager
def differentiable() -> Iterator[None]:
    """Computes with a graph, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def _hooked(module: nn.Module, hook: Hook) -> Iterator[None]:
    """With a forward hook that sees the passes of this thread alone: others may run the module."""
    thread = get_ident()

    def of_this_thread(module: nn.Module, inputs: Any, output: Any) -> Any:
        return hook(module, inputs, output) if get_ident() == thread else None

    handle = module.register_forward_hook(of_this_thread)
    try:
        yield
    finally:
        handle.remove()


def _no_relu(classifier: Classifier) -> str:
    kinds = {type(m).__name__ for m in classifier.module.modules() if not list(m.children())}
    others = sorted(k for k in kinds if k in nn.modules.activation.__all__)
    return (
        f"{classifier.name} has no ReLU, so guided backpropagation is not defined for it "
        f"(its activations: {', '.join(others) or 'none that gradbox knows'}): use rule=plain"
    )


class _GuidedReLU(torch.autograd.Function):
    """A ReLU with an upper limit whose backward pass is B2: D = R * (R > 0) * (0 < f < limit)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float, inplace: bool) -> Tensor:
        # The gate, not the output: what comes after a clamp may write into it. As the most that may
        # pass, 0 or all, so that the backward pass is a single clamp.
        ctx.save_for_backward(torch.zeros_like(x).masked_fill_((x > 0) & (x < limit), torch.inf))
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


class _GuidedReLUs(TorchFunctionMode):
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
