"""`gradbox again` makes the same call elsewhere, and says whether the same was found."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import run

import gradbox
from gradbox.images.find import find_images


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text("utf-8"))


@pytest.fixture
def here(discs: Path, card: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a call was typed, with a run `first`."""
    monkeypatch.chdir(discs.parent)
    how = ("--method", "sensitivity", "--top", 2, "--format", "csv", "--quiet")
    words = ("discs/images", "--model", "model/card.toml", "--save-maps", "maps")
    assert run("locate", *words, "--out", "first", *how) == 0
    return discs.parent


def test_the_same_call_elsewhere_finds_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From another folder; where it was typed is what its relative paths mean."""
    maps = {file: file.stat().st_mtime_ns for file in (here / "maps").rglob("*")}
    (here / "other").mkdir()
    monkeypatch.chdir(here / "other")
    assert run("again", "../first", "--out", "second") == 0
    assert Path.cwd() == here / "other"
    assert "first: the same in 24 of 24 images" in capsys.readouterr().out
    second = here / "other" / "second"
    for name in ("predictions.jsonl", "boxes.csv", "images.jsonl"):
        assert (second / name).read_bytes() == (here / "first" / name).read_bytes()
    assert facts(second)["call"] == facts(here / "first")["call"]
    assert facts(second)["asked"]["folder"] == str(here)
    assert {file: file.stat().st_mtime_ns for file in (here / "maps").rglob("*")} == maps
    assert run("again", "second", "--out", "third") == 0  # a repetition can be repeated


def test_what_is_not_as_before_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = here / "model" / "network.py"
    card.write_text(card.read_text().replace("manual_seed(0)", "manual_seed(1)"))
    shutil.copy(here / "discs/images/00.png", here / "discs/images/01.png")
    assert run("again", "first", "--out", "second") == 0
    said = capsys.readouterr().err
    assert "not the same, such as 00.png: the images are others; weights_hash was" in said


def test_failed_images_stay_failed_and_give_the_exit_code(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "discs/images/00.png").write_bytes(b"none")
    how = ("--model", "model/card.toml", "--method", "sensitivity")
    assert run("locate", "discs/images", *how, "--out=with", "--overwrite") == 1
    assert facts(here / "with")["asked"]["words"] == ["locate", "discs/images", *how]
    capsys.readouterr()
    assert run("again", "with", "--out", "again") == 1
    assert "with: the same in 24 of 24 images" in capsys.readouterr().out


def test_an_evaluation_and_a_comparison_are_repeated(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("csv:discs", "--model", "model/card.toml", "--limit", 6)
    assert run("evaluate", *data, "--method", "sensitivity", "--out", "scores") == 0
    assert run("again", "scores", "--out", "scores2") == 0
    metrics = [
        json.loads((here / one / "metrics.json").read_text()) for one in ("scores", "scores2")
    ]
    assert metrics[0]["corloc"] == metrics[1]["corloc"]
    runs = ("--run", "sensitivity | mass", "--run", "sensitivity | center(0.8)")
    assert run("compare", *data, *runs, "--out", "table") == 0
    capsys.readouterr()
    assert run("again", "table", "--out", "table2") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "the same in" in line]
    assert len(said) == 2
    assert all(line.endswith("the same in 6 of 6 images") for line in said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"asked": None}, "first was made from Python, or by a version that did not keep"),
        ({"asked": {"words": ["rm"], "folder": "."}}, "`asked` holds no command of gradbox"),
        ({"asked": "locate"}, "`asked` holds no command of gradbox"),
        ({"asked": {"words": ["locate"], "folder": "gone"}}, "made in gone, which is not there"),
    ],
)
def test_a_run_that_cannot_be_repeated_is_one_line(
    change: dict[str, Any], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "first" / "run.json").write_text(json.dumps({**facts(here / "first"), **change}))
    assert run("again", "first", "--out", "second") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not os.path.exists("second")


def test_the_run_itself_is_no_place_for_its_repetition(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("again", "first", "--out", "first/../first") == 2
    assert "is the run itself: give another folder" in capsys.readouterr().err


def test_a_run_of_python_has_no_words(here: Path) -> None:
    classifier = gradbox.load_classifier("model/card.toml", device="cpu")
    out = here / "python"
    gradbox.locate(find_images([here / "discs"]), classifier, out, method="sensitivity")
    assert facts(out)["asked"] is None
