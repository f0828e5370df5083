"""docs/own-domain.md is true: its commands run in its order, on scenes as the domain's images."""

import csv
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from gradbox import cli

PAGE = Path(__file__).parents[1] / "docs" / "own-domain.md"
SMALL = {"--arch torchvision/resnet18": "--arch small --size 48 --epochs 2"}
"""All that is run otherwise than written: no download, and seconds instead of minutes."""


def commands() -> list[str]:
    """The commands on the reader's own files; those that measured the real domain are left out."""
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    assert all(written in text for written in SMALL)
    return [line for line in lines if "$GRADBOX_ASSETS" not in line]


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def read(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_text("utf-8"))


@pytest.fixture
def domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty scenes in class folders, three unlabelled ones, thirty others with boxes and masks."""
    monkeypatch.chdir(tmp_path)
    assert run("gradbox scenes 43 --size 64 --seed 1 --out drawn", monkeypatch) == 0
    assert run("gradbox scenes 30 --size 64 --seed 2 --out boxed", monkeypatch) == 0
    with Path("drawn/meta.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    for i, row in enumerate(rows):
        # Two classes, so that each has several images: those of the first and last letters.
        label = "a-m" if row["label"] < "n" else "n-z"
        folder = Path("new") if i < 3 else Path("labelled") / label
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(Path("drawn/images") / row["image"], folder)
    return tmp_path


@pytest.mark.slow
def test_the_commands_run_in_the_order_of_the_document(
    domain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands():
        small = command
        for written, instead in SMALL.items():
            small = small.replace(written, instead)
        assert run(small, monkeypatch) == 0, f"{command}\n{capsys.readouterr().err}"

    assert {"a-m", "n-z"} == set(Path("model/classes.txt").read_text("utf-8").split())
    # Three images were new: a line and a picture each.
    assert len(Path("boxes/predictions.jsonl").read_text("utf-8").splitlines()) == 3
    assert len(list(Path("boxes/pictures").iterdir())) == 3
    # Half of the thirty boxed images taught the box, and the other half is scored.
    assert read("scores/metrics.json")["n_images"] == 15
    assert read("scores/run.json")["supervision"] == "none"
    assert read("learned/run.json")["supervision"].endswith("15 boxes")
    assert set(read("scores/metrics.json")["masks"]) == {"box_filled", "true_box_filled"}
    assert len(read("compared/compare.json")["runs"]) == 5
    assert Path("compared/report.html").exists()
    # "Refused on images that it was fitted on": those are part 1.
    scored = next(command for command in commands() if "--out learned" in command)
    assert run(scored.replace("--part 2", "--part 1"), monkeypatch) == 2
    assert "testing on the training set" in " ".join(capsys.readouterr().err.split())


def test_the_document_shows_each_step() -> None:
    shown = [shlex.split(command)[1] for command in commands()]
    assert list(dict.fromkeys(shown)) == ["train", "locate", "fit", "evaluate", "compare"]
