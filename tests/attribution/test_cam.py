"""Class activation maps by hand, their layers on networks of several kinds, and wrong calls."""

import networks
import numpy as np
import pytest
import torch
from equalities import NETWORKS, Case
from torch import Tensor, nn
from torchvision import models

from gradbox.attribution.cam import (
    EigenCam,
    GradCam,
    GradCamPlusPlus,
    HiResCam,
    LayerCam,
    XGradCam,
    first_component,
    fused,
)
from gradbox.attribution.layers import find_layer, scored_layer
from gradbox.errors import UsageError
from gradbox.localization import Selection
from gradbox.methods import METHODS, ready
from gradbox.models.classifier import Classifier
from gradbox.specs import build, canonical

A = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]], dtype=torch.float64)  # two channels, 1 x 2
G = torch.tensor([[[[0.5, 1.5]], [[-1.0, 2.0]]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (GradCam(), [1 * 1 + 0.5 * 2, 1 * 3]),  # mean derivatives 1 and 0.5
        (HiResCam(), [0.5 * 1 - 1 * 2, 1.5 * 3]),
        (LayerCam(), [0.5 * 1, 1.5 * 3]),
        # Derivatives weighed by activations: (0.5 + 4.5) / 4 = 1.25 and (-2 + 0) / 2 = -1.
        (XGradCam(), [1.25 * 1 - 1 * 2, 1.25 * 3]),
        # Shares G^2 / (2 G^2 + G^3 sum A): 1 / (2 + 4 * 0.5) = 0.25, 1 / (2 + 4 * 1.5) = 0.125;
        # 1 / (2 - 2) -> 0 by division by zero, 1 / (2 + 2 * 2) = 1/6. Weights: 0.25 * 0.5 + 0.125
        # * 1.5 = 0.3125 and 1/6 * 2 = 1/3.
        (GradCamPlusPlus(), [0.3125 * 1 + 2 / 3, 0.3125 * 3]),
        # Without the division: 0.5^3 + 1.5^3 = 3.5 and 2^3 = 8.
        (GradCamPlusPlus(form="torchcam"), [3.5 * 1 + 8 * 2, 3.5 * 3]),
    ],
)
def test_formulas_by_hand(method: GradCam, expected: list[float]) -> None:
    np.testing.assert_allclose(method.weighed(A, G)[0, 0].numpy(), expected, rtol=1e-12)


def test_grad_cam_of_a_pooled_linear_network_is_cam() -> None:
    """Zhou et al.: the map of a class is the layer weighed by the class's row of the last layer."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    classifier = networks.classifier(net)
    pixels = networks.pixels(2)
    batch = networks.batch(pixels, labels=[(0,), (2,)])
    found = GradCam().maps(classifier).maps(batch)
    activation = net[0].double()(classifier.normalize(pixels))
    for image, ((one,), label) in enumerate(zip(found, (0, 2), strict=True)):
        cam = torch.einsum("c,chw->hw", net[3].weight[label].double(), activation[image])
        theirs = cam.clamp(min=0).detach().numpy() / (14 * 10)  # the mean over the positions
        np.testing.assert_allclose(one.heatmap, theirs, rtol=1e-9, atol=1e-12)


def test_a_class_activation_map_has_the_size_of_the_input_and_a_map_for_each_class() -> None:
    classifier = networks.classifier()
    batch = networks.batch(networks.pixels(3), selection=Selection(top=2))
    for several, alone in zip(
        LayerCam().maps(classifier).maps(batch),
        LayerCam().maps(classifier).maps(networks.batch(networks.pixels(3))),
        strict=True,
    ):
        assert [one.heatmap.shape for one in several] == [(14, 10), (14, 10)]
        np.testing.assert_allclose(several[0].heatmap, alone[0].heatmap, rtol=1e-10)
        assert not np.array_equal(several[0].heatmap, several[1].heatmap)


def test_eigen_cam_is_the_first_singular_vector_and_positive_for_positive_activations() -> None:
    """By numpy's SVD; the first singular vector of a matrix without negative entries has none
    (Perron and Frobenius)."""
    activation = torch.rand(2, 5, 3, 4, dtype=torch.float64, generator=torch.Generator())
    for centered in (False, True):
        ours = first_component(activation, centered).numpy()
        for found, one in zip(ours, activation.numpy(), strict=True):
            rows = one.reshape(5, -1).T
            rows = rows - rows.mean(axis=0) if centered else rows
            theirs = (rows @ np.linalg.svd(rows)[2][0]).reshape(3, 4)
            theirs *= np.sign((theirs * found).sum())
            np.testing.assert_allclose(found, theirs, atol=1e-10)
    assert (first_component(activation) > 0).all()


def test_eigen_cam_knows_no_class_and_does_not_run_the_head() -> None:
    net = networks.network()
    net.head = networks.RaisingAtWork()
    classifier = networks.classifier(net)
    maker = ready("eigencam", "mass", classifier)
    assert maker.class_from == "none"
    ((one,),) = (
        EigenCam()
        .maps(classifier)
        .maps(networks.batch(networks.pixels(1), selection=Selection(top=0)))
    )
    assert one.label is None
    assert one.heatmap.any()


def test_maps_of_several_layers_are_fused_at_the_largest_size() -> None:
    small, large = torch.tensor([[[2.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 4.0]]])
    # Scaled to the maximum 1 and bent: tanh 2 everywhere against (tanh 0.5, 0; 0, tanh 2).
    assert torch.allclose(fused([small, large]), torch.full((1, 2, 2), 2.0).tanh())
    nothing = torch.zeros(1, 1, 1)
    expected = torch.tensor([[[0.5, 0.0], [0.0, 2.0]]]).tanh()
    assert torch.allclose(fused([nothing, large]), expected)


def test_a_list_of_layers_is_text_too() -> None:
    method = build("layercam(layer=[stride2, last])", METHODS)
    assert method == LayerCam(layer=("stride2", "last"))
    assert build(canonical(method, METHODS), METHODS) == method
    names = [layer.name for layer in method.layers(networks.classifier())]
    assert names == ["features"]  # the last one is of stride 2: once


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("stride4", 64, "layer1.1"),
        ("stride16", 64, "layer3.1"),
        ("last", 64, "layer4"),
        ("stride32", 96, "layer4"),
    ],
)
def test_layers_by_their_stride(name: str, size: int, expected: str) -> None:
    net = models.resnet18(num_classes=3)
    found = find_layer(networks.classifier(net, size=(size, size)), name)
    assert expected.startswith(found.name)


def test_squeezenets_layers_have_strides_although_rows_get_lost_at_the_border() -> None:
    net = models.squeezenet1_1(num_classes=3)
    layer = find_layer(networks.classifier(net, size=(224, 224)), "stride16")
    assert layer.grid == (13, 13)  # 224 / 13 = 17.2: 16 is the nearest power of two


def test_where_a_class_token_is_read_the_last_block_is_left_out() -> None:
    """The score does not depend on the last block's patches: derived there, the map is zero."""
    classifier = Case.of("vision transformer").classifier
    last, scored = find_layer(classifier, "last"), scored_layer(classifier, "last")
    assert last.name == "encoder.layers"
    assert scored.name == "encoder.layers.encoder_layer_1"
    zero = GradCam(layer="encoder.layers.encoder_layer_2")
    for method, empty in ((GradCam(), False), (zero, True)):
        ((one,), _) = method.maps(classifier).maps(Case.of("vision transformer").batch)
        assert one.heatmap.shape == (32, 32)
        assert one.heatmap.any() != empty


def test_tokens_lie_on_their_grid() -> None:
    """A patch's activation stands where the patch is, without the class token, at any size."""
    layer = find_layer(Case.of("vision transformer").classifier, None)
    tokens = torch.arange(17.0).reshape(1, 17, 1)
    assert layer.spatial(tokens).tolist() == [
        [[[1 + 4 * i + j for j in range(4)] for i in range(4)]]
    ]
    assert layer.spatial(torch.zeros(1, 26, 1)).shape == (1, 1, 5, 5)
    with pytest.raises(UsageError, match="23 patches do not lie on a grid of 4 x 4"):
        layer.spatial(torch.zeros(1, 24, 1))
    windows = find_layer(Case.of("swin transformer").classifier, None)
    assert windows.grid == (4, 4)
    assert windows.spatial(torch.zeros(1, 4, 4, 32)).shape == (1, 32, 4, 4)


@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=[pytest.mark.slow] * (n == "efficientnet_b0")) for n in NETWORKS],
)
@pytest.mark.parametrize("text", ["gradcam", "eigencam", "layercam(layer=[stride8, last])"])
def test_every_kind_of_network_has_maps(text: str, network: str) -> None:
    if "stride8" in text and network == "plain":
        pytest.skip("it has no layer of that stride")
    case = Case.of(network)
    for image in build(text, METHODS).maps(case.classifier).maps(case.batch):
        assert not isinstance(image, Exception)
        for one in image:
            assert one.heatmap.shape == case.batch.pixels.shape[2:]
            assert one.heatmap.min() >= 0


