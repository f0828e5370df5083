"""Batch norms folded away: the network as it was loaded is the reference, in float64."""

import copy
from collections.abc import Callable

import networks
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradbox.attribution.gradients import forward, input_gradient
from gradbox.attribution.guided import GuidedReLUs
from gradbox.models.classifier import Classifier
from gradbox.models.faster import Faster, faster
from gradbox.models.load import load_classifier


class Function(nn.Module):
    """A network of a convolution, a batch norm and a function of (itself, images)."""

    def __init__(self, function: Callable[["Function", Tensor], object]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


def of_parts(*parts: nn.Module) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(*parts)


def ready(net: nn.Module) -> nn.Module:
    """In evaluation mode and float64, with statistics that are not the default ones."""
    torch.manual_seed(3)
    for part in net.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats:
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 1.5)
            if part.affine:
                nn.init.uniform_(part.weight, -1.0, 1.0)
                nn.init.uniform_(part.bias)
    return net.double().eval()


def images(channels: int = 3) -> Tensor:
    return torch.rand(2, channels, 6, 5, dtype=torch.float64, generator=torch.manual_seed(4))


def folded(net: nn.Module) -> Faster:
    return faster(net, images)


FOLDS = {
    "with a bias": of_parts(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "without a bias": of_parts(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)),
    "without scale and shift": of_parts(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)),
    "in groups": of_parts(nn.Conv2d(3, 6, 3, groups=3, stride=2), nn.BatchNorm2d(6)),
    "padded by reflection": of_parts(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4)
    ),
    "in one dimension": of_parts(nn.Flatten(2), nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)),
    "in three dimensions": of_parts(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4)),
    "linear": of_parts(nn.Flatten(), nn.Linear(90, 4), nn.BatchNorm1d(4)),
    "called from a function": Function(lambda net, x: F.relu_(net.norm(net.conv(x)))),
    "its shape is read": Function(lambda net, x: net.norm(y := net.conv(x)).view(len(y), -1)),
}


@pytest.mark.parametrize("kind", FOLDS)
def test_a_batch_norm_after_a_convolution_is_folded_and_the_outputs_stay(kind: str):
    net = ready(FOLDS[kind])
    before = copy.deepcopy(net.state_dict())
    found = folded(net)
    assert len(found.folded) == 1
    assert isinstance(found.module.get_submodule(found.folded[0][1]), nn.Identity)
    assert torch.allclose(found.module(images()), net(images()), rtol=1e-12, atol=1e-12)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert any("BatchNorm" in type(part).__name__ for part in net.modules())


SHARED = nn.Conv2d(3, 3, 3, padding=1)
STAYS = {
    "used twice": Function(lambda net, x: net.norm(y := net.conv(x)) + y),
    "changed in place": Function(lambda net, x: net.norm(net.conv(x).relu_())),
    "returned, too": Function(lambda net, x: (net.norm(y := net.conv(x)), y)),
    "in a view": Function(lambda net, x: net.norm(net.conv(x)[:])),
    "run twice": Function(lambda net, x: net.norm(net.conv(net.conv(x)))),
    "one norm for two": Function(lambda net, x: net.norm(net.conv(x)) + net.norm(x)),
    "statistics of the batch": of_parts(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)
    ),
    "under two names": nn.Sequential(nn.Sequential(SHARED, nn.BatchNorm2d(3)), SHARED),
    "a tensor of another rank": of_parts(
        nn.Unflatten(1, (3, 1)), nn.Flatten(2), nn.Linear(30, 4), nn.BatchNorm1d(3)
    ),
    "the norm first": of_parts(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
    "a weight made anew": of_parts(
        torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)
    ),
}


@pytest.mark.parametrize("kind", STAYS)
def test_what_else_depends_on_the_convolution_keeps_the_batch_norm(kind: str):
    net = ready(STAYS[kind])
    found = folded(net)
    assert found.module is net
    assert not found.folded


def test_a_network_that_is_not_the_same_folded_is_left_as_it_is():
    # The weight's mean is used outside of the convolution: only the outputs show it.
    net = ready(Function(lambda net, x: net.norm(net.conv(x)) + net.conv.bias.mean()))
    assert folded(net).module is net


@pytest.mark.parametrize("error", [RuntimeError, TypeError])
def test_a_network_that_does_not_run_on_noise_is_left_as_it_is(error: type[Exception]):
    def fail(_net: nn.Module, _x: Tensor) -> Tensor:
        raise error("only photographs")

    net = ready(Function(fail))
    assert folded(net).module is net


