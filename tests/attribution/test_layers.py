import networks
import pytest
import torch
from conv_vit import vit
from torch import Tensor, nn

from gradbox.attribution.gradients import input_gradient
from gradbox.attribution.layers import Layer, last_convolutional_layer, named_layer, spatial_layers
from gradbox.attribution.targets import layer_mean
from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier


def untrained(spec: str) -> Classifier:
    return load_classifier(spec, weights="untrained", device="cpu")


@pytest.mark.parametrize(
    ("spec", "layer"),
    [
        ("torchvision/resnet18", Layer("layer4", (512, 7, 7), grid=(7, 7))),
        ("torchvision/squeezenet1_1", Layer("features", (512, 13, 13), grid=(13, 13))),
        ("torchvision/googlenet", Layer("inception5b", (1024, 7, 7), grid=(7, 7))),
        ("torchvision/densenet121", Layer("features", (1024, 7, 7), grid=(7, 7))),
        ("torchvision/mobilenet_v3_small", Layer("features", (576, 7, 7), grid=(7, 7))),
        ("timm/vit_tiny_patch16_224", Layer("blocks", (197, 192), prefix_tokens=1, grid=(14, 14))),
        (
            "timm/deit_tiny_distilled_patch16_224",
            Layer("blocks", (198, 192), prefix_tokens=2, grid=(14, 14)),
        ),
        ("timm/efficientnet_b0", Layer("bn2", (1280, 7, 7), grid=(7, 7))),
        ("timm/mobilevit_xxs", Layer("final_conv", (320, 8, 8), grid=(8, 8))),
        pytest.param(
            "torchvision/vit_b_16",
            Layer("encoder.layers", (197, 768), prefix_tokens=1, grid=(14, 14)),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "torchvision/swin_t",
            Layer("features", (7, 7, 768), grid=(7, 7)),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "torchvision/vgg16",
            Layer("features.29", (512, 14, 14), grid=(14, 14)),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_last_convolutional_layer_of_known_networks(spec: str, layer: Layer):
    # By reading their code: the last activation before global pooling, after its ReLU; of
    # transformers the last block's tokens, before the final norm.
    assert last_convolutional_layer(untrained(spec)) == layer


def test_tokens_behind_a_stem_of_convolutions_lie_as_its_last_activation_does():
    """The stem makes 32 x 32, 16 x 16 and 8 x 8 of 64 pixels; the class token comes first."""
    seen = Preprocessing(size=(64, 64))
    classifier = Classifier.wrap(vit(3), preprocessing=seen, device="cpu")
    expected = Layer("blocks", (65, 64), prefix_tokens=1, grid=(8, 8))
    assert last_convolutional_layer(classifier) == expected


@pytest.mark.parametrize(
    ("card", "layer"),
    [
        ("squeezenet1_1", "features"),
        ("bvlc_googlenet", "i5b"),
        ("mobilenet_v2_tf", "features"),
        ("mobilenet_edgetpu", "features"),
    ],
)
def test_the_last_convolutional_layer_of_the_real_cards(assets, card: str, layer: str):
    classifier = load_classifier(str(assets / "models" / f"{card}.toml"), device="cpu")
    assert last_convolutional_layer(classifier).name == layer


def test_the_mean_of_a_transformers_tokens_has_a_gradient():
    # After the final norm the mean would have none: that is why the layer is the last block.
    classifier = untrained("timm/vit_tiny_patch16_224")
    layer = last_convolutional_layer(classifier)
    maps = [
        input_gradient(
            classifier,
            classifier.normalize(networks.pixels(1, (224, 224))),
            lambda out, name=name: layer_mean(out.activations[name], layer.prefix_tokens),
            layers=[name],
            head=False,
        ).abs()
        for name in (layer.name, "norm")
    ]
    assert maps[0].mean() > 0
    assert maps[1].mean() < 1e-3 * maps[0].mean()


def test_the_layer_is_after_the_relu_and_before_the_pooling():
    # The whole of `features` is the output of its last ReLU: the outer name is taken.
    classifier = networks.classifier()
    assert last_convolutional_layer(classifier) == Layer("features", (4, 7, 5), grid=(7, 5))
    assert [layer.name for layer in spatial_layers(classifier)] == [
        *("features.0", "features.2", "features.3", "features"),
    ]


def test_pooling_after_the_last_relu_is_left_out_wherever_it_stands():
    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))
    net = nn.Sequential(conv, nn.AvgPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(24, 2))
    assert last_convolutional_layer(networks.classifier(net)) == Layer(
        "0.1", (4, 12, 8), grid=(12, 8)
    )


def test_a_convolutional_classifier_is_not_taken():
    head = nn.Sequential(nn.Dropout(), nn.Conv2d(4, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), head, nn.Flatten())
    assert last_convolutional_layer(networks.classifier(net)).name == "1"


def test_an_activation_made_by_a_function_and_passed_through_an_identity_has_its_block_name():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.same = nn.Conv2d(3, 4, 3), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.same(self.conv(x).relu())

    net = nn.Sequential(Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert last_convolutional_layer(networks.classifier(net)).name == "0"


def test_a_layer_that_is_named_wins():
    classifier = networks.classifier(layer="features.2")
    assert last_convolutional_layer(classifier).name == "features.2"
    assert last_convolutional_layer(classifier.with_layer("features.3")).name == "features.3"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("features.9", r"layer=features.9 is not a layer of module: use for instance .*features.3"),
        (
            "head",
            r"layer=head has no extent in space \(\(1, 6\) of float64\) of module: use",
        ),
        ("flatten", "layer=flatten has no extent in space"),
    ],
)
def test_a_layer_that_cannot_be_looked_into_is_refused_with_those_that_can(name: str, message: str):
    with pytest.raises(UsageError, match=message):
        named_layer(networks.classifier(), name)


def test_a_network_without_an_extent_in_space_is_explained():
    net = nn.Sequential(nn.Flatten(), nn.Linear(420, 2))
    with pytest.raises(UsageError, match="no layer with an extent in space"):
        last_convolutional_layer(networks.classifier(net))


def test_a_network_without_parameters_has_layers_too():
    net = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert last_convolutional_layer(networks.classifier(net)).name == "0"


def test_finding_a_layer_leaves_no_hook_and_no_mode_behind():
    classifier = networks.classifier()
    with torch.inference_mode():
        last_convolutional_layer(classifier)
    assert not any(module._forward_hooks for module in classifier.module.modules())


def test_the_layer_is_that_of_the_preprocessings_size():
    net = networks.network()
    small = Classifier.wrap(net, preprocessing=Preprocessing(size=(8, 8)), device="cpu")
    assert last_convolutional_layer(small).shape == (4, 4, 4)
