"""Model cards that say what the outputs are, and runs with them."""

import json
from pathlib import Path

import cv2
import pytest
from commands import run
from squares import scene

from gradbox.models.heads import Head

CARD = """
[model]
architecture = "network.py:build"
classes = ["red", "green", "blue"]
{more}

[input]
size = [32, 32]
mean = [0, 0, 0]
std = [1, 1, 1]
"""
NETWORK = '''
import torch
from torch import nn


def build(outputs=3):
    """Each of the first outputs is 40 times the mean of its colour, less 4."""
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(3, outputs))
    net[0].weight.data[:], net[0].bias.data[:] = torch.eye(3).view(3, 3, 1, 1), 0
    net[4].weight.data[:], net[4].bias.data[:] = 40 * torch.eye(3)[:outputs], -4
    return net
'''


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "network.py").write_text(NETWORK)
    return tmp_path / "card.toml"


def test_a_card_and_a_run(model: Path, tmp_path: Path):
    """Each image has the boxes of its classes; `run.json` has the head, and another is refused."""
    model.write_text(CARD.format(more='head = "sigmoid"\nthresholds = [0.5, 0.5, 0.9]'))
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name, colours in {
        "both": (True, True),
        "green": (False, True),
        "no": (False, False),
    }.items():
        cv2.imwrite(str(photographs / f"{name}.png"), scene(*colours)[..., ::-1])
    out = tmp_path / "out"
    words = ("locate", photographs, "--model", model, "--out", out, "--method", "layercam")
    assert run(*words) == 0
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    names = {line["image"]: line["names"] for line in lines}
    assert names == {"both.png": ["green", "red"], "green.png": ["green"], "no.png": []}
    call = json.loads((out / "run.json").read_text())["call"]
    assert call["head"] == str(Head("sigmoid", (0.5, 0.5, 0.9)))
    assert call["above"] == "thresholds"
    assert run(*words, "--above", "0.9") == 2  # another run
    assert run(*words, "--above", "0.9", "--overwrite") == 0
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert sorted(len(line["boxes"]) for line in lines) == [0, 1, 1]  # of red only 0.73
    model.write_text(CARD.format(more='head = "sigmoid"'))
    assert run(*words, "--above", "0.9") == 2  # other thresholds


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('head = "tanh"', "head=tanh is not one of softmax, sigmoid, none"),
        ("thresholds = 0.3", "thresholds are for head=sigmoid"),
        ('head = "sigmoid"\nthresholds = [0.5, 1.0]', "above 0, below 1"),
        ('head = "sigmoid"\nthresholds = [0.5, 0.5]', "2 thresholds but its network has 3 outputs"),
        ('head = "sigmoid"\narguments = { outputs = 1 }', "3 class names but its network has 2"),
        ('head = "sigmoid"\nthresholds = "half"', "thresholds"),
    ],
)
def test_wrong_cards_are_one_line(model: Path, capsys, more: str, said: str):
    model.write_text(CARD.format(more=more))
    cv2.imwrite(str(model.parent / "one.png"), scene(True, True))
    assert run("locate", model.parent, "--model", model, "--method", "sensitivity") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--above", "2"), "above=2.0: a probability"),
        (("--above", "many"), "--above many: a probability"),
        (("--above", "0.5", "--top", "2"), "leave out --top"),
        (("--above", "0.5", "--near-top", "0.5"), "leave out top and near_top"),
        (("--above", "0.5", "--label", "red"), "leave out one"),
    ],
)
def test_wrong_selections_are_one_line(model: Path, capsys, words: tuple[str, ...], said: str):
    model.write_text(CARD.format(more='head = "sigmoid"'))
    cv2.imwrite(str(model.parent / "one.png"), scene(True, True))
    assert run("locate", model.parent, "--model", model, "--method", "sensitivity", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_an_image_without_a_class_is_no_box_for_scores_too(model: Path, tmp_path: Path, capsys):
    """Of two scored images the one where green is improbable is a miss: CorLoc is one half or 0."""
    model.write_text(CARD.format(more='head = "sigmoid"'))
    images = tmp_path / "set" / "images"
    images.mkdir(parents=True)
    rows = ["image,width,height,class,xmin,ymin,xmax,ymax"]
    for name, there in {"a.png": True, "b.png": False}.items():
        cv2.imwrite(str(images / name), scene(False, there)[..., ::-1])
        rows.append(f"{name},32,32,green,14,18,30,30")
    (tmp_path / "set" / "boxes.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    words = ("evaluate", f"csv:{tmp_path / 'set'}", "--model", model, "--out", out)
    method = ("--method", "layercam", "--box", "threshold(0.5)", "--class-from")
    assert run(*words, *method, "predicted") == 0
    units = json.loads((out / "metrics.json").read_text())
    assert units["n_units"] == 2
    assert units["corloc"] == 0.5
