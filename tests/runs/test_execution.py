"""Runs of the fake localizer: what is written, what is gone on with, what is shared."""

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeBoxes, FakeLocalizer, FakeMaps

import gradbox
from gradbox.methods import ready
from gradbox.models.load import load_classifier
from gradbox.runs.execution import Running
from gradbox.runs.plan import Plan, chunks


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_failed_image_is_a_line_and_the_others_are_done(
    card: Path, discs: Path, tmp_path: Path
) -> None:
    fake = FakeLocalizer(0.5, failing=("03.png",))
    network = load_classifier(str(card), device="cpu")
    report = gradbox.evaluate(
        gradbox.load_dataset(f"csv:{discs}"), network, tmp_path / "out", method=fake
    )
    assert report.failures == {"03.png": "the fake fails here"}
    written = lines(tmp_path / "out")
    assert [line["image"] for line in written] == [f"{i:02}.png" for i in range(24)]
    # By hand: the middle half of 100 x 80 pixels (width x height).
    assert written[0]["boxes"] == [[25.0, 20.0, 75.0, 60.0]]
    assert written[3] == {"image": "03.png", "error": "the fake fails here"}
    assert (tmp_path / "out" / "report.html").exists()


def test_maps_of_any_size_are_kept_and_one_store_has_one_size(
    card: Path, discs: Path, tmp_path: Path
) -> None:
    network, dataset = (
        load_classifier(str(card), device="cpu"),
        gradbox.load_dataset(f"csv:{discs}"),
    )
    small = FakeMaps(((0.0, 1.0, 0.0), (0.0, 2.0, 4.0)))
    running = Running(save_maps=tmp_path / "maps", pictures=True)
    gradbox.evaluate(dataset, network, tmp_path / "a", method=small, running=running)
    store = gradbox.open_maps(tmp_path / "maps")
    np.testing.assert_array_equal(store["05.png"], np.array(small.rows))
    assert json.loads((tmp_path / "maps" / "maps.json").read_text())["size"] == [2, 3]
    assert len(list((tmp_path / "a" / "pictures").iterdir())) == 24
    other = FakeMaps(((1.0,),))
    with pytest.raises(gradbox.UsageError, match="made otherwise: give another --save-maps"):
        gradbox.evaluate(dataset, network, tmp_path / "b", method=other, running=running)


def test_small_maps_are_scored_by_the_protocol_too(card: Path, discs: Path, tmp_path: Path) -> None:
    network, dataset = (
        load_classifier(str(card), device="cpu"),
        gradbox.load_dataset(f"csv:{discs}"),
    )
    report = gradbox.compare(
        dataset,
        [network],
        tmp_path / "out",
        runs=[(FakeMaps(((0.0, 1.0), (0.0, 0.5))), "mass")],
        running=Running(save_maps=tmp_path / "maps"),
    )
    assert report.metrics is not None
    ((_, scores),) = report.metrics["wsol"].items()
    assert 0 <= scores["max_box_acc"]["maximum"] <= 1


def test_equal_makers_make_the_maps_of_a_batch_once(card: Path, discs: Path) -> None:
    made = []

    class Counting(FakeMaps):
        def maps(self, batch: gradbox.Batch) -> object:
            made.append(len(batch))
            return super().maps(batch)

    network = load_classifier(str(card), device="cpu")
    samples = gradbox.load_dataset(f"csv:{discs}").samples
    plans = [
        Plan(
            samples=samples,
            classifier=network,
            method=ready(Counting(((1.0, 0.0),)), box, network),
            labels_of=lambda _: None,
            selection=gradbox.Selection(),
        )
        for box in ("mass", "whole", FakeBoxes())
    ]
    found = list(chunks(plans, batch_size=10, workers=1, details=False))
    assert made == [10, 10, 4]
    assert [len(chunk.found) for chunk in found] == [3, 3, 3]
    for chunk in found:  # what was shared counts in the seconds of each
        assert min(chunk.seconds) > 0
