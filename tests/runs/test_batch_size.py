"""The images of one pass: more while that pays, half where memory ends, the results the same."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from commands import run
from fakes import FakeLocalizer

import gradbox
from gradbox.errors import GradboxWarning
from gradbox.images.batches import to_batch
from gradbox.localization import Batch, Found
from gradbox.models.load import load_classifier
from gradbox.runs.batch_size import MOST, START, BatchSize
from gradbox.runs.execution import Running


@dataclass(frozen=True)
class Tight(FakeLocalizer):
    """A fake on a GPU whose memory ends at so many images."""

    holds: int = 3
    passes: list[int] = field(default_factory=list)

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        self.passes.append(len(batch))
        if len(batch) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().localize(batch, details=details)


def test_a_pass_without_memory_is_done_again_in_halves_and_the_lines_are_the_same(
    card: Path, discs: Path, tmp_path: Path
) -> None:
    """By hand: of 24 images 10 are too many, then twice 5; the rest goes two at a time."""
    network = load_classifier(str(card), device="cpu")
    samples, tight = gradbox.load_dataset(f"csv:{discs}").samples, Tight()
    with pytest.warns(GradboxWarning) as said:
        gradbox.locate(
            samples, network, tmp_path / "tight", method=tight, running=Running(batch_size=10)
        )
    assert [str(one.message).split(" in one")[0] for one in said] == [
        f"out of memory with {count} images" for count in (10, 5, 5)
    ]
    gradbox.locate(samples, network, tmp_path / "usual", method=FakeLocalizer())
    lines = [(tmp_path / one / "predictions.jsonl").read_bytes() for one in ("tight", "usual")]
    assert lines[0] == lines[1]
    assert tight.passes == [10, 5, 2, 2, 1, 5, 2, 2, 1] + [2] * 7
    facts = json.loads((tmp_path / "tight" / "run.json").read_text())
    assert facts["batch"] == {"size": 2, "out_of_memory": 3}
    assert "batch" not in json.loads((tmp_path / "usual" / "run.json").read_text())


def test_one_image_without_memory_is_an_error_of_it(card: Path, discs: Path) -> None:
    found = gradbox.localize(
        [discs / "images" / "00.png"],
        load_classifier(str(card), device="cpu"),
        method=Tight(holds=0),
    )
    assert "OutOfMemoryError: CUDA out of memory" in str(next(found))


@pytest.mark.parametrize(
    ("rates", "size"),
    [
        # Images a second of two passes of each size; of the two the faster counts.
        ([10, 20, 20.9, 20.5], START),  # 4.5 % more than 20: it does not pay
        ([10, 20, 22, 22, 22.5, 22.5], 2 * START),
        ([10, 20, 30, 30, 40, 40], MOST["cpu"]),  # the most that is tried
    ],
)
def test_it_doubles_while_that_pays(rates: list[float], size: int) -> None:
    batch = BatchSize("auto", "cpu")
    for rate in rates:
        assert batch.grows
        batch.took(batch.now, batch.now / rate)
    assert (batch.now, batch.grows) == (size, False)
    assert batch.about == {"batch": {"size": size}}


def test_memory_ends_the_growth_and_a_rest_of_a_folder_says_nothing_of_it() -> None:
    batch = BatchSize("auto", "cuda")
    for _ in range(4):
        batch.took(3, 1.0)
    assert batch.now == START
    for rate in (10, 20):
        batch.took(START, START / rate)
    with pytest.warns(GradboxWarning):
        batch.halve(2 * START)
    batch.took(START, 1e-9)
    assert (batch.now, batch.grows) == (START, False)


def test_auto_finds_a_size_and_run_json_says_which(card: Path, discs: Path, tmp_path: Path) -> None:
    words = ("locate", discs / "images", "--model", card, "--method", "gradcam", "--quiet")
    assert run(*words, "--batch-size", "auto", "--workers", "auto", "--out", tmp_path / "a") == 0
    assert run(*words, "--batch-size", "3", "--workers", "1", "--out", tmp_path / "b") == 0
    said = json.loads((tmp_path / "a" / "run.json").read_text())
    assert said["batch"]["size"] in (START, 2 * START, MOST["cpu"])
    assert run(*words, "--out", tmp_path / "a") == 0  # nothing is left to do: it stays
    assert json.loads((tmp_path / "a" / "run.json").read_text())["batch"] == said["batch"]
    counts = [len((tmp_path / one / "predictions.jsonl").read_text().splitlines()) for one in "ab"]
    assert counts == [24, 24]


@pytest.mark.parametrize("option", ["--batch-size", "--workers"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_other_words_are_refused(
    card: Path, discs: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("locate", discs / "images", "--model", card, option, value) == 2
    assert "write a number from 1, or auto" in " ".join(capsys.readouterr().err.split())


def test_only_a_classifier_on_a_gpu_gets_pinned_pixels(
    card: Path, discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        "gradbox.runs.plan.to_batch",
        lambda loaded, *, pinned: asked.append(pinned) or to_batch(loaded),
    )
    network, image = load_classifier(str(card), device="cpu"), discs / "images" / "00.png"
    gradbox.localize(image, network, method=FakeLocalizer())
    gradbox.localize(image, replace(network, device=torch.device("cuda")), method=FakeLocalizer())
    assert asked == [False, True]
