"""A softmax that is said to be sigmoids, and sigmoids that nobody named: told by some images."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from gradbox.errors import GradboxWarning
from gradbox.models.doubts import FEWEST, Doubts, doubt
from gradbox.models.heads import SOFTMAX, Head
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize

SIGMOID = Head("sigmoid")


def trained(loss: str, classes: int = 5) -> torch.Tensor:
    """Logits of a linear network from zero, by gradient descent on noisy points of the classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % classes
    points = nn.functional.one_hot(labels, classes) + 0.3 * torch.randn(
        200, classes, generator=generator
    )
    weights = torch.zeros(classes, classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    targets = nn.functional.one_hot(labels, classes).float()
    for _ in range(2000):
        logits = points @ weights + bias
        value = (
            nn.functional.cross_entropy(logits, labels)
            if loss == "softmax"
            else nn.functional.binary_cross_entropy_with_logits(logits, targets)
        )
        found = torch.autograd.grad(value, [weights, bias])
        with torch.no_grad():
            for parameter, gradient in zip((weights, bias), found, strict=True):
                parameter -= 5.0 * gradient
    return (points @ weights + bias).detach().double()


def test_a_network_trained_through_a_softmax_is_told_from_one_through_sigmoids():
    """The gradients of the cross entropy add up to 0, so the sum of the outputs stays as it was."""
    softmax, sigmoid = trained("softmax"), trained("sigmoid", classes=20)
    assert softmax.sum(dim=1).abs().max() < 1e-3
    assert "the same sum on every image" in str(doubt(softmax, SIGMOID))
    assert doubt(sigmoid, SIGMOID) is None
    assert doubt(softmax, SOFTMAX) is None
    assert 'write head = "sigmoid"' in str(doubt(sigmoid, SOFTMAX))


def test_what_cannot_be_told_is_not_said():
    """Few images, two classes, and outputs that are no numbers."""
    softmax = trained("softmax")
    assert doubt(softmax[: FEWEST - 1], SIGMOID) is None
    assert doubt(softmax[:, :2], SIGMOID) is None
    assert doubt(torch.full((9, 5), torch.nan).double(), SIGMOID) is None


def test_many_classes_on_every_image_are_no_image():
    """Half of the outputs above 0: by the sigmoid an image would have 50 of 100 classes."""
    logits = torch.randn(8, 100, generator=torch.Generator().manual_seed(0)).double()
    logits += torch.randn(8, 1, generator=torch.Generator().manual_seed(1))  # no constant sum
    present = (logits > 0).double().sum(dim=1).mean()
    assert f"the average image has {present:.0f} of 100 classes" in str(doubt(logits, SIGMOID))
    assert doubt(logits - 3, SIGMOID) is None  # a few classes an image


def test_a_network_that_ends_in_its_softmax_or_sigmoid_itself():
    softmax, sigmoid = trained("softmax").softmax(dim=1), trained("sigmoid").sigmoid()
    (no, yes) = (-sigmoid[:, :1], sigmoid[:, :1])  # one output, as the head makes two of it
    for outputs, head in (
        (softmax, SOFTMAX),
        (softmax, SIGMOID),
        (sigmoid, SIGMOID),
        (torch.cat([no, yes], dim=1), SIGMOID),
    ):
        assert "all outputs are in 0..1" in str(doubt(outputs, head))
    assert doubt(sigmoid, SOFTMAX) is None  # they do not add up to 1: any logits may be in 0..1
    assert "0..1" not in str(doubt(trained("softmax"), SOFTMAX))


def test_it_is_said_once_and_only_of_a_head_that_may_be_wrong():
    softmax, sigmoid = trained("softmax"), trained("sigmoid", classes=20)
    doubts = Doubts("net", SIGMOID, is_said=True)
    doubts.look_at(softmax[:2])  # too few yet
    with pytest.warns(GradboxWarning, match=r'^net: head = "sigmoid" looks wrong'):
        doubts.look_at(softmax[2:8])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doubts.look_at(softmax[8:16])
        Doubts("net", SOFTMAX, is_said=True).look_at(sigmoid)
    with pytest.warns(GradboxWarning, match="far below 0"):
        Doubts("net", SOFTMAX, is_said=False).look_at(sigmoid)


CARD = """
[model]
architecture = "network.py:build"
head = "sigmoid"

[input]
size = [16, 16]
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]
"""
NETWORK = '''
import torch
from torch import nn


def build():
    """Random, but the outputs add up to 0, as after training through a softmax."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(8, 5))
    for values in net[4].parameters():
        values.data -= values.data.mean(dim=0)
    return net
'''


@pytest.mark.slow
def test_a_run_says_it_in_one_line_and_keeps_it(tmp_path: Path):
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "card.toml").write_text(CARD)
    images = tmp_path / "set" / "images"
    images.mkdir(parents=True)
    rows = ["image,width,height,class,xmin,ymin,xmax,ymax"]
    rng = np.random.default_rng(0)
    for i in range(6):
        cv2.imwrite(str(images / f"{i}.png"), rng.integers(0, 255, (20, 20, 3), dtype=np.uint8))
        rows.append(f"{i}.png,20,20,thing,2,2,9,9")
    (tmp_path / "set" / "boxes.csv").write_text("\n".join(rows) + "\n")
    call = ("--model", tmp_path / "card.toml", "--method", "sensitivity", "--out", tmp_path / "out")
    words = [sys.executable, "-m", "gradbox.cli", "evaluate", f"csv:{tmp_path / 'set'}", *call]
    done = subprocess.run([*map(str, words)], check=True, capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "looks wrong" in line]
    assert len(told) == 1
    problems = json.loads((tmp_path / "out" / "metrics.json").read_text())["problems"]
    assert told[0] in problems


def test_one_output_and_a_softmax_is_always_sure():
    from networks import classifier, network, pixels

    image = pixels(1)[0].permute(1, 2, 0).numpy()
    with pytest.warns(GradboxWarning, match="one output, whose softmax is always 1"):
        found = localize(image, classifier(network(1)), method="sensitivity")
    assert found.label_scores == (1.0,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bvlc_googlenet", "mobilenet_v2_tf", "squeezenet1_1"])
def test_real_classifiers_of_a_softmax(assets: Path, tmp_path: Path, name: str):
    """With `sigmoid` in their card they are noticed on eight photographs, else they are not."""
    card = assets / "models" / f"{name}.toml"
    text = card.read_text().replace("[model]", '[model]\nhead = "sigmoid"')
    for file in (assets / "models").glob(f"{name}.*"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "wrong.toml").write_text(text)
    photographs = sorted((assets / "data" / "imagenet_dev" / "images").iterdir())[:8]
    asked = {"method": "eigencam", "labels": ["0"]}
    with pytest.warns(GradboxWarning, match="of 1000 classes"):
        list(localize(photographs, load_classifier(str(tmp_path / "wrong.toml")), **asked))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(localize(photographs, load_classifier(str(card)), **asked))
