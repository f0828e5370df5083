"""Options that do not go together, or mean nothing, are one line, before a model is loaded."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradbox import cli
from gradbox.cli.model_options import ModelOptions
from gradbox.errors import UsageError
from gradbox.models.compiling import Compiled

Complaint = Callable[..., str]


@pytest.fixture
def complaint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Complaint:
    """Runs a command that is refused, and gives its one line; no folder was made."""

    def run(*words: object) -> str:
        out = tmp_path / "out"
        monkeypatch.setattr(sys, "argv", ["gradbox", *map(str, words), "--out", str(out)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 2
        assert not out.exists()
        (line,) = capsys.readouterr().err.splitlines()
        return line.removeprefix("gradbox: ")

    return run


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--near-top", 2), "near_top=2.0: a share, 0 < R <= 1"),
        (("--near-top", 0), "near_top=0.0: a share, 0 < R <= 1"),
        (("--near-top", "nan"), "near_top=nan: a share, 0 < R <= 1"),
        (("--label", "disc", "--top", 2), "leave out one"),
        (("--label", "disc", "--near-top", 0.5), "leave out one"),
        (("--top", 4), "top=4: the network has 3 classes"),
        (
            ("--layer", "1", "--method", "sensitivity"),
            "--layer 1: sensitivity would not look into it",
        ),
        (("--layer", "1", "--method", "dam(layer='3')"), "--layer 1: dam(layer='3') would not"),
        (("--layer", "9"), "has no layer '9'"),
        (("--layer", "9", "--method", "dam"), "has no layer '9'"),
    ],
)
def test_an_option_without_an_effect_is_refused(
    options: tuple[object, ...], said: str, discs: Path, card: Path, complaint: Complaint
) -> None:
    assert said in complaint("locate", discs / "images", "--model", card, *options)


MISTYPED = [
    (("--method", "sensitivty"), "did you mean sensitivity"),
    (("--method", "sensitivity(reduce=maximum)"), "is not one of mean, max"),
    (("--box", "mass(flor=0.1)"), "did you mean floor"),
    (("--box", "ridge(nowhere.safetensors)"), "nowhere.safetensors"),
    (("--dtype", "float31"), "did you mean float32"),
    (("--device", "gpu"), "unknown device"),
    (("--format", "cocoo"), "did you mean coco"),
    (("--format", "nowhere.py:write"), "no such file"),
]


@pytest.mark.parametrize(("options", "said"), MISTYPED)
@pytest.mark.parametrize("command", ["locate", "evaluate"])
def test_what_is_mistyped_is_told_before_the_model_is_loaded(
    command: str, options: tuple[str, ...], said: str, discs: Path, complaint: Complaint
) -> None:
    # There is no such model: whoever looked for it first would complain of that.
    source = discs / "images" if command == "locate" else f"csv:{discs}"
    assert said in complaint(command, source, "--model", "nowhere.toml", *options)


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("fit", ("--method", "sensitivty"), "did you mean sensitivity"),
        ("fit", ("--box", "rigde"), "did you mean ridge"),
        ("fit", ("--class-from", "true"), "use truth, predicted or none"),
        ("fit", ("--part", "2"), "needs a --split"),
        ("compare", ("--run", "sensitivity | mas"), "did you mean mass"),
        ("compare", ("--run", "dm"), "did you mean dam"),
        ("evaluate", ("--class-from", "true"), "use truth, predicted or none"),
    ],
)
def test_so_it_is_by_the_other_commands(
    command: str, options: tuple[str, ...], said: str, discs: Path, complaint: Complaint
) -> None:
    assert said in complaint(command, f"csv:{discs}", "--model", "nowhere.toml", *options)


def test_a_layer_is_used_where_one_of_the_runs_looks_into_it(card: Path) -> None:
    loading = ModelOptions(layer="1", device="cpu")
    assert loading.classifier(str(card), methods=["sensitivity", "dam"]).layer == "1"
    with pytest.raises(UsageError, match="sensitivity and peer would not look into it"):
        loading.classifier(str(card), methods=["sensitivity", "peer"])


@pytest.mark.parametrize("command", ["locate", "evaluate", "compare"])
@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_is_no_folder_for_maps(
    command: str, below: str, discs: Path, complaint: Complaint
) -> None:
    file = discs / "boxes.csv"
    before = file.read_bytes()
    source = discs / "images" if command == "locate" else f"csv:{discs}"
    run = ("--run", "sensitivity") if command == "compare" else ()
    call = (command, source, "--model", "nowhere.toml", *run, "--save-maps", file / below)
    assert f"{file} is a file: give a folder" in complaint(*call)
    assert file.read_bytes() == before


def test_a_layer_of_a_card_that_is_not_there_is_told_whatever_the_method(
    discs: Path, card: Path, complaint: Complaint
) -> None:
    card.write_text(card.read_text().replace("[model]", '[model]\nlayer = "conv9"'))
    for method in ("sensitivity", "dam", "peer"):
        call = ("locate", discs / "images", "--model", card, "--method", method)
        assert "has no layer 'conv9'; the names start with 0, 1, 2" in complaint(*call)


@pytest.mark.parametrize("compiled", [True, False])
def test_compile_reaches_the_network(compiled: bool):
    runner = ModelOptions(device="cpu", compiled=compiled).classifier("gradbox/scenes", []).runner
    assert isinstance(runner.network(whole=True), Compiled) == compiled
    assert not isinstance(runner.network(["head"]), Compiled)
