import sys
import urllib.error
from pathlib import Path

import networks
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from gradbox.attribution.gradients import forward
from gradbox.errors import UsageError
from gradbox.functions import load_function
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.load import load_classifier
from gradbox.models.names import imagenet1k_names

BUILDER = """
from __future__ import annotations
from dataclasses import dataclass

import torch
from torch import nn

@dataclass
class Options:
    classes: int = 4

def build(classes: int = 4, bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    head = nn.Linear(2, Options(classes).classes, bias=bias)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)

def number():
    return 5

constant = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(BUILDER)
    return tmp_path


def load_card(folder: Path, text: str, **options: str):
    (folder / "card.toml").write_text(text)
    return load_classifier(str(folder / "card.toml"), device="cpu", **options)


def test_a_card_with_every_key(folder: Path):
    weights = load_function("net.py:build", folder)(classes=3).state_dict()
    weights = {name: tensor + 1 for name, tensor in weights.items()}
    (folder / "sub").mkdir()
    save_file(weights, folder / "sub" / "w.safetensors")
    (folder / "sub" / "names.txt").write_text("red fox\nmüsli\ncat\n", encoding="utf-8")
    classifier = load_card(
        folder,
        """
        [model]
        architecture = "net.py:build"
        arguments = {classes = 3}
        weights = "sub/w.safetensors"
        classes = "sub/names.txt"
        wnids = ["n1", "n2", "n3"]
        layer = "0"

        [input]
        size = [20, 30]
        resize = 40
        interpolation = "bicubic"
        color = "BGR"
        scale = 255
        mean = [104, 117.5, 123]
        std = [1, 2, 3]
        """,
    )
    assert classifier.preprocessing == Preprocessing(
        size=(20, 30),
        resize=40,
        interpolation="bicubic",
        color="BGR",
        scale=255.0,
        mean=(104.0, 117.5, 123.0),
        std=(1.0, 2.0, 3.0),
    )
    assert classifier.class_names == ("red fox", "müsli", "cat")
    assert classifier.wnids == ("n1", "n2", "n3")
    assert classifier.layer == "0"
    assert all(
        torch.equal(value, weights[name]) for name, value in classifier.module.state_dict().items()
    )


def test_the_smallest_card_and_what_options_override(folder: Path):
    card = '[model]\narchitecture = "net.py:build"\nlayer = "0"\nweights = "none.pth"\n'
    classifier = load_card(folder, card, weights="untrained", layer="1")
    assert classifier.layer == "1"
    assert classifier.preprocessing == Preprocessing()
    assert classifier.class_names == ()


def test_a_card_of_a_known_network_keeps_its_input_and_takes_other_classes(folder: Path):
    card = """
        [model]
        architecture = "torchvision/squeezenet1_1"
        arguments = {num_classes = 2}
        classes = ["cat", "dog"]
        """
    classifier = load_card(folder, card, weights="untrained")
    assert classifier.class_names == ("cat", "dog")
    assert classifier.wnids == ()
    assert classifier.preprocessing.resize == 256


def test_imagenets_classes_by_their_short_name(folder: Path):
    card = """
        [model]
        architecture = "net.py:build"
        arguments = {classes = 1000}
        classes = "imagenet1k"
        """
    classifier = load_card(folder, card)
    assert classifier.class_names == imagenet1k_names()
    assert classifier.class_index("n01440764") == classifier.class_index("tench") == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model", "is not a model card in TOML: Expected"),
        ("", r'\[model\] needs architecture = "torchvision/NAME"'),
        ("[modell]\n", r"unknown section \[modell\]; a card has \[model\] and \[input\]"),
        ("model = 5\n", r"unknown section \[model\]"),
        ("[model]\narchitectur = 'a'", r"no key 'architectur' .did you mean architecture"),
        ("[input]\nsizes = 5", r"\[input\] has no key 'sizes' .did you mean size"),
        ("[model]\narchitecture = 5", "architecture=5 is not text"),
        ("[model]\nweights = 5", "weights=5 is not text"),
        ("[model]\nclasses = [1]", r"classes=\[1\] is not text"),
        ("[model]\narguments = 5", "arguments=5 is not dict"),
        ("[input]\nsize = 224", r"size=224 is not tuple\[int, int\]"),
        ("[input]\nsize = [224]", r"size=\[224\] is not tuple\[int, int\]"),
        ("[input]\nsize = [224, 1.5]", "size=1.5 is not int"),
        ("[input]\nresize = 'crop'", "resize=crop is not"),
        ("[input]\ncolor = 'rgb'", "color=rgb is not one of RGB, BGR"),
        ("[input]\ninterpolation = 'cubic'", "interpolation=cubic is not one of nearest, bilinear"),
        ("[input]\nscale = '1'", 'scale="1" is not float'),
        ("[input]\nmean = ['a', 'b', 'c']", "mean=a is not float"),
        ("[model]\narchitecture = 'net.py:build'\n[input]\nstd = [1, 0, 1]", "std not 0"),
        ("[model]\narchitecture = 'net.py:build'\narguments = {klasses = 3}", "klasses"),
        ("[model]\narchitecture = 'net.py:build'\nclasses = 'no.txt'", "no.txt: cannot be read"),
        ("[model]\narchitecture = 'net.py:build'\nweights = 'no.pth'", "no.pth: no such weights"),
        ("[model]\narchitecture = 'no.py:build'", "no.py: no such file; a function is named as"),
        ("[model]\narchitecture = 'resnet18'", "cannot tell the model from 'resnet18'"),
    ],
)
def test_a_broken_card_is_one_clear_line(folder: Path, text: str, message: str):
    with pytest.raises(UsageError, match=message) as caught:
        load_card(folder, text)
    assert "\n" not in str(caught.value)


def test_a_card_that_is_not_there_or_not_text_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.toml: no such model card"):
        load_classifier(str(tmp_path / "none.toml"))
    (tmp_path / "card.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not a model card in TOML"):
        load_classifier(str(tmp_path / "card.toml"))


def test_a_function_in_a_file_makes_the_network(folder: Path):
    classifier = load_classifier(f"{folder}/net.py:build", device="cpu")
    assert isinstance(classifier.module, nn.Sequential)
    assert classifier.name == f"{folder}/net.py:build"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.py:buil", r"has no function 'buil' \(did you mean build"),
        ("net.py:constant", "has no function 'constant'"),
        ("net.py:number", "returned int, not a torch module"),
        ("other.py:build", "no such file; a function is named as path/file.py:function"),
        ("net.py", "cannot tell the model from"),
        ("net.py:", "has no function ''"),
    ],
)
def test_a_function_that_makes_no_network_is_explained(folder: Path, name: str, message: str):
    with pytest.raises(UsageError, match=message):
        load_classifier(str(folder / name), device="cpu")


def test_a_file_of_weights_for_a_torchvision_network(tmp_path: Path):
    net = torchvision.models.squeezenet1_1()
    torch.save({k: v.half() for k, v in net.state_dict().items()}, tmp_path / "w.pth")
    classifier = load_classifier(
        "torchvision/squeezenet1_1", weights=str(tmp_path / "w.pth"), device="cpu"
    )
    for name, value in classifier.module.state_dict().items():
        assert torch.equal(value, net.state_dict()[name].half().float())
    assert classifier.class_index("tench") == 0
    with pytest.raises(UsageError, match=r"w\.pth does not fit the network; \d+ missing: conv1"):
        load_classifier("torchvision/resnet18", weights=str(tmp_path / "w.pth"), device="cpu")


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "efficientnet_b1"])
def test_the_input_of_a_torchvision_network_equals_its_own_transforms(name: str):
    classifier = load_classifier(f"torchvision/{name}", weights="untrained", device="cpu")
    transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    image = networks.pixels(1, (300, 420))[0]
    pixels, _ = classifier.preprocessing.resized(image.permute(1, 2, 0).numpy())
    ours = classifier.normalize(torch.from_numpy(pixels)[None])
    theirs = transform(Image.fromarray(image.permute(1, 2, 0).numpy()))
    # On noise Pillow's extra rounding of a part shows most: 4 grey levels over the smallest std.
    assert (ours[0] - theirs).abs().max() < 4 / 255 / 0.224


def test_googlenets_weights_from_a_file_are_computed_as_those_that_torchvision_loads(
    tmp_path: Path,
):
    # With its weights, torchvision sets transform_input; a file stands in their place.
    net = torchvision.models.googlenet(transform_input=True, init_weights=False).eval()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    classifier = load_classifier(
        "torchvision/googlenet", weights=str(tmp_path / "w.pth"), device="cpu", dtype="float64"
    )
    x = classifier.normalize(networks.pixels(1, (224, 224)))
    with torch.no_grad():
        theirs = net.double()(x)
    torch.testing.assert_close(forward(classifier, x).logits.detach(), theirs)


def test_without_a_network_connection_one_line_says_how_to_give_weights(
    monkeypatch: pytest.MonkeyPatch,
):
    def download(*_args: object, **_kwargs: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    with pytest.raises(UsageError, match=r"could not be downloaded.*--weights FILE") as caught:
        load_classifier("torchvision/squeezenet1_1", device="cpu")
    assert "\n" not in str(caught.value)


def test_timms_weights_that_cannot_be_loaded_are_explained_too(monkeypatch: pytest.MonkeyPatch):
    def create(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError("An error happened\nwhile trying to locate the file")

    monkeypatch.setattr("timm.create_model", create)
    with pytest.raises(UsageError, match=r"\(An error happened\): .*--weights FILE") as caught:
        load_classifier("timm/resnet10t", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_timm_network_and_its_input(tmp_path: Path):
    timm = pytest.importorskip("timm")
    net = timm.create_model("vit_tiny_patch16_224")
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    classifier = load_classifier(
        "timm/vit_tiny_patch16_224", weights=str(tmp_path / "w.safetensors"), device="cpu"
    )
    assert torch.equal(classifier.module.head.weight, net.head.weight)
    # A second reader of the same configuration: timm's own transform.
    config = timm.data.resolve_model_data_config(net)
    resize, crop, *_, normalize = timm.data.create_transform(**config).transforms
    ours = classifier.preprocessing
    assert (ours.resize, ours.size) == (resize.size, tuple(crop.size))
    assert ours.interpolation == resize.interpolation.value
    assert torch.allclose(torch.tensor(ours.mean), normalize.mean)
    assert torch.allclose(torch.tensor(ours.std), normalize.std)
    assert classifier.class_name(0) == "tench"


def test_without_timm_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'gradbox\[timm\]'"):
        load_classifier("timm/resnet10t")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchvision/resnet81", r"torchvision has no classifier 'resnet81' \(did you mean resnet"),
        ("torchvision/fcn_resnet50", "torchvision has no classifier"),
        (
            "timm/vit_tiny_patch16_242",
            r"timm has no classifier .*did you mean vit_tiny_patch16_224",
        ),
        ("gradbox/smal", r"gradbox has no network 'smal' \(did you mean small"),
        ("gradbox/small", "has no weights of its own"),
        (
            "resnet18",
            "torchvision/NAME, timm/NAME, hf/NAME_OR_FOLDER, path/file.py:function, path/net.onnx",
        ),
        ("", "cannot tell the model from ''"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(spec: str, message: str):
    with pytest.raises(UsageError, match=message):
        load_classifier(spec, device="cpu")
