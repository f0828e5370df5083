"""The demo does the main job on what is built in, and beats the constant boxes by far."""

import sys
from pathlib import Path

import pytest
from PIL import Image

import gradbox
from gradbox.cli.demo import demo
from gradbox.demo.photographs import show_photographs
from gradbox.demo.scenes import DAM, show_scenes
from gradbox.models.load import SCENES
from gradbox.results.predictions import read_predictions
from gradbox.runs.execution import Running


@pytest.mark.slow
def test_the_shipped_classifier_recognizes_fresh_scenes() -> None:
    """Its log says 98 % of held-out scenes; of 90 of another seed, 90 % leaves room for chance."""
    classifier = gradbox.load_classifier(SCENES, device="cpu")
    samples = gradbox.load_dataset("scenes:90,seed=77,size=128").samples
    found = gradbox.localize([sample.source for sample in samples], classifier, batch_size=30)
    names = [
        classifier.class_name(one.labels[0])
        for one in found
        if isinstance(one, gradbox.Localization)
    ]
    right = sum(name == sample.label for name, sample in zip(names, samples, strict=True))
    assert right >= 81


@pytest.mark.slow
def test_photographs_are_located_and_drawn_on_one_sheet(tmp_path: Path) -> None:
    shown = show_photographs(tmp_path, Running())
    assert (shown.recognized.n_images, shown.recognized.failures) == (7, {})
    assert shown.named is not None
    ((_, named),) = read_predictions(shown.named.folder / "predictions.jsonl")
    assert isinstance(named, gradbox.Localization)
    assert named.names == ("space shuttle",)
    assert named.labels[0] != named.top_labels[0]  # it was asked for, not recognized
    with Image.open(shown.sheet) as sheet:
        assert min(sheet.size) > 1500  # eight pictures of 984 x 360 to 984 x 520, two in a row


@pytest.mark.slow
def test_without_the_classifier_the_demo_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr("gradbox.demo.scenes.COUNT", 20)
    demo(tmp_path)
    said = capsys.readouterr()
    assert "left out: efficientnet_lite0 needs timm: pip install" in said.err
    assert str(tmp_path / "report.html") in said.out
    assert "photographs.jpg" not in said.out


@pytest.mark.slow
def test_the_demo_beats_the_constant_boxes_by_far(tmp_path: Path) -> None:
    shown = show_scenes(tmp_path, Running(overwrite=True), count=120, full=False)
    metrics = shown.comparison.metrics
    assert metrics is not None
    corloc = {row["run"]: (row["corloc"], row["supervision"]) for row in metrics["runs"]}
    assert corloc[f"{DAM} | mass"] > (0.7, "none")
    assert corloc[f"{DAM} | ridge(features=quantiles)"] > (0.7, "60 boxes")
    assert all(row["corloc"] < 0.25 for row in metrics["baselines"].values())
    assert len(list(shown.pictures.iterdir())) == 12
    assert (tmp_path / "report.html").stat().st_size > 10_000
