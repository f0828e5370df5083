"""What is said of files on the command line, in a card and in Python, and where it is kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import run
from kinds import write_npy
from PIL import Image

import gradbox
from gradbox.images.survey import surveyed
from gradbox.models.load import load_classifier
from gradbox.runs.map_sheet import map_sheet

QUICK = ("--method", "sensitivity", "--box", "threshold(0.5)", "--device", "cpu")


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """Five TIFFs of 16 bits and two channels, 100 times brighter from the first to the last."""
    folder = tmp_path / "dark"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        numbers = rng.integers(0, 20 * (i + 1) ** 3, (2, 48, 64)).astype(np.uint16)
        numbers[1, 10:30, 20:40] += 30 * (i + 1)
        tifffile.imwrite(folder / f"{i}.ome.tif", numbers, ome=True, metadata={"axes": "CYX"})
    return folder


def known(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run.json").read_text("utf-8"))["call"]


def test_a_run_keeps_what_was_said_and_measured(dark: Path, card: Path, tmp_path: Path) -> None:
    """Percentiles 0 and 100 of all images: the lowest and the highest number there is."""
    said = ("--channels", "1,0,1", "--range", "percentile(0, 100, over=dataset)")
    words = ("locate", dark, "--model", card, *QUICK, *said, "--pictures")
    assert run(*words, "--out", tmp_path / "out") == 0
    arrays = [tifffile.imread(path) for path in sorted(dark.iterdir())]
    low, high = min(a.min() for a in arrays), max(a.max() for a in arrays)
    call = known(tmp_path / "out")
    assert call["channels"] == "1,0,1"
    assert call["range"] == (
        f"percentile(low=0.0, high=100.0, over=dataset, channels=together, "
        f"between=[{float(low)}, {float(high)}])"
    )
    assert "channels 1,0,1, range percentile" in str(call["preprocessing"])
    before = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    assert run(*words, "--out", tmp_path / "out") == 0  # goes on, and finds nothing to do
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == before
    fixed = (*said[:2], "--range", call["range"], "--out", tmp_path / "fixed")
    assert run("locate", dark, "--model", card, *QUICK, *fixed) == 0
    assert (tmp_path / "fixed" / "predictions.jsonl").read_bytes() == before


def test_a_card_says_it_and_the_command_line_says_it_better(
    dark: Path, card: Path, tmp_path: Path
) -> None:
    with card.open("a") as stream:
        stream.write('channels = [1, 1, 1]\nrange = "0:900"\nstack = "max"\n')
    assert run("locate", dark, "--model", card, *QUICK, "--out", tmp_path / "card") == 0
    call = known(tmp_path / "card")
    assert (call["channels"], call["range"], call["stack"]) == ("1,1,1", "0:900", "max")
    line = ("--range", "asinh(0.1)", "--stack", "0")
    assert run("locate", dark, "--model", card, *QUICK, *line, "--out", tmp_path / "line") == 0
    call = known(tmp_path / "line")
    assert (call["channels"], call["stack"]) == ("1,1,1", "0")
    assert str(call["range"]).startswith("asinh(softness=0.1")


def test_python_finds_what_the_command_line_finds(dark: Path, card: Path, tmp_path: Path) -> None:
    words = ("--channels", "0,1,1", "--range", "zscale(over=dataset)")
    assert run("locate", dark, "--model", card, *QUICK, *words, "--out", tmp_path / "out") == 0
    said = {"channels": (0, 1, 1), "range": "zscale(over=dataset)"}
    classifier = load_classifier(str(card), device="cpu", **said)
    paths = sorted(dark.iterdir())
    found = gradbox.localize(paths, classifier, method="sensitivity", box="threshold(0.5)")
    lines = dict(gradbox.read_predictions(tmp_path / "out" / "predictions.jsonl"))
    for path, one in zip(paths, found, strict=True):
        np.testing.assert_array_equal(one.boxes, lines[path.name].boxes)


def test_a_data_set_is_measured_by_all_of_its_images_alike(dark: Path, card: Path) -> None:
    """A second way: the percentiles of all numbers, as all images have as many."""
    said = "percentile(5, 95, over=dataset)"
    seen = load_classifier(str(card), device="cpu", channels=(1, 1, 1), range=said).preprocessing
    samples = [gradbox.Sample(image_id=path.name, source=path) for path in sorted(dark.iterdir())]
    broken = gradbox.Sample(image_id="broken", source=card)
    known = surveyed(seen, [*samples, broken]).reading.range
    numbers = np.stack([tifffile.imread(path)[1] for path in sorted(dark.iterdir())])
    np.testing.assert_allclose(known.between, np.percentile(numbers, (5, 95)))
    with pytest.raises(gradbox.UsageError, match="none of 1 images can be used"):
        surveyed(seen, [broken])


def test_a_range_of_a_data_set_needs_one(card: Path) -> None:
    said = "percentile(1, 99, over=dataset)"
    classifier = load_classifier(str(card), device="cpu", range=said)
    with pytest.raises(gradbox.UsageError, match="say LOW:HIGH, or over=image"):
        map_sheet(np.zeros((5, 5), np.float32), classifier, methods=["sensitivity"])


def test_a_picture_of_dark_numbers_can_be_read(dark: Path, card: Path, tmp_path: Path) -> None:
    """In a range of 16 bits the square is not brighter than 30 of 65,535; its picture shows it."""
    words = ("--channels", "1,1,1", "--range", "0:65535", "--pictures", "--out", tmp_path / "out")
    assert run("locate", dark / "0.ome.tif", "--model", card, *QUICK, *words) == 0
    picture = np.asarray(Image.open(tmp_path / "out" / "pictures" / "0.ome.tif.jpg").convert("L"))
    photo = picture[60:360, 30:480]
    assert photo.max() > 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--channels", "r,g,b"), "--channels r,g,b: write numbers from 0"),
        (("--channels", "0,1"), "--channels 0,1 are 2, and the network takes 3"),
        (("--range", "9:3"), "9:3 has no numbers between"),
        (("--range", "percentil(1, 2)"), "did you mean percentile"),
        (("--stack", "top"), "write max, mean, middle, channels or the number of a plane"),
    ],
)
def test_what_cannot_be_said_is_one_line(
    words: tuple[str, str],
    said: str,
    dark: Path,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("locate", dark, "--model", card, *words, "--out", tmp_path / "out") == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("span", ["percentile(1, 99.8, over=dataset)", "0:4095"])
def test_a_training_says_in_its_card_what_was_said_to_it(span: str, tmp_path: Path) -> None:
    """The card has the numbers that were measured, so later images are seen as the first were."""
    rng = np.random.default_rng(0)
    for label, place in (("left", 4), ("right", 20)):
        (tmp_path / "labelled" / label).mkdir(parents=True)
        for i in range(6):
            numbers = rng.integers(100, 300, (24, 32)).astype(np.uint16)
            numbers[8:16, place : place + 8] += 3000
            write_npy(tmp_path / "labelled" / label / f"{i}.npy", numbers)
    small = ("--size", "32", "--epochs", "2", "--batch-size", "4", "--device", "cpu")
    said = ("--channels", "0,0,0", "--range", span)
    assert run("train", tmp_path / "labelled", *small, *said, "--out", tmp_path / "model") == 0
    classifier = load_classifier(str(tmp_path / "model" / "model.toml"), device="cpu")
    reading = classifier.preprocessing.reading
    assert reading.channels == (0, 0, 0)
    low, high = reading.range.between
    assert (low, high) == (0, 4095) if span == "0:4095" else 100 < low < 110 < 3200 < high < 3300
    command = json.loads((tmp_path / "model" / "train.json").read_text())["command"]
    assert "--channels 0,0,0" in command
    assert span in command
