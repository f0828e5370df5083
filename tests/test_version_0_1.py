"""Files that version 0.1 wrote, with its own command line: `data/version_0_1`.

    gradbox evaluate scenes:3,size=64 --model gradbox/scenes --device cpu --method sensitivity \
        --box 'threshold(0.3)' --out run --save-maps maps
    gradbox fit scenes:16,seed=1,size=64 --model gradbox/scenes --device cpu --out box.safetensors
    gradbox evaluate scenes:3,size=64 --model gradbox/scenes --device cpu \
        --box 'ridge(box.safetensors)' --out learned
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import gradbox
from gradbox.reports.report import write_report
from gradbox.results.failures import Failures

OLD = Path(__file__).parent / "data" / "version_0_1"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, which is the working directory."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def evaluate(out: str, **options: object) -> dict[str, object]:
    report = gradbox.evaluate(
        gradbox.load_dataset("scenes:3,size=64"),
        gradbox.load_classifier("gradbox/scenes", device="cpu"),
        Path(out),
        **options,  # type: ignore[arg-type]
    )
    assert report.metrics is not None
    return dict(report.metrics)


def test_a_run_is_read_and_not_gone_on_with(old: Path) -> None:
    before = (old / "run" / "predictions.jsonl").read_bytes()
    assert len(dict(gradbox.read_predictions(old / "run" / "predictions.jsonl"))) == 3
    with pytest.raises(gradbox.UsageError, match=r"a run of another version .* not gone on with"):
        evaluate("run", method="sensitivity", box="threshold(0.3)")
    assert (old / "run" / "predictions.jsonl").read_bytes() == before
    running = gradbox.Running(overwrite=True)
    metrics = evaluate("run", method="sensitivity", box="threshold(0.3)", running=running)
    known = json.loads((OLD / "run" / "metrics.json").read_text())
    assert metrics["mean_iou"] == pytest.approx(known["mean_iou"], abs=0.02)


def kinds(value: object, within: object) -> object:
    """The types in a tree of JSON, of the branches that are also `within` another one."""
    if isinstance(value, dict) and isinstance(within, dict):
        return {key: kinds(value.get(key, "missing"), other) for key, other in within.items()}
    return list if isinstance(value, list) else type(value)


def test_what_metrics_said_is_said_in_the_same_place(old: Path) -> None:
    known = json.loads((OLD / "run" / "metrics.json").read_text())
    metrics = evaluate("new", method="sensitivity", box="threshold(0.3)")
    assert kinds(metrics, known) == kinds(known, known)
    assert set(metrics) - set(known) == {"calibration", "detection"}


def test_a_report_is_made_of_metrics_that_lack_what_came_later(tmp_path: Path) -> None:
    known = json.loads((OLD / "run" / "metrics.json").read_text())
    write_report(
        tmp_path / "report.html",
        title="old",
        runs={known["run"]: known},
        context=known,
        cases=[],
        failures=Failures(),
        facts={},
    )
    text = (tmp_path / "report.html").read_text("utf-8")
    assert 'id="masks"' in text
    assert 'id="detections"' not in text


def test_the_same_call_gives_the_same_predictions(old: Path) -> None:
    evaluate("new", method="sensitivity", box="threshold(0.3)")
    ours, theirs = (
        [json.loads(line) for line in (old / name / "predictions.jsonl").read_text().splitlines()]
        for name in ("new", "run")
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one["boxes"], other["boxes"], atol=2)
        assert one["labels"] == other["labels"]


def test_saved_maps_are_read_and_not_gone_on_with(old: Path) -> None:
    store = gradbox.open_maps(old / "maps")
    assert len(store) == 3
    array, scales = (np.load(old / "maps" / f"{name}.npy") for name in ("maps", "scales"))
    for i, image_id in enumerate(store.images):
        expected = array[i].astype(np.float32) * scales[i]
        np.testing.assert_array_equal(store[image_id], expected)
    running = gradbox.Running(save_maps=old / "maps")
    with pytest.raises(gradbox.UsageError, match="maps of another version"):
        evaluate("new", method="sensitivity", box="threshold(0.3)", running=running)


@pytest.mark.slow
def test_a_regressor_is_used(old: Path) -> None:
    before = json.loads((OLD / "learned" / "metrics.json").read_text())
    metrics = evaluate("again", method="sensitivity", box="ridge(box.safetensors)")
    assert metrics["supervision"] == before["supervision"] == "16 boxes"
    assert metrics["mean_iou"] == pytest.approx(before["mean_iou"], abs=0.02)
