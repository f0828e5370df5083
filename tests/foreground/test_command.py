"""`gradbox foreground train` as a user meets it."""

import shlex
from pathlib import Path

import pytest
from commands import run

from gradbox.foreground import training
from gradbox.foreground.head import Head

SHORT = ("--size", 64, "--epochs", 1)


def test_a_head_is_trained_and_used_as_the_last_line_says(
    tmp_path: Path, discs: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "head.safetensors"
    assert run("foreground", "train", f"csv:{discs}", "scenes:2", *SHORT, "--out", out) == 0
    said = capsys.readouterr().out
    assert said.startswith("trained on 26 boxes of 26 images")
    assert Head.load(out).origin.trained_on == ("discs", "scenes:2")
    use = shlex.split(said.partition("use it with ")[2])
    (image,) = (discs / "images").glob("00.png")
    assert run("locate", image, "--model", card, *use) == 0
    assert "object" in capsys.readouterr().out
    assert run("evaluate", f"csv:{discs}", "--model", card, *use, "--out", tmp_path / "o") == 2
    assert "was fitted on 24 of these images" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scenes:3", "--out", "{out}/a.safetensors"), "3 of 3 images have a box"),
        (("scenes:12", "--out", "{out}"), "is a folder"),
        (("scenes:12", "--out", "{out}/there"), "is there already"),
        (("nonsense", "--out", "{out}/a.safetensors"), "nonsense"),
        (("scenes:12", "--size", "8", "--out", "{out}/a.safetensors"), "32 or more"),
        (("scenes:12", "--backbone", "vgg", "--out", "{out}/a.safetensors"), "cannot be 'vgg'"),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
    tmp_path: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").write_text("mine")
    assert run("foreground", "train", *(word.format(out=tmp_path) for word in words)) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("stage", ["looking", "epoch 1 of 1"])
def test_ctrl_c_leaves_no_file(tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(groups: object, _count: int, title: str) -> object:
        if title == stage:
            raise KeyboardInterrupt
        return groups

    monkeypatch.setattr("gradbox.cli.foreground.track", stopping)
    monkeypatch.setattr(training, "FEWEST", 2)
    out = tmp_path / "head.safetensors"
    assert run("foreground", "train", "scenes:4", *SHORT, "--out", out) == 130
    assert list(tmp_path.iterdir()) == []
