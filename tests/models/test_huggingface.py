"""Classifiers of transformers: folders that it wrote itself, read beside its own answers."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import hub
import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from gradbox.attribution.layers import find_layer, scored_layer
from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.heads import Head
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize

pytestmark = pytest.mark.slow

GRIDS = {"Swin": (8, 8), "ConvNext": (2, 2)}
"""Rows and columns of the layer; 4 x 4 of the others, 32 pixels by patches of 8."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each family."""
    root = tmp_path_factory.mktemp("hub")
    return {family: hub.write(root / family, family) for family in hub.FAMILIES}


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the ViT's, to be spoiled."""
    return Path(shutil.copytree(folders["ViT"], tmp_path / "model"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("family", hub.FAMILIES)
def test_a_folder_gives_what_transformers_gives(folders: dict[str, Path], family: str):
    """Probabilities by transformers' own processor and network; the grid by the sizes alone."""
    classifier = load_classifier(f"hf/{folders[family]}", device="cpu", dtype="float64")
    processor = transformers.AutoImageProcessor.from_pretrained(folders[family])
    network = transformers.AutoModelForImageClassification.from_pretrained(folders[family]).double()
    seen = processor(Image.fromarray(hub.photograph()), return_tensors="pt")[
        "pixel_values"
    ].double()
    with torch.no_grad():
        (expected,) = network.eval()(seen).logits.softmax(dim=1).tolist()
    best = int(np.argmax(expected))
    found = localize(hub.photograph(), classifier, method="sensitivity", details=True)
    assert found.names == (("disc", "bar", "cross")[best],)
    assert found.label_scores == pytest.approx([expected[best]], abs=1e-5)
    assert found.heatmap is not None
    assert found.heatmap.max() > 0
    layer = find_layer(classifier, None)
    assert layer.grid == GRIDS.get(family, (4, 4))
    prefix = {"ViT": 1, "DeiT": 2, "Beit": 1, "Dinov2WithRegisters": 5}
    assert layer.prefix_tokens == prefix.get(family, 0)


@pytest.mark.parametrize("family", hub.FAMILIES)
def test_the_layer_of_scores_is_a_block_that_they_depend_on(folders: dict[str, Path], family: str):
    """A ViT that reads its class token alone has it one block before the last one."""
    classifier = load_classifier(f"hf/{folders[family]}", device="cpu")
    before_last = {"ViT": "vit.layers.0", "DeiT": "deit.layers.0"}
    layer = scored_layer(classifier, None)
    assert layer.name == before_last.get(family, find_layer(classifier, None).name)
    for method in ("gradcam", "layercam", "eigencam", "occlusion", "peer"):
        found = localize(hub.photograph(), classifier, method=method, details=True)
        assert found.heatmap is not None
        assert found.heatmap.shape == (hub.SIZE, hub.SIZE)
    assert localize(hub.photograph(), classifier, method="gradcam", details=True).heatmap.any()


def test_heads_and_names(tmp_path: Path):
    several = hub.write(tmp_path / "several", "ViT", problem_type="multi_label_classification")
    assert load_classifier(f"hf/{several}", device="cpu").head == Head("sigmoid")
    numbered = hub.write(tmp_path / "numbered", "ViT")
    config = json.loads((numbered / "config.json").read_text())
    config["id2label"] = {str(i): f"LABEL_{i}" for i in range(3)}
    (numbered / "config.json").write_text(json.dumps(config))
    assert load_classifier(f"hf/{numbered}", device="cpu").class_names == ()


def test_one_channel(tmp_path: Path):
    folder = hub.write(tmp_path / "grey", "ViT", num_channels=1)
    file = folder / "preprocessor_config.json"
    said = json.loads(file.read_text()) | {"image_mean": 0.5, "image_std": [0.25]}
    file.write_text(json.dumps(said))
    classifier = load_classifier(f"hf/{folder}", device="cpu")
    assert classifier.preprocessing == Preprocessing(
        size=(32, 32), mean=(0.5,), std=(0.25,), interpolation="bilinear"
    )
    assert localize(hub.photograph()[..., 0], classifier, method="gradcam").boxes.shape == (1, 4)


def test_a_card_names_a_folder_beside_it_and_says_more(folder: Path):
    (folder / "preprocessor_config.json").unlink()
    card = folder.parent / "card.toml"
    card.write_text(
        '[model]\narchitecture = "hf/model"\nclasses = ["a", "b", "c"]\nhead = "sigmoid"\n'
        "[input]\nsize = [32, 32]\n"
    )
    classifier = load_classifier(str(card), device="cpu")
    assert classifier.class_names == ("a", "b", "c")
    assert classifier.head == Head("sigmoid")
    untrained = load_classifier(str(card), weights="untrained", device="cpu")
    assert untrained.weights_hash != classifier.weights_hash


def spoil(folder: Path, how: str) -> None:
    config, processor = folder / "config.json", folder / "preprocessor_config.json"
    said = json.loads(processor.read_text())
    about = json.loads(config.read_text())
    if how == "no size":
        processor.write_text(json.dumps({k: v for k, v in said.items() if k != "size"}))
    elif how == "no processor":
        processor.unlink()
    elif how == "broken processor":
        processor.write_text("{")
    elif how == "unknown filter":
        processor.write_text(json.dumps(said | {"resample": 4}))
    elif how == "two channels":
        processor.write_text(json.dumps(said | {"image_mean": [0.5, 0.5]}))
    elif how == "size of another":
        processor.write_text(json.dumps(said | {"size": {"height": 48, "width": 48}}))
    elif how == "bin only":
        torch.save({}, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    elif how == "no weights":
        (folder / "model.safetensors").unlink()
    elif how == "cut weights":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    elif how == "another task":
        config.write_text(json.dumps(about | {"architectures": ["ViTForMaskedImageModeling"]}))
    elif how == "another shape":
        config.write_text(json.dumps(about | {"hidden_size": 32}))
    elif how == "more blocks":
        config.write_text(json.dumps(about | {"num_hidden_layers": 3}))
    elif how == "unknown kind":
        config.write_text(json.dumps(about | {"model_type": "nothing"}))
    elif how == "no config":
        config.unlink()
    elif how == "broken config":
        config.write_text("[]")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no size", r"does not say how the input is made \(it has no 'size'\)"),
        ("no processor", "has no preprocessor_config.json"),
        ("broken processor", "does not say how the input is made"),
        ("unknown filter", "does not say how the input is made"),
        ("two channels", "a number for each channel"),
        ("size of another", "cannot be run on an input of 48 x 48"),
        ("bin only", r"has only pytorch_model.bin, which is not read"),
        ("no weights", "as model.safetensors and has none"),
        ("cut weights", "cannot be loaded by transformers"),
        ("another task", "is a model for ViTForMaskedImageModeling, no image classifier"),
        ("another shape", "hf/"),
        ("more blocks", r"its weights do not fit its configuration \(missing: "),
        ("unknown kind", "cannot be loaded by transformers"),
        ("no config", "has no config.json: give a folder that save_pretrained wrote"),
        ("broken config", "is no configuration"),
    ],
)
def test_a_spoiled_folder_is_one_line(folder: Path, how: str, said: str):
    spoil(folder, how)
    with pytest.raises(UsageError, match=said) as error:
        load_classifier(f"hf/{folder}", device="cpu")
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("owner/nothing", "no such name", str(folder / "nowhere")):
        with pytest.raises(UsageError, match="no such folder, and the hub does not give it") as e:
            load_classifier(f"hf/{name}")
        assert "\n" not in str(e.value)
    card = folder.parent / "card.toml"
    card.write_text('[model]\narchitecture = "hf/model"\narguments = { num_labels = 4 }')
    with pytest.raises(UsageError, match="takes no arguments"):
        load_classifier(str(card))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'gradbox\[huggingface\]'"):
        load_classifier(f"hf/{folder}")


def test_code_in_a_folder_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither where the network is a known one, nor where it is not; and nobody is asked."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    (folder / "own.py").write_text("raise SystemExit('run')\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {
        "AutoConfig": "own.Config",
        "AutoModelForImageClassification": "own.Network",
    }
    (folder / "config.json").write_text(json.dumps(config))
    expected = Path(shutil.copytree(folder, folder.parent / "plain")) / "config.json"
    expected.write_text(json.dumps({k: v for k, v in config.items() if k != "auto_map"}))
    known = load_classifier(f"hf/{folder}", device="cpu")
    plain = load_classifier(f"hf/{expected.parent}", device="cpu")
    assert known.weights_hash == plain.weights_hash
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own"}))
    with pytest.raises(UsageError, match="cannot be loaded by transformers"):
        load_classifier(f"hf/{folder}", device="cpu")


def test_the_caller_stays_as_it_was(folder: Path):
    """Neither the random numbers nor what transformers prints are changed."""
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_classifier(f"hf/{folder}", device="cpu")
    assert torch.equal(torch.rand(3), expected)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_a_name_that_was_fetched_before_needs_no_network(folders: dict[str, Path], tmp_path: Path):
    """The layout of the hub's cache: a commit's files, and the name of the commit."""
    cached = tmp_path / "cache" / "models--owner--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(folders["ViT"], cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    named = load_classifier("hf/owner/tiny", device="cpu")
    of_folder = load_classifier(f"hf/{folders['ViT']}", device="cpu")
    assert named.weights_hash == of_folder.weights_hash
    assert named.preprocessing == of_folder.preprocessing
    by_path = load_classifier(str(folders["ViT"]), device="cpu")
    assert by_path.weights_hash == of_folder.weights_hash


@pytest.fixture
def endpoint(folders: dict[str, Path]) -> Iterator[str]:
    """The address of a hub on this machine that has one model, owner/tiny."""
    handler = type("OneModel", (hub.Hub,), {"folder": folders["ViT"]})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_a_hub_on_this_machine(endpoint: str, tmp_path: Path):
    Image.fromarray(hub.photograph()).save(tmp_path / "one.png")
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "gradbox.cli", "locate", str(tmp_path / "one.png"), "--json"]
    words = [*command, "--method", "gradcam", "--model"]
    done = subprocess.run(
        [*words, "hf/owner/tiny"], env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["names"][0] in ("disc", "bar", "cross")
    cached = list((tmp_path / "home").rglob("snapshots/*/model.safetensors"))
    assert [file.parent.name for file in cached] == [hub.Hub.commit]
    wrong = subprocess.run(
        [*words, "hf/owner/other"], env=env, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "the hub does not give it" in wrong.stderr.splitlines()[-1]
