"""Guided backpropagation (paper B, B2): every form of ReLU, against captum and by hand."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import networks
import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from torch import Tensor, nn

from gradbox.attribution.gradients import forward, input_gradient
from gradbox.attribution.targets import class_score
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier

Form = Callable[[Tensor], Tensor]


class ReLU6(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(x)


class Function(nn.Module):
    """A function in a module, as users write their own blocks."""

    def __init__(self, function: Form) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Clamped(torch.autograd.Function):
    """Second implementation of B2 with an upper limit of 6, one factor a line."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.minimum(torch.maximum(x, torch.zeros_like(x)), torch.full_like(x, 6.0))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        gradient = torch.where(x > 0, gradient, 0.0)
        gradient = torch.where(x < 6, gradient, 0.0)
        return torch.where(gradient > 0, gradient, 0.0)


RELUS: dict[str, Callable[[], nn.Module]] = {
    "nn.ReLU": nn.ReLU,
    "nn.ReLU in place": lambda: nn.ReLU(inplace=True),
    "F.relu": lambda: Function(F.relu),
    "F.relu in place": lambda: Function(lambda x: F.relu(x, inplace=True)),
    "F.relu_": lambda: Function(F.relu_),
    "torch.relu": lambda: Function(torch.relu),
    "torch.relu_": lambda: Function(torch.relu_),
    "Tensor.relu": lambda: Function(Tensor.relu),
    "Tensor.relu_": lambda: Function(Tensor.relu_),
    "clamp": lambda: Function(lambda x: x.clamp(min=0)),
    "clamp in place": lambda: Function(lambda x: x.clamp_(0)),
    "clamp_min": lambda: Function(lambda x: torch.clamp_min(x, 0)),
    "clip": lambda: Function(lambda x: torch.clip(x, min=0.0)),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Identity(), Function(F.relu))),
}
RELU6S: dict[str, Callable[[], nn.Module]] = {
    "nn.ReLU6": nn.ReLU6,
    "nn.ReLU6 in place": lambda: nn.ReLU6(inplace=True),
    "in a custom module": ReLU6,
    "F.relu6": lambda: Function(F.relu6),
    "F.hardtanh": lambda: Function(lambda x: F.hardtanh(x, 0.0, 6.0)),
    "F.hardtanh_": lambda: Function(lambda x: F.hardtanh_(x, 0.0, 6.0)),
    "clamp": lambda: Function(lambda x: x.clamp(0, 6)),
    "torch.clamp": lambda: Function(lambda x: torch.clamp(x, min=0, max=6)),
}


def two_convolutions(activation: nn.Module, scale: float = 1.0) -> nn.Module:
    """A network in which one activation module is used twice; `scale` makes values reach 6."""
    torch.manual_seed(3)
    first, second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 5, 3, padding=1)
    first.weight.data *= scale
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(first, activation, second, activation, pool, nn.Linear(20, 4))


def guided(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    return input_gradient(
        classifier, images, lambda out: class_score(out.logits, labels), rule="guided"
    )


def captums(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum says that it sets hooks
        return GuidedBackprop(module).attribute(images.clone().requires_grad_(), target=labels)


def test_a_small_network_by_hand():
    """Pixels (1, 2, 3) -> two hidden ReLUs of x1 - x2 + x3 = 2 and x1 + x2 - x3 = 0 -> 4 h1 + h2.

    One positive and one closed gate: the gradient is 4 * (1, -1, 1); the guided one is the same,
    for it cuts at ReLUs, not at the pixels. With the output -4 h1 + h2, what reaches h1 is negative
    and is cut: 0 where the plain gradient is (-4, 4, -4).
    """
    for weight, expected in ((4.0, [4.0, -4.0, 4.0]), (-4.0, [0.0, 0.0, 0.0])):
        hidden, out = nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False)
        hidden.weight.data = torch.tensor([[1.0, -1, 1], [1, 1, -1]])
        out.weight.data = torch.tensor([[weight, 1.0]])
        classifier = networks.classifier(nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), out))
        pixels = torch.tensor([1.0, 2, 3], dtype=torch.float64).view(1, 3, 1, 1)
        assert guided(classifier, pixels, torch.tensor([0])).flatten().tolist() == expected
        plain = input_gradient(classifier, pixels, lambda out: out.logits[:, 0])
        assert plain.flatten().tolist() == [weight, -weight, weight]


