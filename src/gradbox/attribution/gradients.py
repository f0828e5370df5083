"""The one derivative: the gradient of one scalar per image with regard to the network's input.

The only file that touches autograd and hooks (`guided.py` has the other rule for ReLUs). `forward`
records what a target needs, `gradients` differentiates it, `input_gradient` does both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import get_ident
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradbox.attribution.guided import GuidedReLUs, no_relu
from gradbox.errors import UsageError
from gradbox.models.black_box import refuse_black_box
from gradbox.models.classifier import Classifier
from gradbox.models.heads import SOFTMAX, Head
from gradbox.models.outputs import described
from gradbox.models.trying import logits_of

INPUT = ""
"""The place of the images, beside the names of layers: what torch calls the network itself."""
Rule = Literal["plain", "guided"]
By = Literal["pixels", "layers", "nothing"]
"""What a forward pass will be derived by; see `forward`."""
Hook = Callable[[nn.Module, Any, Any], Any]
"""What torch calls after a module, with its input and output: see `register_forward_hook`."""

Replacement = Callable[[Tensor], Tensor]
"""From the output of a layer to what the layers after it see."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a forward pass left behind, differentiable with regard to its places.

    `images` (b, c, h, w) are the normalized input; `logits` (b, n_classes) is None where the head
    was not run, or where the outputs are no classes; `activations` are the outputs of the layers
    asked for, by name, (b, c, h, w) or (b, tokens, c); `head` says what logits mean; `output` is
    what the network itself returned, None where its head was not run.
    """

    images: Float[Tensor, "b c h w"]
    logits: Float[Tensor, "b n_classes"] | None
    activations: Mapping[str, Tensor]
    head: Head = SOFTMAX
    output: Any = None

    @property
    def probabilities(self) -> Float[Tensor, "b n_classes"] | None:
        """Those of the classes, by the softmax or the sigmoid of the classifier's head."""
        return None if self.logits is None else self.head.probabilities(self.logits)

    def at(self, place: str) -> Float[Tensor, "b ..."]:
        """The activation of a layer by its name, or the images at `INPUT`."""
        return self.images if place == INPUT else self.activations[place]


Target = Callable[[Outputs], Tensor]
"""Gives one scalar per image, (b,): what `input_gradient` differentiates."""


def input_gradient(
    classifier: Classifier,
    images: Float[Tensor, "b c h w"],
    target: Target,
    *,
    layers: Sequence[str] = (),
    head: bool = True,
    rule: Rule = "plain",
) -> Float[Tensor, "b c h w"]:
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
    images: Float[Tensor, "b c h w"],
    *,
    layers: Sequence[str] = (),
    head: bool = True,
    rule: Rule = "plain",
    by: By = "pixels",
) -> Outputs:
    """One forward pass that records the outputs of `layers`; see `input_gradient`.

    `by` says what will be derived by. By `layers` alone the graph starts there, so that what comes
    before costs no more than a bare pass; by `nothing` there is none, and a black box will do.

    Raises:
        UsageError: as `input_gradient`, or a black box where more than its logits is wanted.
    """
    if by != "nothing":
        refuse_black_box(classifier.module, classifier.name)
    for name in layers:
        classifier.submodule(name)  # which offers the nearest names
    whole = not layers and rule == "plain"
    network = classifier.runner.network(layers, whole=whole)
    modules = {name: network.get_submodule(name) for name in layers}
    if not head and not modules:
        raise ValueError("head=False needs at least one layer to stop at")
    if modules or rule == "guided":
        refuse_scripts(classifier)
    activations: dict[str, Tensor] = {}

    def record(name: str) -> Hook:
        def hook(_module: nn.Module, _inputs: Any, returned: Any) -> Any:
            output, rest = _first(returned)
            if name in activations:
                raise UsageError(
                    f"the layer {name!r} runs more than once a pass: name the block around it"
                )
            if by == "layers" and not output.requires_grad:
                output = output.detach().requires_grad_()  # the graph starts here
            activations[name] = output
            if not head and len(activations) == len(modules):
                raise _Stop
            copied = output.clone()  # what follows may be in place
            return (copied, *rest) if isinstance(returned, tuple) else copied

        return hook

    output = logits = None
    with differentiable() if by != "nothing" else torch.no_grad(), ExitStack() as stack:
        x = images.detach().clone(memory_format=torch.preserve_format)
        x.requires_grad_(by == "pixels")
        for name, module in modules.items():
            stack.enter_context(_hooked(module, record(name)))
        guided = stack.enter_context(GuidedReLUs()) if rule == "guided" else None
        with suppress(_Stop):
            output = network(x.clone())  # its first layer may be in place
            if classifier.has_classes:
                logits = logits_of(classifier, output, len(x))
    if guided is not None and guided.count == 0:
        raise UsageError(no_relu(classifier))
    return Outputs(x, logits, activations, classifier.head, output)


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
    """The derivative of each image's scalar with regard to its part of `of`; see `gradients`.

    Raises:
        UsageError: the scalars do not depend on it.
    """
    (found,) = gradients(scalars, [of], keep=keep)
    if found is None:
        raise UsageError("the target does not depend on the layer: there is nothing to derive")
    return found


