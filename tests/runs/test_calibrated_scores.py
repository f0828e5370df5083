"""Scores that are probabilities: who has them, which boxes are left out, what is said of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from examples import examples
from fakes import FakeBoxes, FakeCalibrated, FakeLocalizer, FakeMaps

import gradbox
from gradbox.attribution.combinations import Average, Mean, Smooth
from gradbox.attribution.own import as_method
from gradbox.boxes import as_boxes
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.exports import FORMATS
from gradbox.localization import Localization
from gradbox.methods import METHODS, ready, to_method
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.results.predictions import from_line, to_line

FAKE = f"{Path(__file__).parents[1] / 'fakes.py'}:FakeCalibrated"
LEAST = 0.14
"""Between the mean brightness of the darkest and of the lightest images of `discs`."""


@pytest.fixture
def network(card: Path) -> Classifier:
    return load_classifier(str(card), device="cpu")


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("text", [t for t in examples(METHODS) if t not in ("peer", "foreground")])
def test_a_box_of_an_estimator_has_no_probability_whatever_the_method(
    text: str, network: Classifier
) -> None:
    assert not ready(text, "whole", network).is_calibrated
    if not to_method(text).is_calibrated:
        assert not ready(text, None, network).is_calibrated


def test_a_part_passes_no_probability_on(network: Classifier) -> None:
    """A combination makes maps, so that its boxes come from an estimator."""
    one = FakeCalibrated()
    assert ready(one, None, network).is_calibrated
    assert not ready(one, "mass", network).is_calibrated
    for made in (Mean((one, one)), Average(one, flips=True), Smooth(one)):
        assert not ready(made, None, network).is_calibrated
    for own in (FakeLocalizer(), FakeMaps(((1.0,),))):
        assert not as_method(own).is_calibrated


def test_boxes_with_a_low_score_are_left_out_with_all_that_is_said_of_them(
    discs: Path, network: Classifier
) -> None:
    """The fake's scores by hand: the mean brightness, and half of it for the second box."""
    files = sorted((discs / "images").iterdir())
    whole = list(gradbox.localize(files, network, method=FakeCalibrated(), details=True))
    asked: dict[str, Any] = {"method": FakeCalibrated(), "details": True, "min_score": LEAST}
    fewer = list(gradbox.localize(files, network, **asked))
    assert {len(one.boxes) for one in fewer} == {0, 1}  # type: ignore[union-attr]
    for before, after in zip(whole, fewer, strict=True):
        assert isinstance(before, Localization)
        assert isinstance(after, Localization)
        kept = [i for i, score in enumerate(before.scores) if score >= LEAST]
        assert after.boxes.tolist() == before.boxes[kept].tolist()
        for name in ("labels", "names", "label_scores", "scores", "map_shares"):
            assert getattr(after, name) == tuple(getattr(before, name)[i] for i in kept)
        assert (after.mask is None) == (0 not in kept)
        assert after.heatmap is not None


