"""The private copy: what of the caller's module it takes along, and what is refused."""

import warnings
from collections.abc import Callable
from typing import Any

import networks
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune, spectral_norm

from gradbox.errors import UsageError
from gradbox.localization import Localization
from gradbox.methods import ready
from gradbox.models.classifier import Classifier

LOOKS_INSIDE = ["dam(kmax=2, k=1)", "sensitivity(target=layer_mean)", "peer(name=GuidedBackprop)"]


def boxes(method: str, classifier: Classifier) -> np.ndarray:
    """The main boxes (2, 4) of a method on two images of noise."""
    batch = networks.batch(networks.pixels(2))
    found = ready(method, None, classifier).localizer.localize(batch)
    assert all(isinstance(one, Localization) for one in found)
    return np.stack([one.boxes[0] for one in found])


class Recorder:
    """A user's object to hook in, which cannot be copied."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_args: object) -> None:
        self.calls += 1

    def __deepcopy__(self, _memo: object) -> "Recorder":
        raise TypeError("cannot be copied")


@pytest.mark.parametrize("method", ["sensitivity", *LOOKS_INSIDE])
def test_hooks_of_the_caller_neither_run_nor_get_lost(method: str):
    net, seen = networks.network(), Recorder()
    net.features[0].register_forward_hook(seen)
    net.features[3].register_forward_pre_hook(seen.__call__, with_kwargs=True)
    net.head.register_forward_hook(lambda *_args: seen(), always_call=True)
    net.head.register_full_backward_hook(seen)
    net.head.register_full_backward_pre_hook(seen)
    boxes(method, networks.classifier(net))
    assert seen.calls == 0
    net(torch.rand(1, 3, 14, 10)).sum().backward()
    assert seen.calls == 5  # its own pass runs them all


class Doubling(nn.Module):
    """A network whose own hook is a part of it: the output of its first layer is doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.calls = networks.network(), 0
        self.net.features[0].register_forward_hook(self.double, with_kwargs=True)

    def double(self, _module: nn.Module, _args: Any, _kwargs: Any, output: Tensor) -> Tensor:
        self.calls += 1
        return 2 * output

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def test_a_hook_that_is_the_networks_own_stays_and_belongs_to_the_copy():
    net = Doubling()
    classifier = networks.classifier(net, dtype="float32")
    x = classifier.normalize(networks.pixels(2))
    expected = net(x)
    assert torch.equal(classifier.module(x), expected)
    assert (net.calls, classifier.module.calls) == (1, 1)


def normed(net: nn.Sequential) -> None:
    """Spectral norm whose weight is another by now: the hook makes it anew."""
    spectral_norm(net.features[3])
    net.features[3].weight_orig.data *= 3
    net.features[3].weight_orig.data[0] += 1


def pruned(net: nn.Sequential) -> None:
    """A pruned layer, used without gradients, then changed."""
    prune.l1_unstructured(net.features[3], "weight", amount=0.5)
    with torch.no_grad():
        net(torch.rand(1, 3, 14, 10))
    net.features[3].weight_orig.data *= -2


@pytest.mark.parametrize("change", [normed, pruned])
def test_hooks_by_which_torch_makes_weights_stay(change: Callable[[nn.Sequential], None]):
    net = networks.network()
    change(net)
    classifier = networks.classifier(net, dtype="float32")
    x = classifier.normalize(networks.pixels(2))
    assert torch.equal(classifier.module(x), net.eval()(x))


def compiled_inside(net: nn.Sequential) -> nn.Module:
    net.features = torch.compile(net.features, backend="eager")
    return net


def compiled_in_place(net: nn.Sequential) -> nn.Module:
    net.compile(backend="eager")
    return net


COMPILED = [lambda net: torch.compile(net, backend="eager"), compiled_inside, compiled_in_place]


@pytest.mark.parametrize("compiled", COMPILED, ids=["outside", "inside", "in place"])
@pytest.mark.parametrize("method", ["sensitivity", *LOOKS_INSIDE])
def test_a_compiled_module_is_the_module_inside(
    method: str, compiled: Callable[[nn.Sequential], nn.Module]
):
    plain, other = networks.network(), compiled(networks.network())
    plain, other = networks.classifier(plain), networks.classifier(other)
    assert other.weights_hash == plain.weights_hash
    assert boxes(method, other).tolist() == boxes(method, plain).tolist()


def scripted(part: str | None) -> nn.Module:
    """The network, or one part of it, as TorchScript."""
    net = networks.network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript itself is deprecated
        if part is None:
            return torch.jit.script(net)
        setattr(net, part, torch.jit.script(getattr(net, part)))
    return net


@pytest.mark.parametrize("part", [None, "features"])
def test_torchscript_has_a_class_map_and_is_refused_where_it_is_looked_into(part: str | None):
    net = scripted(part)
    before = [(p.data_ptr(), p.requires_grad, p.dtype) for p in net.parameters()]
    classifier, plain = networks.classifier(net), networks.classifier(networks.network())
    assert not any(p.requires_grad for p in classifier.module.parameters())
    assert boxes("sensitivity", classifier) == pytest.approx(boxes("sensitivity", plain))
    for method in LOOKS_INSIDE:
        with pytest.raises(UsageError, match=r"is TorchScript, .*: wrap the Python module"):
            boxes(method, classifier)
    assert [(p.data_ptr(), p.requires_grad, p.dtype) for p in net.parameters()] == before


def test_a_lazy_module_is_refused_until_it_has_run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lazy modules call themselves new
        net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    with pytest.raises(UsageError, match=r"0\.weight has no shape yet.*run the module once"):
        networks.classifier(net)
    net(torch.rand(1, 3, *networks.SIZE))
    assert boxes("dam(kmax=2, k=1)", networks.classifier(net)).shape == (2, 4)
