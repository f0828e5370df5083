"""`gradbox fit` for `auto` as a user meets it."""

import json
import shlex
from pathlib import Path

import pytest
from commands import run

from gradbox.auto.fitted import Fitted


@pytest.mark.slow
@pytest.mark.foreground
def test_few_boxes_are_learned_from_and_used_as_the_last_line_says(
    tmp_path: Path, discs: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = (f"csv:{discs}", "--model", card, "--split", "0.5/0.5")
    file = tmp_path / "fit.safetensors"
    method = "auto(foreground=false, share=0.6)"
    assert run("fit", *common, "--part", 1, "--method", method, "--out", file) == 0
    said = capsys.readouterr().out
    for step in ("as it is", "settings", "choice", "calibration"):
        assert f"│ {step} " in said
    assert "last layer" not in said  # there is no foreground head
    fitted = Fitted.load(file)
    assert (fitted.origin.n_images, fitted.origin.n_boxes) == (12, 12)
    (use,) = (line for line in said.splitlines() if "use it with" in line)
    words = shlex.split(use.partition("use it with ")[2].removesuffix(" and the same --model"))
    assert words == ["--method", f"auto(foreground=false, fitted={file})"]
    out = tmp_path / "scores"
    assert run("evaluate", *common, "--part", 2, *words, "--out", out) == 0
    assert json.loads((out / "run.json").read_text())["supervision"] == "12 boxes"
    assert run("evaluate", *common, "--part", 1, *words, "--out", tmp_path / "o") == 2
    assert "was fitted on 12 of these images" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.foreground
@pytest.mark.slow
def test_scenes_teach_the_last_layer_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has all steps, and what the head was taught by is in the stamp."""
    file = tmp_path / "fit.safetensors"
    scenes = ("scenes:12,seed=3,size=64", "--model", "gradbox/scenes", "--device", "cpu")
    assert run("fit", *scenes, "--out", file) == 0
    assert "│ last layer " in capsys.readouterr().out
    others = ("scenes:4,seed=4,size=64", "--model", "gradbox/scenes", "--device", "cpu")
    used = ("--method", f"auto(fitted='{file}')", "--out", tmp_path / "o")
    assert run("evaluate", *others, *used) == 0
    stamp = json.loads((tmp_path / "o" / "run.json").read_text())["supervision"]
    assert stamp.startswith("foreground head: ")
    assert stamp.endswith(", 12 boxes")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--limit", "5"), "5 images with a box and a map are too few"),
        (("--method", "sensitivity", "--box", "auto"), "box auto is for the method auto"),
        (("--method", "auto(fitted=none.safetensors)"), "there is no file none.safetensors"),
        (("--box", "mass"), "mass has nothing to fit"),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
    tmp_path: Path,
    discs: Path,
    card: Path,
    words: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "fit.safetensors"
    usual = () if "--method" in words else ("--method", "auto(foreground=false)")
    assert run("fit", f"csv:{discs}", "--model", card, *usual, *words, "--out", file) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not file.exists()
