"""Runs held against each other, with the fake: shares of the middle whose scores are known."""

import json
from pathlib import Path

import pytest
from fakes import FakeLocalizer

import gradbox
from gradbox.models.load import load_classifier


def table_of(discs: Path, card: Path, out: Path, *runs: object) -> dict[str, object]:
    network = load_classifier(str(card), device="cpu")
    dataset = gradbox.load_dataset(f"csv:{discs}")
    report = gradbox.compare(dataset, [network], out, runs=runs)
    assert report.metrics is not None
    return dict(report.metrics)


def test_best_first_whatever_the_order_asked_for(discs: Path, card: Path, tmp_path: Path) -> None:
    runs = [FakeLocalizer(share) for share in (1.0, 0.1, 0.5)]
    table = table_of(discs, card, tmp_path / "a", *runs)
    rows = table["runs"]
    assert rows[0]["method"].startswith("fakes:FakeLocalizer(share=0.5")
    ranks = [(row["corloc"], row["mean_iou"]) for row in rows]
    assert ranks == sorted(ranks, reverse=True)
    assert "difference" not in rows[0]
    for row in rows[1:]:
        mean, low, high = row["difference"]["mean_iou"]
        assert mean == pytest.approx(row["mean_iou"] - rows[0]["mean_iou"])
        assert low <= mean <= high
    again = table_of(discs, card, tmp_path / "b", *runs[::-1])
    assert [row["run"] for row in again["runs"]] == [row["run"] for row in rows]


def test_the_whole_image_is_the_constant_box_of_its_name(
    discs: Path, card: Path, tmp_path: Path
) -> None:
    table = table_of(discs, card, tmp_path / "out", FakeLocalizer(1.0), FakeLocalizer(0.8))
    by_share = {row["method"]: row["mean_iou"] for row in table["runs"]}
    for share, name in ((1.0, "whole"), (0.8, "center(0.8)")):
        text = f"fakes:FakeLocalizer(share={share}, failing=[])"
        assert by_share[text] == pytest.approx(table["baselines"][name]["mean_iou"], abs=1e-6)


def test_what_failed_in_one_run_is_scored_in_none(discs: Path, card: Path, tmp_path: Path) -> None:
    runs = (FakeLocalizer(0.5), FakeLocalizer(0.6, failing=("01.png", "02.png")))
    table = table_of(discs, card, tmp_path / "out", *runs)
    assert (table["n_units"], sorted(table["failures"])) == (22, ["01.png", "02.png"])
    folders = [tmp_path / "out" / row["folder"] for row in table["runs"]]
    for folder in folders:
        assert json.loads((folder / "metrics.json").read_text())["n_units"] == 22
