"""Networks whose outputs are no classes: segmentation, embeddings, with targets of the user's."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from commands import run
from examples import examples
from torch import Tensor, nn

from gradbox.attribution.gradients import Outputs
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.boxes import as_boxes, iou
from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Localization, Selection
from gradbox.methods import METHODS, to_method
from gradbox.models.classifier import Classifier
from gradbox.pipeline import localize

SEEN = Preprocessing(size=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
SQUARE = (12, 6, 22, 18)


class Segments(nn.Module):
    """Two maps for each image, as torchvision's segmentation networks give them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()
        )
        self.maps = nn.Conv2d(6, 2, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": self.maps(self.features(images))}


class Embeds(nn.Module):
    """Five numbers for each image, with no meaning of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = Segments().features
        self.head = nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.inside(images).square().mean(dim=(2, 3)))


REFERENCE = torch.tensor([1.0, -1.0, 0.5, 2.0, 0.0], dtype=torch.float64)


def object_score(outputs: Outputs) -> Tensor:
    return outputs.output["out"][:, 1].square().mean(dim=(1, 2))


def likeness(outputs: Outputs) -> Tensor:
    return nn.functional.cosine_similarity(outputs.output, REFERENCE[None])


def image() -> np.ndarray:
    """A bright square on a dark, noisy ground."""
    pixels = np.random.default_rng(0).integers(0, 30, (32, 32, 3), dtype=np.uint8)
    cv2.rectangle(pixels, (12, 6), (21, 17), (250, 230, 240), -1)
    return pixels


def wrapped(net: nn.Module) -> Classifier:
    return Classifier.wrap(
        net.double(), preprocessing=SEEN, head="none", device="cpu", dtype="float64"
    )


@pytest.mark.parametrize(
    ("net", "target"), [(Segments(), object_score), (Embeds(), likeness)], ids=["maps", "vector"]
)
def test_the_map_is_the_derivative_of_the_target(net: nn.Module, target):
    """Beside torch's own derivative of the same expression, written here again."""
    found = localize(image(), wrapped(net), method=Sensitivity(target=target), details=True)
    x = torch.from_numpy(image()).permute(2, 0, 1)[None].double().div(255).requires_grad_()
    output = net(x)
    value = (
        output["out"][0, 1].square().mean()
        if isinstance(output, dict)
        else (output[0] @ REFERENCE) / (output[0].norm() * REFERENCE.norm())
    )
    (expected,) = torch.autograd.grad(value, x)
    np.testing.assert_allclose(found.heatmap, expected[0].abs().mean(dim=0), rtol=1e-9)
    assert (found.labels, found.names, found.top_labels) == ((None,), (None,), ())


def test_the_square_is_found():
    """Without biases the maps grow with the light, and their square changes most where it is."""
    net = Segments()
    for name, values in net.named_parameters():
        values.data *= not name.endswith("bias")
    method = Sensitivity(target=object_score)
    found = localize(image(), wrapped(net), method=method, box="threshold(0.5, sigma=1)")
    assert iou(found.boxes[:1], as_boxes([SQUARE]))[0, 0] > 0.5


@pytest.mark.parametrize("method", examples(METHODS))
def test_every_method_does_without_a_class_or_says_that_it_cannot(method: str):
    network = wrapped(Segments())
    if to_method(method).needs_class:
        with pytest.raises(UsageError, match="class") as error:
            localize(image(), network, method=method)
        assert "\n" not in str(error.value)
    else:
        found = localize(image(), network, method=method)
        assert found.labels == (None,) * len(found.boxes)


def test_what_asks_for_a_class_is_one_line():
    network = wrapped(Segments())
    for options in ({"labels": ["1"]}, {"selection": Selection(top=2)}):
        with pytest.raises(UsageError, match=r"are no classes \(head = none\)") as error:
            localize(image(), network, method=Sensitivity(target=object_score), **options)
        assert "\n" not in str(error.value)
    unsaid = Classifier.wrap(Segments(), preprocessing=SEEN, device="cpu")
    with pytest.raises(UsageError, match="a classifier returns"):
        localize(image(), unsaid, method=Sensitivity(target=object_score))


FILE = '''
from torchvision.models.segmentation import lraspp_mobilenet_v3_large


def build():
    """A real segmentation network, untrained."""
    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)


def second(outputs):
    return outputs.output["out"][:, 1].mean(dim=(1, 2))


def everywhere(outputs):
    return outputs.output["out"].mean(dim=1)
'''
CARD = """
[model]
architecture = "segments.py:build"
head = "none"

[input]
size = [64, 64]
"""


@pytest.mark.slow
def test_a_segmentation_network_of_torchvision(tmp_path: Path, capsys):
    (tmp_path / "segments.py").write_text(FILE)
    (tmp_path / "card.toml").write_text(CARD)
    cv2.imwrite(str(tmp_path / "one.png"), image())
    words = ("locate", tmp_path / "one.png", "--model", tmp_path / "card.toml")
    out = tmp_path / "out"
    method = f"sensitivity(target={tmp_path}/segments.py:second)"
    assert run(*words, "--method", method, "--out", out) == 0
    (line,) = map(json.loads, (out / "predictions.jsonl").read_text().splitlines())
    assert (line["labels"], line["label_scores"]) == ([None], [1.0])
    capsys.readouterr()
    wrong = f"sensitivity(target={tmp_path}/segments.py:everywhere)"
    for method, said in (
        (wrong, "it gives one number per image"),
        ("gradcam", "a class score needs a class"),
        ("auto", "class"),
    ):
        assert run(*words, "--method", method) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    assert run(*words, "--method", "eigencam", "--label", "cat") == 2
    assert "are no classes" in capsys.readouterr().err.splitlines()[-1]


def test_a_data_set_is_scored_without_classes(tmp_path: Path):
    from gradbox.datasets.dataset import gather
    from gradbox.localization import Sample
    from gradbox.pipeline import evaluate

    sample = Sample(image_id="a.png", source=image, boxes=as_boxes([SQUARE]), labels=("anything",))
    dataset = gather("made:a", tmp_path, [sample], present={"a.png"})
    report = evaluate(
        dataset,
        wrapped(Segments()),
        tmp_path / "out",
        method=Sensitivity(target=object_score),
        box="threshold(0.25, sigma=1)",
    )
    assert report.metrics is not None
    found = localize(
        image(),
        wrapped(Segments()),
        method=Sensitivity(target=object_score),
        box="threshold(0.25, sigma=1)",
    )
    assert isinstance(found, Localization)
    assert report.metrics["mean_iou"] == pytest.approx(
        float(iou(found.boxes[:1], as_boxes([SQUARE]))[0, 0]), abs=1e-3
    )
    with pytest.raises(UsageError, match=r"are no classes \(head = none\)"):
        evaluate(
            dataset,
            wrapped(Segments()),
            tmp_path / "other",
            method=Sensitivity(target=object_score),
            class_from="truth",
        )
