"""The demo does the main job on what is built in, and beats the constant boxes by far."""

from pathlib import Path

import pytest

import gradbox
from gradbox.demo import DAM, demo
from gradbox.models.load import SCENES


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
def test_the_demo_beats_the_constant_boxes_by_far(tmp_path: Path) -> None:
    shown = demo(tmp_path / "demo", count=120)
    metrics = shown.comparison.metrics
    assert metrics is not None
    corloc = {row["run"]: (row["corloc"], row["supervision"]) for row in metrics["runs"]}
    assert corloc[f"{DAM} | mass"] > (0.7, "none")
    assert corloc[f"{DAM} | ridge(features=quantiles)"] > (0.7, "60 boxes")
    assert all(row["corloc"] < 0.25 for row in metrics["baselines"].values())
    assert len(list(shown.pictures.iterdir())) == 12
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
