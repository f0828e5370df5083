"""The model is left as it was found, whatever the method, the mode of the caller or the error."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import networks
import pytest
import torch
from examples import examples
from torch import nn

from gradbox.attribution.gradients import Outputs
from gradbox.attribution.localizer import MapLocalizer
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.estimators.untrained import Mass
from gradbox.methods import METHODS, ready

SIZE = (32, 32)
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)


def keep(*_args: object) -> None:
    """A user's hook that changes nothing."""


def used_network(extra: nn.Module | None = None) -> nn.Sequential:
    """A network in the middle of training: gradients, a frozen layer, hooks, training flags."""
    net = networks.network().train()
    net(torch.rand(4, 3, *SIZE)).sum().backward()
    net.features[0].requires_grad_(False)
    net.features[1].eval()
    net.features[3].register_forward_hook(keep)
    net.features[3].register_forward_pre_hook(keep)
    net.head.register_full_backward_hook(keep)
    net.head.register_full_backward_pre_hook(keep)
    if extra is not None:
        net.insert(5, extra)
    return net


def state_of(net: nn.Module) -> dict[str, object]:
    """All that a careless program could change, of the module and of torch, comparable by ==."""
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    gradients = {name: p.grad for name, p in net.named_parameters()}
    cudnn = torch.backends.cudnn
    return {
        "values": {name: t.detach().numpy().tobytes() for name, t in tensors.items()},
        "places": {name: (t.data_ptr(), id(t), t._version) for name, t in tensors.items()},
        "grad": {n: None if g is None else g.numpy().tobytes() for n, g in gradients.items()},
        "requires_grad": {name: t.requires_grad for name, t in tensors.items()},
        "training": {name: m.training for name, m in net.named_modules()},
        "hooks": {
            (name, kind): list(getattr(m, kind).items())
            for name, m in net.named_modules()
            for kind in HOOKS
        },
        "attributes": {name: sorted(vars(m)) for name, m in net.named_modules()},
        "cudnn": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "dtype": torch.get_default_dtype(),
        "random": torch.get_rng_state().numpy().tobytes(),
        "functions": torch.overrides._is_torch_function_mode_enabled(),
    }


def check(net: nn.Module, run: Callable[[], object]) -> None:
    before = state_of(net)
    run()
    after = state_of(net)
    assert {key for key in before if before[key] != after[key]} == set()


METHOD_TEXTS = [
    *examples(METHODS),
    "sensitivity(target=layer_mean)",
    "sensitivity(score=probability)",
]


@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", METHOD_TEXTS)
def test_every_method_leaves_the_module_and_torchs_settings(
    method: str, mode: Callable[[], AbstractContextManager[object]]
):
    net = used_network()
    batch = networks.batch(networks.pixels(3, SIZE), labels=[(0,), (1, 2), None])

    def run() -> None:
        classifier = networks.classifier(net, dtype="float32", size=SIZE)
        found = ready(method, None, classifier).localizer.localize(batch, details=True)
        assert len(found) == 3
        assert state_of(classifier.module)["hooks"] == hooks_of_a_copy

    hooks_of_a_copy = state_of(networks.classifier(net, dtype="float32").module)["hooks"]
    with mode():
        check(net, run)


@pytest.mark.parametrize("method", METHOD_TEXTS)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_layer_that_raises_leaves_the_module_too(method: str, error: type[BaseException]):
    extra = networks.RaisingAtWork(error)
    net = used_network(extra)

    def run() -> None:
        classifier = networks.classifier(net, dtype="float32", size=SIZE, layer="features")
        localizer = ready(method, None, classifier).localizer
        with pytest.raises(error, match="was run"):
            localizer.localize(
                networks.batch(networks.pixels(5, SIZE), labels=[(0,), (1,)] * 2 + [(2,)])
            )
        assert not any(hook.__module__.startswith("gradbox") for hook in hooks(classifier.module))

    check(net, run)


def hooks(net: nn.Module) -> list[Callable[..., object]]:
    return [hook for m in net.modules() for kind in HOOKS for hook in getattr(m, kind).values()]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_target_that_raises_leaves_the_module_too(error: type[BaseException]):
    def target(_outputs: Outputs) -> torch.Tensor:
        raise error("from the target")

    net = used_network()

    def run() -> None:
        classifier = networks.classifier(net, dtype="float32", size=SIZE)
        maps = Sensitivity(target=target, layer="features").maps(classifier)
        with pytest.raises(error, match="from the target"):
            MapLocalizer(maps, Mass()).localize(networks.batch(networks.pixels(2, SIZE)))

    check(net, run)


def test_maps_are_those_of_evaluation_mode_though_the_module_trains():
    # Dropout and the batch's own statistics would make them random and dependent on the batch.
    training, evaluating = used_network(), used_network().eval()
    batch = networks.batch(networks.pixels(3, SIZE), labels=[(0,)] * 3)
    maps = [
        Sensitivity().maps(networks.classifier(net, size=SIZE)).maps(batch)
        for net in (training, evaluating)
    ]
    for one, other in zip(*maps, strict=True):
        assert (one[0].heatmap == other[0].heatmap).all()