@pytest.mark.parametrize("name", RELUS)
def test_each_form_of_relu_gives_captums_answer_for_module_relus(name: str):
    classifier = networks.classifier(two_convolutions(RELUS[name]()))
    images = classifier.normalize(networks.pixels(3))
    labels = torch.tensor([0, 3, 2])
    twin = nn.Sequential(*two_convolutions(nn.Identity())).double()
    twin[1], twin[3] = nn.ReLU(), nn.ReLU()
    expected = captums(twin, images, labels)
    assert expected.any()
    torch.testing.assert_close(guided(classifier, images, labels), expected)


@pytest.mark.parametrize("name", RELU6S)
def test_each_form_of_relu6_closes_its_gate_at_both_ends(name: str):
    classifier = networks.classifier(two_convolutions(RELU6S[name](), scale=12.0))
    images = classifier.normalize(networks.pixels(3))
    labels = torch.tensor([0, 3, 2])
    twin = two_convolutions(Function(Clamped.apply), scale=12.0).double()
    assert (twin[:2](images) == 6).any()
    x = images.clone().requires_grad_()
    scores = twin(x).gather(1, labels[:, None])
    (expected,) = torch.autograd.grad(scores.sum(), x)
    torch.testing.assert_close(guided(classifier, images, labels), expected)


def test_a_clamp_that_is_no_relu_keeps_its_gradient():
    # By hand: a clamp from -1 to 1 passes gradients of both signs.
    net = nn.Sequential(Function(lambda x: x.clamp(-1, 1)), nn.ReLU(), nn.Flatten())
    classifier = networks.classifier(net)
    pixels = torch.tensor([0.5, 2.0, -0.5], dtype=torch.float64).view(1, 3, 1, 1)
    found = input_gradient(
        classifier, pixels, lambda out: out.logits[:, :2].sum(dim=1), rule="guided"
    )
    assert found.flatten().tolist() == [1, 0, 0]


def test_what_comes_after_may_write_into_the_output():
    # By hand: (x clamped to [0, 6]) / 6, as hard sigmoids are written in place.
    net = nn.Sequential(Function(lambda x: (x + 3).clamp_(0, 6).div_(6)), nn.Flatten())
    classifier = networks.classifier(net)
    pixels = torch.tensor([0.5, 4.0, -4.0], dtype=torch.float64).view(1, 3, 1, 1)
    found = input_gradient(classifier, pixels, lambda out: out.logits.sum(dim=1), rule="guided")
    assert found.flatten().tolist() == [1 / 6, 0, 0]


def test_the_forward_pass_and_the_network_stay_as_they_were():
    classifier = networks.classifier(faster=False)
    images = classifier.normalize(networks.pixels(2))
    before = classifier.module(images)
    kinds = [type(module) for module in classifier.module.modules()]
    assert (forward(classifier, images, rule="guided").logits == before).all()
    assert kinds == [type(module) for module in classifier.module.modules()]
    assert (classifier.module(images) == before).all()
    assert not any(module._forward_hooks for module in classifier.module.modules())


def test_a_network_without_relus_is_told_what_it_has():
    classifier = networks.classifier(two_convolutions(nn.GELU()))
    images = classifier.normalize(networks.pixels(1))
    with pytest.raises(UsageError, match=r"no ReLU.*its activations: GELU\): use rule=plain"):
        guided(classifier, images, torch.tensor([0]))


@pytest.mark.parametrize("card", ["squeezenet1_1", "mobilenet_edgetpu"])
def test_real_networks_with_module_relus_give_captums_answer(assets: Path, card: str):
    classifier = load_classifier(
        str(assets / "models" / f"{card}.toml"), device="cpu", dtype="float64"
    )
    assert_captums(classifier, copy.deepcopy(classifier.module))


def test_googlenets_functional_relus_give_captums_answer_for_modules(assets: Path):
    # Its every convolution stands before a ReLU; a second ReLU after a module one changes nothing.
    card = assets / "models" / "bvlc_googlenet.toml"
    classifier = load_classifier(str(card), device="cpu", dtype="float64")
    twin = copy.deepcopy(classifier.module)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(parent, name, nn.Sequential(child, nn.ReLU()))
    assert_captums(classifier, twin)


def assert_captums(classifier: Classifier, twin: nn.Module) -> None:
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    images = classifier.normalize(networks.pixels(1, classifier.preprocessing.size))
    labels = classifier.module(images).argmax(dim=1)
    expected = captums(twin, images, labels)
    assert expected.any()
    found = guided(classifier, images, labels)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 * expected.abs().max())
