"""Tables with several classes an image, rare classes, and what the report says of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from PIL import Image

from gradbox.errors import UsageError
from gradbox.models.load import load_classifier
from gradbox.training.labels import read_labels, split_by_class
from gradbox.training.records import TrainingOptions
from gradbox.training.train import train

QUICK = TrainingOptions(size=32, epochs=12, batch_size=8, lr=0.01)
COLOURS = {"red": (230, 40, 30), "blue": (30, 60, 230)}


def picture(classes: tuple[str, ...], seed: int) -> Image.Image:
    """Grey noise with a square in the colour of each class, somewhere."""
    rng = np.random.default_rng(seed)
    canvas = rng.integers(90, 150, (32, 32, 3), dtype=np.uint8)
    for name in classes:
        y, x = rng.integers(0, 20, 2)
        canvas[y : y + 12, x : x + 12] = COLOURS[name]
    return Image.fromarray(canvas)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures: 15 with nothing, 15 with red, 15 with blue, 15 with both."""
    root = tmp_path_factory.mktemp("several")
    rows = ["image,label"]
    for number in range(60):
        classes = tuple(name for bit, name in enumerate(COLOURS) if number >> bit & 1)
        picture(classes, number).save(root / f"{number:02}.png")
        rows += [f"{number:02}.png,{name}" for name in classes or ("",)]
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root / "labels.csv"


def test_rows_of_an_image_are_its_classes(table: Path) -> None:
    found = {one.image_id: one.labels for one in read_labels(str(table))}
    assert [found[f"{i:02}.png"] for i in range(4)] == [(), ("red",), ("blue",), ("blue", "red")]


def test_each_class_and_none_are_divided_alike(table: Path) -> None:
    """A fifth of each class's 30 is 6; of the 15 without a class 3; all are used."""
    images = read_labels(str(table))
    held_in, held_out = split_by_class(images, 0.2, seed=0)
    assert sorted([*held_in, *held_out]) == list(range(60))
    classes = [images[i].labels for i in held_out]
    assert classes.count(()) == 3
    assert [sum(name in labels for labels in classes) for name in COLOURS] == [6, 6]


def test_every_class_is_in_both_parts_however_they_overlap() -> None:
    """One class in all images beside rare ones: each rare one has an image in each part."""
    images = read_labels("scenes:30,size=48")
    crowded = [
        replace(one, labels=tuple({"all", *one.labels[:1]} if i < 30 else {"all"}))
        for i, one in enumerate(images)
    ]
    for part in split_by_class(crowded, 0.2, seed=1):
        names = {label for i in part for label in crowded[i].labels}
        assert names == {label for one in crowded for label in one.labels}


def test_both_classes_are_learned_and_the_card_says_what_its_outputs_mean(
    table: Path, tmp_path: Path
) -> None:
    """Balanced chance is one half; colours are easy, so nearly all answers can be right.

    An image with both classes has two probabilities above one half, which no softmax gives.
    """
    report = train(str(table), out=tmp_path, options=QUICK, device="cpu")
    assert report.head == "sigmoid"
    assert report.accuracy >= 0.9
    assert 'head = "sigmoid"' in (tmp_path / "model.toml").read_text()
    classifier = load_classifier(str(report.card), device="cpu")
    assert classifier.class_names == ("blue", "red")
    pixels = np.stack([np.asarray(picture(("red", "blue"), 100 + i)) for i in range(10)])
    images = classifier.normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    both = (classifier.module(images).sigmoid() > 0.5).all(dim=1)
    assert both.float().mean() >= 0.8


def test_one_class_and_images_without_it_are_enough_for_a_sigmoid(
    table: Path, tmp_path: Path
) -> None:
    rows = [row for row in table.read_text().splitlines() if not row.endswith(",blue")]
    listed = {row.split(",")[0] for row in rows}
    rows += [f"{i:02}.png," for i in range(60) if f"{i:02}.png" not in listed]
    (table.parent / "red.csv").write_text("\n".join(rows) + "\n")
    options = replace(QUICK, head="sigmoid")
    report = train(str(table.parent / "red.csv"), out=tmp_path, options=options, device="cpu")
    assert list(report.per_class) == ["red"]
    assert report.accuracy >= 0.9
    assert (report.n_train, report.n_validation) == (48, 12)


def test_a_softmax_of_several_classes_an_image_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"03.png has the classes blue and red: .* head sigmoid"):
        train(str(table), out=tmp_path, options=replace(QUICK, head="softmax"), device="cpu")


def test_a_class_in_every_image_is_said_to_teach_nothing(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table.read_text().splitlines()[1:]
    names = sorted({row.split(",")[0] for row in rows})
    rows = ["image,label", *(f"{name},grey" for name in names)]
    rows += [f"{name},red" for name in names[::2]]
    (table.parent / "grey.csv").write_text("\n".join(rows) + "\n")
    words = ("--out", tmp_path, "--size", 32, "--epochs", 1, "--device", "cpu")
    assert run("train", table.parent / "grey.csv", *words) == 0
    said = capsys.readouterr()
    assert "grey: every image has this class" in said.err
    assert "balanced accuracy" in said.out + said.err
    assert "grey: every image has this class" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_of_images_that_look_alike_the_probability_is_the_share_that_a_class_weighs(
    balance: str, tmp_path: Path
) -> None:
    """45 red and 5 blue, of one grey: the best answer is 0.1 blue, and 0.5 when balanced."""
    for name, count in (("red", 45), ("blue", 5)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (16, 16), (120, 120, 120)).save(tmp_path / "data" / name / f"{i}.png")
    options = TrainingOptions(
        arch="small(widths=[4, 8])", size=16, epochs=10, batch_size=8, balance=balance
    )
    card = train(str(tmp_path / "data"), out=tmp_path / "out", options=options, device="cpu").card
    classifier = load_classifier(str(card), device="cpu")
    grey = torch.full((1, 3, 16, 16), 120, dtype=torch.uint8)
    blue = float(classifier.module(classifier.normalize(grey)).softmax(dim=1)[0, 0])
    assert blue == pytest.approx(0.1 if balance == "none" else 0.5, abs=0.15)


@pytest.mark.slow
def test_a_training_is_killed_and_goes_on_with_sampling_and_several_classes(
    table: Path, tmp_path: Path
) -> None:
    """What is drawn depends on the seed and the epoch alone, so both end in the same weights."""
    options = replace(QUICK, balance="sampling", label_smoothing=0.1, epochs=3)

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(str(table), out=tmp_path / "killed", options=options, device="cpu", on_epoch=stop)
    for name in ("killed", "whole"):
        train(str(table), out=tmp_path / name, options=options, device="cpu")
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("killed", "whole")]
    assert weights[0] == weights[1]
    log = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert len(log) == 3
    assert 0 <= json.loads(log[0])["accuracy"] <= 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"head": "sigmoids"}, "head=sigmoids: write auto, softmax or sigmoid"),
        ({"balance": "both"}, "balance=both: write none, weights or sampling"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0: a share from 0 to below 1"),
        ({"label_smoothing": float("nan")}, "label_smoothing=nan"),
        ({"init": "efficientnet_lite0", "weights": "a.pth"}, "leave arch and weights out"),
        ({"init": "efficientnet_lite0", "arch": "timm/vit"}, "leave arch and weights out"),
    ],
)
def test_wrong_options_are_one_line(wrong: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        TrainingOptions(**wrong)  # type: ignore[arg-type]