def gradients(
    scalars: Float[Tensor, "b"], of: Sequence[Tensor], *, keep: bool = False
) -> list[Tensor | None]:
    """The derivative of each image's scalar with regard to its part of each tensor, in one pass.

    The images do not mix in the network, so one backward pass of the sum serves the whole batch.
    None stands where the scalars do not depend on a tensor. `keep` keeps the graph for another
    call. Half-precision gradients are scaled up on their way, so that small ones do not vanish, and
    come back as float32.
    """
    scale = 2.0**12 if scalars.dtype == torch.float16 else 1.0
    seed = torch.full_like(scalars, scale)
    with differentiable():
        found = torch.autograd.grad(scalars, of, seed, retain_graph=keep, allow_unused=True)
    return [one if one is None else _in_full(one, scale) for one in found]


def _in_full(derivative: Tensor, scale: float) -> Tensor:
    half = derivative.dtype in (torch.float16, torch.bfloat16)
    return derivative.float() / scale if half else derivative


@dataclass(frozen=True, eq=False)
class Call:
    """One module's turn in a forward pass: its name, itself, and what it returned.

    Of a tuple it is the first: blocks of transformers may return more beside their activation.
    """

    name: str
    module: nn.Module
    output: Any


def trace(classifier: Classifier, images: Float[Tensor, "b c h w"]) -> list[Call]:
    """Every module call of one forward pass, in the order in which they end.

    Raises:
        UsageError: the network is a black box, or a part of it is TorchScript.
    """
    refuse_black_box(classifier.module, classifier.name)
    refuse_scripts(classifier)
    calls: list[Call] = []
    with torch.no_grad(), ExitStack() as stack:
        for name, module in classifier.module.named_modules():

            def hook(module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                calls.append(Call(name, module, _first(output)[0]))

            stack.enter_context(_hooked(module, hook))
        classifier.module(images)
    return calls


def run_with(
    classifier: Classifier, images: Float[Tensor, "b c h w"], replaced: Mapping[str, Replacement]
) -> Any:
    """What the network returns where the outputs of some layers are replaced on their way.

    There is no graph. The layers have another size, or number of images, from there on.
    """
    network = classifier.runner.network(list(replaced), whole=not replaced)
    with torch.inference_mode(), ExitStack() as stack:
        for name, replacement in replaced.items():

            def hook(
                _module: nn.Module, _inputs: Any, output: Any, by: Replacement = replacement
            ) -> Any:
                return by(output)

            stack.enter_context(_hooked(network.get_submodule(name), hook))
        return network(images)


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


def _first(output: Any) -> tuple[Any, tuple[Any, ...]]:
    """What a module returned, of a tuple its first, and the others."""
    if isinstance(output, tuple) and output:
        return output[0], output[1:]
    return output, ()


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
