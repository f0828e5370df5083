"""The scripts about training run on a few pictures; what they teach is what they say."""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import blood_cells
import conv_vit
import pytest
import training_for_boxes
import transformers_at_work
from PIL import Image

from gradbox.datasets import load_dataset
from gradbox.models.efficientnet_lite import is_installed
from gradbox.training.labels import read_labels
from gradbox.training.records import TrainingOptions
from gradbox.training.train import train

VIT = f"{conv_vit.__file__}:vit(depth=1, dim=8)"


def printed(
    script: object, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> list[list[str]]:
    """The rows of all tables that a script prints, their headers left out."""
    monkeypatch.setattr(sys, "argv", ["script", *words])
    script.main()  # type: ignore[attr-defined]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("|")
    ]
    rules = [i for i, cells in enumerate(rows) if set(cells[0]) <= {"-"}]
    headers = {i - 1 for i in rules}
    return [cells for i, cells in enumerate(rows) if i not in headers and i not in rules]


@pytest.mark.slow
def test_labels_of_tiles_are_those_of_the_cells_whose_middle_they_show(
    assets: Path, tmp_path: Path
) -> None:
    """Twelve tiles fill a picture, so what its tiles have together is what it has itself."""
    samples = load_dataset(f"csv:{assets}/data/bccd").samples[:6]
    tables = {
        way.name: read_labels(str(blood_cells.write_labels(way, samples, tmp_path / way.name)))
        for way in blood_cells.WAYS
    }
    together = defaultdict(set)
    for one in tables["tiles"]:
        together[one.image_id.rsplit("_", 2)[0]] |= set(one.labels)
        with Image.open(one.sample.source) as tile:
            assert tile.size == (160, 160)
    assert len(tables["tiles"]) == 12 * 6
    assert together == {Path(one.image_id).stem: set(one.labels) for one in tables["fields"]}


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("efficientnet_lite0"), reason="needs the extra imagenet")
def test_blood_cells_go_from_labels_to_boxes_to_scores_to_files(
    assets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--out", str(tmp_path), "--learning", "12", "--limit", "3", "--epochs", "1"]
    rows = printed(blood_cells, words, monkeypatch, capsys)
    names = [cells[0] for cells in rows]
    assert names.count("`center(0.8)`") == names.count("`whole`") == 2  # once a way
    assert sum("`threshold" in name for name in names) == 4
    for way in blood_cells.WAYS:
        folders = [path.parent for path in (tmp_path / way.name / "boxes").glob("*/coco.json")]
        assert len(folders) == len(way.methods)
        for folder in folders:
            written = json.loads((folder / "coco.json").read_text())
            metrics = json.loads((folder / "metrics.json").read_text())
            assert len(written["annotations"]) == metrics["detection"]["n_predicted_boxes"]
            assert len(list((folder / "yolo").rglob("*.txt"))) >= 3


@pytest.mark.slow
def test_a_transformer_is_scored_under_more_maps_than_a_cnn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = []
    for name, arch in (("vit", VIT), ("cnn", "small(widths=[4, 8])")):
        options = TrainingOptions(arch=arch, size=64, epochs=1, batch_size=8)
        out = tmp_path / name
        cards.append(str(train("scenes:30,size=64", out=out, options=options, device="cpu").card))
    words = [*cards, "--out", str(tmp_path / "out"), "--scenes", "4"]
    rows = printed(transformers_at_work, words, monkeypatch, capsys)
    maps = {name: {cells[2] for cells in rows if cells[0] == name} for name in ("vit", "cnn")}
    assert maps["vit"] - maps["cnn"] == {"`rollout`"}
    assert {"`gradcam`", "`sensitivity`", "`center(0.8)`"} <= maps["cnn"]


@pytest.mark.slow
def test_what_boxes_gain_has_a_row_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path), "--learning", "30", "--scenes", "4"]
    rows = printed(training_for_boxes, words, monkeypatch, capsys)
    assert [cells[0] for cells in rows] == list(training_for_boxes.ROWS)
    with (tmp_path / "drawn" / "meta.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 30
    sides = [json.loads((tmp_path / f"row{i}/model/train.json").read_text()) for i in range(4)]
    assert [one["call"]["size"] for one in sides] == [64, 64, 96, 64]