def test_a_half_precision_network_is_folded_before_it_is_rounded():
    # Rounding the product once is the nearest bfloat16 of the exact product.
    net = networks.network()
    exact = faster(copy.deepcopy(net).double(), images).module.features[0].weight
    half = networks.classifier(net, dtype="bfloat16").runner.network().features[0].weight
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, exact.float().bfloat16())


LAYERS = ["features.0", "features.1", "features.2", "features", "head"]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rule", ["plain", "guided"])
def test_every_layer_shows_what_it_showed_before(layer: str, rule: str):
    plain, fast = (networks.classifier(faster=one) for one in (False, True))
    seen = plain.normalize(networks.pixels(2))
    expected, found = (
        forward(one, seen, layers=[layer], rule=rule).activations[layer] for one in (plain, fast)
    )
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    unfolded = fast.runner.network([layer]) is fast.module
    assert unfolded == (layer == "features.0")  # the convolution before its batch norm


def test_hash_and_parts_are_those_of_the_network_as_loaded():
    plain, fast = (networks.classifier(faster=one) for one in (False, True))
    fast.runner.network()
    assert fast.weights_hash == plain.weights_hash
    assert isinstance(fast.module.features[1], nn.BatchNorm2d)
    names = [name for name, _ in fast.module.named_modules()]
    assert [name for name, _ in fast.runner.network().named_modules()] == names


ARCHITECTURES = {
    "torchvision/mobilenet_v2": 52,
    "torchvision/resnet18": 20,
    "torchvision/googlenet": 57,  # the other two are in heads that evaluation leaves out
    "torchvision/densenet121": 59,  # most norms stand before their convolution
    "timm/tf_efficientnet_lite0": 49,  # timm's norms with their activation
    "timm/regnety_002": 44,
}


def gradient(classifier: Classifier) -> Tensor:
    seen = torch.rand(1, 3, 64, 64, dtype=torch.float64, generator=torch.manual_seed(7))
    return input_gradient(classifier, seen, lambda out: out.logits[:, 0])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_gradients_of_known_networks_are_those_of_the_networks_as_loaded(name: str):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    torch.manual_seed(5)
    fast = load_classifier(name, weights="untrained", device="cpu", dtype="float64")
    ready(fast.module)
    plain = Classifier.wrap(fast.module, device="cpu", dtype="float64", faster=False)
    assert len(fast.runner._faster.folded) == ARCHITECTURES[name]
    assert torch.allclose(gradient(fast), gradient(plain), rtol=1e-6, atol=1e-12)


def test_attention_of_torch_gives_the_same_in_one_block():
    torch.manual_seed(6)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 2, 2), nn.Flatten(2), Tokens(), layer, nn.Flatten(), nn.LazyLinear(3)
    )
    net.double()(images())
    fast = networks.classifier(net, size=(6, 5))
    names = {type(part).__name__ for part in fast.runner.network().modules()}
    assert "WholeProducts" in names
    seen = images()

    def of(module: nn.Module) -> Tensor:
        x = seen.clone().requires_grad_()
        return torch.autograd.grad(module(x)[:, 0].sum(), x)[0]

    assert torch.allclose(of(fast.runner.network()), of(fast.module), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.Mish])
def test_an_activation_in_place_is_copied_by_nobody(kind: type[nn.Module]):
    # The derivative by torch's own, out of place; the values by torch's own, in place.
    first = nn.Conv2d(3, 4, 3)
    net = nn.Sequential(first, kind(inplace=True), nn.Flatten()).double().eval()
    fast = faster(net, images).module
    assert isinstance(fast[1], kind)
    x = images().requires_grad_()
    made = fast[0](x)
    before = made.detach().clone()
    expected = torch.autograd.grad(kind()(first(x)).sum(), x)[0]
    assert torch.equal(torch.autograd.grad(fast[1](made).sum(), x)[0], expected)
    assert torch.equal(made.detach(), before)
    with torch.no_grad():
        made = fast[0](x)
        assert fast[1](made) is made


def test_who_watches_calls_does_not_see_the_pass_that_is_tried():
    # Attention is read by watching calls: those on noise would be taken for the images'.
    with GuidedReLUs() as seen:
        networks.classifier().runner.network()
    assert seen.count == 0


class Tokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT
