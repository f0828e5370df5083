"""`--reduced`: it reaches the decoder, and a run with it is another one."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import run
from PIL import Image

from gradbox.images import sources


def test_a_run_over_reduced_jpegs_says_so_and_is_another_one(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """512 pixels are four times twice the input of 64; the boxes stay in the 512."""
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((512, 512)).save(tmp_path / "photos" / "a.jpg")
    steps = []
    made = sources.Wanted.of_jpeg
    monkeypatch.setattr(
        sources.Wanted, "of_jpeg", lambda *given: steps.append(made(*given)) or steps[-1]
    )
    words = ("locate", tmp_path / "photos", "--model", card, "--method", "gradcam", "--quiet")
    assert run(*words, "--reduced", "--out", tmp_path / "out") == 0
    assert steps == [4]
    assert (
        "reduced"
        in json.loads((tmp_path / "out" / "run.json").read_text())["call"]["preprocessing"]
    )
    line = json.loads((tmp_path / "out" / "predictions.jsonl").read_text())
    assert (line["height"], line["width"]) == (512, 512)
    assert run(*words, "--out", tmp_path / "out") == 2
    assert "preprocessing was" in capsys.readouterr().err
    assert run(*words, "--out", tmp_path / "whole") == 0
    assert steps == [4, 1]


def test_it_is_refused_where_it_would_do_nothing(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg")
    words = ("locate", tmp_path / "a.jpg", "--model", card, "--reduced")
    assert run(*words, "--method", "auto", "--out", tmp_path / "out") == 2
    assert "--reduced does nothing for auto" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
