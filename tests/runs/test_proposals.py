"""Proposals of whole runs: kept, scored, exported, compared; and a box learned from regions."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_eval import COCO

from gradbox import cli
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate, fit, locate
from gradbox.results.predictions import read_predictions
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Running
from gradbox.scores.proposals import OfImage, Proposed

pytestmark = pytest.mark.slow

DAM = "dam(kmax=4, k=2)"
LEARNED = "ridge(features=regions, folds=2)"


@pytest.fixture
def classifier(card: Path) -> Classifier:
    return load_classifier(str(card), device="cpu")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def call_of(folder: Path) -> dict[str, Any]:
    call: dict[str, Any] = json.loads((folder / "run.json").read_text())["call"]
    return call


def test_evaluate_keeps_the_best_and_scores_those_in_the_file(
    classifier: Classifier, discs: Path, out: Path
) -> None:
    dataset = load_dataset(f"csv:{discs}")
    report = evaluate(dataset, classifier, out, proposals=20)
    assert report.metrics is not None
    lines = list(read_predictions(out / "predictions.jsonl", proposals=True))
    assert all(1 <= len(one.regions) <= 20 for _, one in lines)
    truth = {sample.image_id: sample.boxes for sample in dataset.samples}
    scored = Proposed.of(
        OfImage.of(number, one.regions, truth[image_id])
        for number, (image_id, one) in enumerate(lines)
    )
    assert report.metrics["proposals"] == scored.summary()
    assert json.loads((out / "metrics.json").read_text())["proposals"]["n_true_boxes"] == 24
    assert '<table id="proposals">' in (out / "report.html").read_text()
    assert call_of(out)["proposals"] == 20
    with pytest.raises(UsageError, match="proposals was 20, is now 10"):
        evaluate(dataset, classifier, out, proposals=10)


def test_without_the_option_nothing_is_kept_or_scored(
    classifier: Classifier, discs: Path, out: Path
) -> None:
    report = evaluate(load_dataset(f"csv:{discs}"), classifier, out)
    assert report.metrics is not None
    assert "proposals" not in report.metrics
    assert '"proposals"' not in (out / "predictions.jsonl").read_text()
    assert '<table id="proposals">' not in (out / "report.html").read_text()


@pytest.mark.parametrize("method", ["sensitivity", DAM])
def test_exports_are_read_back_by_pycocotools_and_as_a_table(
    method: str, classifier: Classifier, discs: Path, out: Path
) -> None:
    samples = load_dataset(f"csv:{discs}").samples[:5]
    running = Running(formats=("coco", "csv", "voc"))
    locate(samples, classifier, out, method=method, proposals=3, running=running)
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(out / "coco.json")
        results = known.loadRes(str(out / "proposals.json"))
    with (out / "proposals.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    lines = list(read_predictions(out / "predictions.jsonl", proposals=True))
    names = {image["file_name"]: number for number, image in known.imgs.items()}
    for image_id, found in lines:
        read = results.imgToAnns[names[image_id]]
        boxes = np.array([one["bbox"] for one in read])
        boxes[:, 2:] += boxes[:, :2]
        expected = np.array([region.box for region in found.regions])
        np.testing.assert_allclose(boxes, expected)
        assert [one["score"] for one in read] == [region.score for region in found.regions]
        categories = {known.cats[one["category_id"]]["name"] for one in read}
        assert categories == {classifier.class_name(found.regions[0].label)}
        table = [row for row in rows if row["image"] == image_id]
        corners = [[float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")] for row in table]
        np.testing.assert_allclose(corners, expected)
        assert {row["class"] for row in table} == categories
    files = json.loads((out / "run.json").read_text())["files"]
    assert {"proposals.json", "proposals.csv"} <= set(files)


def test_dam_alone_exports_no_proposals(classifier: Classifier, discs: Path, out: Path) -> None:
    samples = load_dataset(f"csv:{discs}").samples[:2]
    locate(samples, classifier, out, method=DAM, running=Running(formats=("coco", "csv")))
    assert not list(out.glob("proposals.*"))


def test_on_the_command_line(
    card: Path, discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = discs / "images" / "00.png"
    for count, code in ((5, 0), (6, 2)):
        call = ["locate", image, "--model", card, "--out", tmp_path / "out", "--proposals", count]
        monkeypatch.setattr("sys.argv", ["gradbox", *map(str, call)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert (end.value.code or 0) == code
    ((_, one),) = read_predictions(tmp_path / "out" / "predictions.jsonl", proposals=True)
    assert len(one.regions) == 5


def test_a_comparison_scores_the_proposals_of_each_run(
    classifier: Classifier, discs: Path, out: Path
) -> None:
    runs = [DAM, "sensitivity | mass", f"{DAM} | {LEARNED}"]
    part = Part(shares=(0.5, 0.5))
    dataset = load_dataset(f"csv:{discs}")
    report = compare(dataset, [classifier], out, runs=runs, part=part, proposals=4)
    assert report.metrics is not None
    rows = {row["run"]: row for row in report.metrics["runs"]}
    assert set(rows) == set(runs)
    assert all(0 < row["proposals"]["n_proposals"] <= 12 * 4 for row in rows.values())
    # the learned box changes the box, not the regions
    assert rows[DAM]["proposals"] == rows[f"{DAM} | {LEARNED}"]["proposals"]
    assert rows[f"{DAM} | {LEARNED}"]["supervision"] == "12 boxes"
    with pytest.raises(UsageError, match="proposals=0"):
        compare(dataset, [classifier], out.with_name("none"), runs=runs, part=part, proposals=0)


def test_a_box_learned_from_regions_is_used_and_refused_where_it_was_learned(
    classifier: Classifier, discs: Path, tmp_path: Path
) -> None:
    dataset, file = load_dataset(f"csv:{discs}"), tmp_path / "box.safetensors"
    halves = [Part(shares=(0.5, 0.5), number=number) for number in (1, 2)]
    fitted = fit(dataset, classifier, file, method=DAM, box=LEARNED, part=halves[0])
    assert (fitted.features, fitted.grid) == ("regions", None)
    box = f"ridge({file})"
    report = evaluate(dataset, classifier, tmp_path / "2", method=DAM, box=box, part=halves[1])
    assert report.metrics is not None
    assert report.metrics["supervision"] == "12 boxes"
    with pytest.raises(UsageError, match="was fitted on 12 of these images"):
        evaluate(dataset, classifier, tmp_path / "1", method=DAM, box=box, part=halves[0])
    with pytest.raises(UsageError, match="was fitted on maps of dam"):
        evaluate(dataset, classifier, tmp_path / "3", box=box, part=halves[1])


def test_regions_as_features_need_a_method_that_has_regions(
    classifier: Classifier, discs: Path, tmp_path: Path
) -> None:
    dataset = load_dataset(f"csv:{discs}")
    for method in ("sensitivity", f"smooth({DAM})"):
        with pytest.raises(UsageError, match="has none: use dam, or features=quantiles"):
            fit(dataset, classifier, tmp_path / "a.safetensors", method=method, box=LEARNED)
    runs, part = [f"sensitivity | {LEARNED}"], Part(shares=(0.5, 0.5))
    with pytest.raises(UsageError, match="has none: use dam, or features=quantiles"):
        compare(dataset, [classifier], tmp_path / "table", runs=runs, part=part)
    assert not (tmp_path / "table").exists()