class Flat(nn.Module):
    """Its features have no rows and columns, and a branch is not on the way to the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.aside, self.features = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 4, (14, 10))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.head(self.features(x).flatten(1))


def classifier_of(net: nn.Module) -> Classifier:
    return networks.classifier(net)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gradcam(layer=features)", r"features has no extent in space \(\(1, 4, 1, 1\)"),
        ("gradcam(layer=aside)", "does not depend on aside: name a layer on the way"),
        ("gradcam(layer=stride64)", "no layer with a row for each 64 of the input: use stride1"),
        ("layercam(layer=[])", r"layer=\[\]: give the name of a layer"),
        ("gradcam(layer=nothing)", "layer=nothing is not a layer"),
        ("smoothgrad(samples=0)", "samples=0: a number of noisy copies, 1 or more"),
        ("smoothgrad(sigma=0)", "sigma=0.0: a share"),
        ("integrated_gradients(steps=0)", "steps=0: a number of points"),
    ],
)
def test_wrong_calls_say_what_to_type(text: str, message: str) -> None:
    batch = networks.batch(networks.pixels(1), labels=[(0,)])
    with pytest.raises(UsageError, match=message):
        ready(text, "mass", classifier_of(Flat())).localizer.localize(batch)


def test_no_class_is_refused_before_the_pass() -> None:
    net = networks.network()
    net.head = networks.RaisingAtWork()
    batch = networks.batch(networks.pixels(1), selection=Selection(top=0))
    with pytest.raises(UsageError, match=r"for none at all, use target=layer_mean or 'eigencam'"):
        GradCam().maps(networks.classifier(net)).maps(batch)
