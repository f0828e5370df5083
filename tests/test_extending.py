"""The page on extending: its code runs, by value, by file and by entry point."""

import importlib
import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import gradbox
from gradbox import registry
from gradbox.cli import main
from gradbox.exports import FORMATS
from gradbox.registry import Registry

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files in a folder of their own, which is the working directory."""
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name is not None
        (tmp_path / name[1]).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def pairs(files: Path) -> Path:
    """Three dark pictures with a bright square, whose box lies beside in a text file."""
    folder = files / "pictures"
    folder.mkdir()
    for i in range(3):
        image = Image.new("RGB", (64, 64))
        image.paste((250, 250, 250), (8 + 8 * i, 16, 32 + 8 * i, 48))
        image.save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"{8 + 8 * i} 16 {32 + 8 * i} 48")
    return folder


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["gradbox", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_everything_on_the_page_by_file_on_the_command_line(
    pairs: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        *("evaluate", f"pairs.py:load_pairs:{pairs}", "--model", card, "--out", "out"),
        *("--method", "brightness.py:Brightness(power=3)", "--box", "around.py:Around(0.7)"),
        *("--format", "sizes.py:write_sizes"),
    )
    assert run(*words, monkeypatch=monkeypatch) == 0
    # The bright square is found to the pixel: the input of the card is the picture's own size.
    assert json.loads(Path("out/metrics.json").read_text())["mean_iou"] == 1.0
    call = json.loads(Path("out/run.json").read_text())["call"]
    assert call["method"] == "brightness.py:Brightness(power=3.0)"
    assert call["box"] == "around.py:Around(share=0.7)"
    assert call["class_from"] == "none"
    assert Path("out/sizes.tsv").read_text() == "object\t24.0\t32.0\n" * 3
    assert run(*words, monkeypatch=monkeypatch) == 0  # and goes on


def test_the_network_of_another_task_on_the_page(
    pairs: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its box has no class, by name and by value, and is the same."""
    block = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)[0]
    Path("card.toml").write_text(block + "[input]\nsize = [64, 64]\n")
    segments, targets = (importlib.import_module(name) for name in ("segments", "targets"))
    torch.manual_seed(0)
    save_file(segments.Segments().state_dict(), "weights.safetensors")
    words = ("locate", pairs, "--model", "card.toml", "--out", "segmented", "--method")
    method = "sensitivity(target=targets.py:object_score)"
    assert run(*words, method, monkeypatch=monkeypatch) == 0
    lines = [
        json.loads(one) for one in Path("segmented/predictions.jsonl").read_text().splitlines()
    ]
    network = gradbox.load_classifier("card.toml", device="cpu")
    own = gradbox.Sensitivity(target=targets.object_score)
    for line in lines:
        found = gradbox.localize(pairs / line["image"], network, method=own)
        assert line["labels"] == [None] == list(found.labels)
        assert line["boxes"][0] == pytest.approx(found.boxes[0].tolist(), abs=0.1)
    torch.save(torch.ones(3), "reference.pt")
    outputs = gradbox.Outputs(torch.zeros(1, 3, 2, 2), None, {}, output=torch.tensor([[2.0, 2, 2]]))
    assert targets.likeness(outputs).tolist() == pytest.approx([1.0])


def test_everything_on_the_page_by_value(pairs: Path, card: Path) -> None:
    brightness, around = (importlib.import_module(name) for name in ("brightness", "around"))
    load_pairs = importlib.import_module("pairs").load_pairs
    network = gradbox.load_classifier(str(card), device="cpu")
    methods = (brightness.Brightness(), brightness.BrightnessMaps(2.0))
    for i, method in enumerate(methods):
        report = gradbox.evaluate(
            load_pairs(str(pairs)), network, Path(f"out{i}"), method=method, box=around.Around()
        )
        assert report.metrics is not None
        assert report.metrics["mean_iou"] == 1.0


class FakePoint(EntryPoint):
    """An entry point of a package that is not installed."""

    def load(self) -> object:
        if self.value == "broken:Broken":
            raise ImportError("no module named broken")
        return super().load()


def test_an_installed_package_adds_names(
    files: Path, card: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(group: str) -> list[EntryPoint]:
        points = {
            "gradbox.methods": [
                ("brightness", "brightness:Brightness"),
                ("dam", "x:Other"),
                ("broken", "broken:Broken"),
            ],
            "gradbox.exports": [("sizes", "sizes:write_sizes")],
        }
        return [FakePoint(name, value, group) for name, value in points.get(group, [])]

    monkeypatch.setattr(registry, "entry_points", found)
    from gradbox.methods import METHODS

    monkeypatch.setattr(METHODS, "_points", None)
    monkeypatch.setattr(METHODS, "_loaded", dict(METHODS._loaded))
    monkeypatch.setattr(FORMATS, "_points", None)
    monkeypatch.setattr(FORMATS, "_loaded", dict(FORMATS._loaded))
    network = gradbox.load_classifier(str(card), device="cpu")
    dataset = importlib.import_module("pairs").load_pairs(str(pairs))
    running = gradbox.Running(formats=("sizes",))
    out = files / "out"
    gradbox.evaluate(dataset, network, out, method="brightness", running=running)
    assert (out / "sizes.tsv").exists()
    call = json.loads((out / "run.json").read_text())["call"]
    assert call["method"] == "brightness(power=2.0)"
    assert METHODS["dam"] is gradbox.Dam  # gradbox's own names go first
    with pytest.raises(gradbox.UsageError, match=r"'broken' comes from .*no module named broken"):
        gradbox.evaluate(dataset, network, files / "b", method="broken")
    assert {"brightness", "broken"} <= set(METHODS)


def test_a_registry_without_packages_has_its_own_names_alone() -> None:
    own = Registry("gradbox.no_such_group", {"a": 1})
    assert (list(own), len(own), "a" in own, "b" in own) == (["a"], 1, True, False)
    with pytest.raises(KeyError):
        own["b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.py:Brightness", "no such file"),
        ("brightness.py:Brightnes", "did you mean Brightness"),
        ("brightness.py:Brightness(pow=1)", "no option 'pow'"),
        ("around.py:Around", "is no method"),
    ],
)
def test_a_wrong_file_is_explained(text: str, message: str, files: Path, card: Path) -> None:
    network = gradbox.load_classifier(str(card), device="cpu")
    with pytest.raises(gradbox.UsageError, match=message):
        gradbox.evaluate(gradbox.load_dataset("scenes:3"), network, files / "out", method=text)
