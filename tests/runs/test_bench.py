"""`gradbox bench`: what it measures, and what it says."""

import json
from pathlib import Path

import pytest
from commands import run
from fakes import FakeLocalizer

from gradbox.errors import UsageError
from gradbox.images.batches import WORKERS
from gradbox.localization import Sample
from gradbox.models.load import load_classifier
from gradbox.runs.batch_size import MOST
from gradbox.runs.bench import Bench, Rate, bench


def test_the_command_says_rates_and_the_best_settings(
    card: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("bench", card, "--data", photos, "--seconds", "0.2", "--method", "gradcam", "--device")
    assert run(*words, "cpu") == 0
    said = capsys.readouterr().out
    assert "gradcam" in said
    assert "hours for a million" in said
    assert "best: --batch-size" in said
    assert run(*words, "cpu", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["methods"]) == ["gradcam"]
    assert 1 <= found["workers"] <= WORKERS
    assert found["batch_size"] <= MOST["cpu"]
    for rate in (found["decoding"], found["forward"], *found["methods"].values()):
        assert 0 < rate["low"] <= rate["median"] <= rate["high"]


def test_without_data_and_methods_it_takes_what_is_built_in(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bench", card, "--seconds", "0.2", "--json", "--device", "cpu") == 0
    assert list(json.loads(capsys.readouterr().out)["methods"]) == ["auto", "dam"]


def test_hours_for_a_million() -> None:
    """By hand: 10 and 40 images a second that share the cores are 8; a GPU waits for the 10."""
    rate, faster = Rate(10.0, 9.0, 11.0), Rate(40.0, 40.0, 40.0)
    facts = {"model": "a", "threads": 2, "images": 1, "workers": 2, "batch_size": 8}
    for device, together in (("cpu", 8), ("cuda", 10)):
        found = Bench(device=device, decoding=rate, forward=faster, methods={"a": faster}, **facts)
        assert found.hours == pytest.approx({"a": 1e6 / together / 3600})


def test_images_that_cannot_be_used_are_an_error(card: Path) -> None:
    network = load_classifier(str(card), device="cpu")
    with pytest.raises(UsageError, match="none of 1 images can be used"):
        bench(network, [Sample(image_id="a", source="missing.png")], methods=[FakeLocalizer()])
