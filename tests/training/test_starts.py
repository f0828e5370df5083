"""What a training starts from: built-in networks, cards, and networks made as asked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gradbox.errors import UsageError
from gradbox.models.efficientnet_lite import is_installed, pretrained
from gradbox.models.load import load_classifier
from gradbox.training.network import network_from, new_network
from gradbox.training.records import TrainingOptions
from gradbox.training.train import train

built_in = pytest.mark.skipif(
    not is_installed("efficientnet_lite0"), reason="the extra imagenet is not installed"
)
VIT = "timm/vit_tiny_patch16_224(patch_size=8, embed_dim=24, depth=2, num_heads=2)"


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    """Four pictures of each of two classes, dark and light."""
    for number, label in enumerate(("dark", "light")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(4):
            grey = np.full((20, 20, 3), 60 + 120 * number + 5 * i, dtype=np.uint8)
            Image.fromarray(grey).save(tmp_path / "data" / label / f"{i}.png")
    return tmp_path / "data"


@built_in
def test_the_built_in_network_starts_with_its_weights_and_input() -> None:
    """All but the classifier's weights are those of ImageNet; pixels go from -1 to 1."""
    network = network_from("efficientnet_lite0", 2, 64)
    assert network.fresh == {"classifier.weight", "classifier.bias"}
    assert network.architecture == "timm/tf_efficientnet_lite0"
    assert network.preprocessing.size == (64, 64)
    assert (network.preprocessing.mean, network.preprocessing.std) == ((0.5,) * 3, (0.5,) * 3)
    state = network.module.state_dict()
    for name, tensor in pretrained("efficientnet_lite0").state_dict().items():
        if not name.startswith("classifier"):
            assert torch.equal(state[name], tensor)
    assert network_from("efficientnet_lite0", 2, None).preprocessing.size == (224, 224)


@built_in
def test_it_is_trained_with_a_frozen_trunk_and_its_card_loads(greys: Path, tmp_path: Path) -> None:
    options = TrainingOptions(
        init="efficientnet_lite0", size=32, epochs=1, freeze=True, batch_size=4
    )
    report = train(str(greys), out=tmp_path / "out", options=options, device="cpu")
    assert load_classifier(str(report.card), device="cpu").class_names == ("dark", "light")
    record = json.loads((tmp_path / "out" / "train.json").read_text())
    assert " --arch" not in record["command"]
    assert "--init efficientnet_lite0" in record["command"]


def test_a_card_starts_with_its_network_weights_and_size(greys: Path, tmp_path: Path) -> None:
    """A transformer of its own making; frozen, all but the new head is what it was."""
    options = TrainingOptions(arch=VIT, size=24, epochs=1, batch_size=4, weights="untrained")
    card = train(str(greys), out=tmp_path / "first", options=options, device="cpu").card
    (greys / "white").mkdir()
    for i in range(2):
        Image.new("RGB", (20, 20), "white").save(greys / "white" / f"{i}.png")
    again = TrainingOptions(init=str(card), epochs=1, freeze=True, batch_size=4)
    second = train(str(greys), out=tmp_path / "second", options=again, device="cpu").card
    before, after = (load_file(one.parent / "model.safetensors") for one in (card, second))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    assert load_classifier(str(second), device="cpu").preprocessing.size == (24, 24)


def test_a_transformer_is_made_for_the_size_and_as_asked() -> None:
    """24 / 8 = 3 patches a side and a class token: 10 positions of 24 numbers."""
    network = new_network(VIT, 5, 24, "untrained")
    assert network.module.get_parameter("pos_embed").shape == (1, 10, 24)
    assert network.arguments == {
        "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2,
        "num_classes": 5, "img_size": 24,
    }  # fmt: skip
    assert new_network("small(widths=[4, 8])", 2, 16, None).arguments["widths"] == [4, 8]


@pytest.mark.parametrize(
    ("arch", "reason"),
    [
        ("small(4)", "as key=value"),
        ("small(width=4)", "cannot be made of width=4"),
        ("timm/vit_tiny_patch16_224(embed_dim=7)", "cannot be made of embed_dim=7"),
        ("small(widths=[4, 8]", "a value is a number"),
    ],
)
def test_a_network_that_cannot_be_made_so_is_one_line(arch: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as error:
        new_network(arch, 2, 16, "untrained")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        ("efficientnet_lite", "did you mean .*efficientnet_lite0"),
        ("torchvision/resnet18", "other networks are named by arch"),
        ("nowhere.toml", "no such model card"),
    ],
)
def test_a_start_that_is_no_model_is_one_line(init: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        network_from(init, 2, 16)


OWN = """
from torch import nn


def build(num_classes, width=4):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, num_classes),
    )
"""


def test_a_network_of_ones_own_code_is_trained_and_starts_another_one(
    greys: Path, tmp_path: Path
) -> None:
    """The cards name the file from where they lie, in two folders of different depth."""
    (tmp_path / "own.py").write_text(OWN)
    arch = f"{tmp_path / 'own.py'}:build(width=6)"
    options = TrainingOptions(arch=arch, size=16, epochs=1, batch_size=4)
    card = train(str(greys), out=tmp_path / "a", options=options, device="cpu").card
    assert 'architecture = "../own.py:build"' in card.read_text()
    again = TrainingOptions(init=str(card), epochs=1, batch_size=4)
    second = train(str(greys), out=tmp_path / "b" / "c", options=again, device="cpu").card
    assert load_classifier(str(second), device="cpu").module[0].weight.shape == (6, 3, 3, 3)


def test_a_black_box_is_no_start(card: Path) -> None:
    text = card.read_text().replace("[input]", 'outputs = "logits"\n[input]')
    card.write_text(text)
    with pytest.raises(UsageError, match="can only be called, not trained"):
        network_from(str(card), 2, 16)


def test_bfloat16_works_on_a_cpu_when_asked_and_is_off_by_default(
    greys: Path, tmp_path: Path
) -> None:
    """The log of one epoch: auto is float32 to the last digit, bfloat16 rounds."""
    losses = {}
    for dtype in ("auto", "float32", "bfloat16"):
        options = TrainingOptions(size=16, epochs=1, batch_size=4, dtype=dtype)
        train(str(greys), out=tmp_path / dtype, options=options, device="cpu")
        (line,) = (tmp_path / dtype / "log.jsonl").read_text().splitlines()
        losses[dtype] = json.loads(line)["train_loss"]
    assert losses["auto"] == losses["float32"] != losses["bfloat16"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