def test_what_claims_no_probability_is_refused_before_any_work(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    dataset, out = load_dataset(f"csv:{discs}"), tmp_path / "out"
    for method, box, said in (
        ("sensitivity", None, "the scores of sensitivity.* are no probabilities"),
        (FakeCalibrated(), FakeBoxes(), "with a box are no probabilities"),
    ):
        given: dict[str, Any] = {"method": method, "box": box, "min_score": 0.5}
        with pytest.raises(UsageError, match=said):
            gradbox.localize(np.zeros((8, 8, 3), np.uint8), network, **given)
        with pytest.raises(UsageError, match=said):
            gradbox.locate(dataset.samples, network, out, **given)
        with pytest.raises(UsageError, match=said):
            gradbox.evaluate(dataset, network, out, **given)
        runs = [FakeCalibrated(), (method, box)]
        with pytest.raises(UsageError, match=said):
            gradbox.compare(dataset, [network], out, runs=runs, min_score=0.5)
    assert not out.exists()


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan")])
def test_a_score_that_is_no_probability_is_refused(least: float, network: Classifier) -> None:
    with pytest.raises(UsageError, match="a probability, 0 <= min_score <= 1"):
        gradbox.localize([], network, method=FakeCalibrated(), min_score=least)


def test_the_command_refuses_before_a_model_is_loaded(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`nosuch` is no model: that would be said if it were looked for."""
    rest = ("--model", "nosuch", "--out", tmp_path / "out", "--min-score", "0.5")
    data = f"csv:{discs}"
    for words in (
        ("locate", discs / "images", "--method", "dam"),
        ("evaluate", data, "--method", FAKE, "--box", "mass"),
        ("compare", data, "--run", FAKE, "--run", "dam"),
    ):
        assert run(*words, *rest) == 2
        said = capsys.readouterr().err
        assert "are no probabilities: leave it out, or use a method whose own boxes" in said
        assert "nosuch" not in said


def test_the_least_score_belongs_to_the_call(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    samples, out = load_dataset(f"csv:{discs}").samples[:3], tmp_path / "out"
    gradbox.locate(samples, network, out, method=FakeCalibrated(), min_score=LEAST)
    facts = read(out / "run.json")
    assert (facts["is_calibrated"], facts["call"]["min_score"]) == (True, LEAST)
    gradbox.locate(samples, network, out, method=FakeCalibrated(), min_score=LEAST)
    with pytest.raises(UsageError, match=r"min_score was 0.14, is now None"):
        gradbox.locate(samples, network, out, method=FakeCalibrated())


def test_a_run_from_before_there_was_a_least_score_goes_on(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    samples, out = load_dataset(f"csv:{discs}").samples[:3], tmp_path / "out"
    gradbox.locate(samples, network, out, method="sensitivity")
    facts = read(out / "run.json")
    assert facts.pop("is_calibrated") is False
    del facts["call"]["min_score"]
    (out / "run.json").write_text(json.dumps(facts))
    gradbox.locate(samples, network, out, method="sensitivity")
    assert read(out / "run.json")["is_calibrated"] is False


def test_a_unit_without_a_box_is_a_miss_and_not_covered(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    """Scored with all boxes and with those above the least score, on the same images either way."""
    dataset, part, kept = load_dataset(f"csv:{discs}"), gradbox.Part(limit=8), {}
    for least in (None, LEAST, 1.0):
        out = tmp_path / str(least)
        running = gradbox.Running(pictures=least == LEAST, formats=tuple(FORMATS))
        given: dict[str, Any] = {"method": FakeCalibrated(), "part": part, "running": running}
        report = gradbox.evaluate(dataset, network, out, min_score=least, **given)
        assert report.metrics == read(out / "metrics.json")
        assert report.metrics["n_units"] == 8
        lines = list(map(json.loads, (out / "predictions.jsonl").read_text().splitlines()))
        kept[least] = sum(len(line["boxes"]) > 0 for line in lines)
        found = report.metrics["calibration"]
        assert found["coverage"] == pytest.approx(kept[least] / 8)
        assert report.metrics["detection"]["n_predicted_boxes"] == sum(
            len(line["boxes"]) for line in lines
        )
        assert ("Reliability of scores" in (out / "report.html").read_text()) == (least != 1.0)
    assert kept[None] == 8 > kept[LEAST] > kept[1.0] == 0
    assert report.metrics is not None
    assert (report.metrics["corloc"], report.metrics["calibration"]["aurc"]) == (0.0, None)


def test_a_comparison_shows_what_ranks_and_what_is_a_probability(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ("--run", FAKE, "--run", f"{FAKE} | mass")
    rest = ("--model", card, "--device", "cpu", "--out", tmp_path / "out")
    assert run("compare", f"csv:{discs}", *runs, *rest) == 0
    said = capsys.readouterr().out
    assert "scores of the main boxes" in said
    assert "probability" in said
    table = {row["run"]: row["calibration"] for row in read(tmp_path / "out/compare.json")["runs"]}
    assert "ece" in table[FAKE]
    assert "ece" not in table[f"{FAKE} | mass"]
    assert set(table[f"{FAKE} | mass"]) < set(table[FAKE])
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("Risk by coverage") == page.count("Reliability of scores") == 1


def test_images_that_cannot_be_trusted_are_counted_in_one_line(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All images are darker than 0.3; `sensitivity` claims no probability, so nothing is said."""
    rest = ("--model", card, "--device", "cpu")
    line = "24 of 24 images: no box can be trusted (score below 0.3)"
    images = discs / "images"
    assert run("locate", images, *rest, "--method", FAKE) == 0
    shown = capsys.readouterr()
    assert shown.err.count(line) == 1
    scores = [row.split()[-1] for row in shown.out.splitlines()[1:]]
    assert len(scores) == 48  # two boxes an image, each with its score
    assert all(0 < float(score) < 0.3 for score in scores)
    assert run("locate", images, *rest, "--method", FAKE, "--out", tmp_path / "a") == 0
    assert capsys.readouterr().err.count(line) == 1
    assert run("locate", images, *rest, "--method", FAKE, "--out", tmp_path / "a", "--json") == 0
    assert json.loads(capsys.readouterr().out)["untrusted"] == 24
    plain = ("--method", "sensitivity", "--out", tmp_path / "b", "--json")
    assert run("locate", images, *rest, *plain) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["untrusted"] is None
    assert "trusted" not in said.err
    assert run("locate", images, *rest, "--method", FAKE, "--min-score", "1") == 0
    assert capsys.readouterr().out.count("no box") == 24


def test_shares_of_maps_survive_the_file_and_are_as_many_as_the_boxes() -> None:
    given: dict[str, Any] = {
        "image_id": "a.png",
        "size": (40, 160),
        "boxes": as_boxes([[0, 0, 10, 10], [5, 5, 9, 9]]),
        "labels": (1, 2),
        "label_scores": (0.5, 0.25),
        "scores": (1.0, 0.5),
    }
    found = Localization(**given, map_shares=(0.75, 0.125))
    line = json.loads(json.dumps(to_line("a.png", found)))
    again = from_line(line)
    assert isinstance(again, Localization)
    assert again.map_shares == (0.75, 0.125)
    del line["map_shares"]  # a line from before there were any, or of scores that are the shares
    old = from_line(line)
    assert isinstance(old, Localization)
    assert old.map_shares == ()
    assert "map_shares" not in to_line("a.png", old)
    with pytest.raises(ValueError, match="1 map_shares, 2 boxes: one each a box"):
        Localization(**given, map_shares=(0.75,))
