"""A user's own localizer, map maker and estimator, wherever a method or a box is asked for."""

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeBoxes, FakeLocalizer, FakeMaps, Plain

import gradbox
from gradbox.attribution.combinations import Product
from gradbox.dam.localizer import Dam
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.estimators.untrained import Mass, Threshold
from gradbox.methods import ready
from gradbox.models.load import load_classifier
from gradbox.results.predictions import read_predictions

PEAK = FakeMaps(((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))


def boxes_of(out: Path) -> list[list[float]]:
    lines = [json.loads(text) for text in (out / "predictions.jsonl").read_text().splitlines()]
    return [line["boxes"] for line in lines]


@pytest.mark.slow
def test_values_and_texts_are_the_same_method(card: Path, discs: Path, tmp_path: Path) -> None:
    network, dataset = load_classifier(str(card), device="cpu"), load_dataset(f"csv:{discs}")
    pairs = [
        ("dam(k=3)", Dam(k=3), None, None),
        ("sensitivity", "sensitivity", "mass(trim=0.02)", Mass(trim=0.02)),
    ]
    for i, (text, value, box_text, box) in enumerate(pairs):
        a, b = tmp_path / f"a{i}", tmp_path / f"b{i}"
        gradbox.evaluate(dataset, network, a, method=text, box=box_text)
        gradbox.evaluate(dataset, network, b, method=value, box=box)
        assert (a / "predictions.jsonl").read_bytes() == (b / "predictions.jsonl").read_bytes()
        calls = [json.loads((out / "run.json").read_text())["call"] for out in (a, b)]
        assert calls[0] == calls[1]
        gradbox.evaluate(dataset, network, a, method=value, box=box)  # and goes on as the text


def test_a_users_own_localizer_is_run_scored_and_compared(
    card: Path, discs: Path, tmp_path: Path
) -> None:
    network, dataset = load_classifier(str(card), device="cpu"), load_dataset(f"csv:{discs}")
    report = gradbox.evaluate(dataset, network, tmp_path / "one", method=FakeLocalizer(0.8))
    assert report.metrics is not None
    # By another way: the constant box of 80 % is a baseline of every report.
    constant = report.metrics["baselines"]["center(0.8)"]
    assert report.metrics["mean_iou"] == pytest.approx(constant["mean_iou"], abs=1e-4)
    call = json.loads((tmp_path / "one" / "run.json").read_text())["call"]
    assert call["method"] == "fakes:FakeLocalizer(share=0.8, failing=[])"
    table = gradbox.compare(
        dataset,
        [network],
        tmp_path / "table",
        runs=[
            "sensitivity | mass",
            FakeLocalizer(0.8),
            (PEAK, "whole"),
            ("sensitivity", FakeBoxes()),
        ],
    ).metrics
    assert table is not None
    assert len(table["runs"]) == 4
    assert {row["box"] for row in table["runs"]} >= {None, "whole", "fakes:FakeBoxes"}


def test_a_users_own_maps_with_any_box(card: Path, discs: Path, tmp_path: Path) -> None:
    network, dataset = load_classifier(str(card), device="cpu"), load_dataset(f"csv:{discs}")
    out = tmp_path / "out"
    gradbox.evaluate(dataset, network, out, method=PEAK, box=Threshold(0.5))
    # The last of 2 x 3 pixels of an image of 80 x 100 (height x width).
    assert boxes_of(out) == [[pytest.approx([66.667, 40, 100, 80], abs=1e-3)]] * 24
    assert gradbox.evaluate(dataset, network, out, method=PEAK, box=Threshold(0.5)).metrics
    with pytest.raises(UsageError, match="method was 'fakes:FakeMaps"):
        gradbox.evaluate(dataset, network, out, method=FakeMaps(((1.0,),)), box=Threshold(0.5))


def test_several_boxes_of_a_users_own_estimator_keep_their_order(
    card: Path, discs: Path, tmp_path: Path
) -> None:
    network, dataset = load_classifier(str(card), device="cpu"), load_dataset(f"csv:{discs}")
    running = gradbox.Running(formats=("coco", "csv", "yolo", "voc", "labelstudio"), pictures=True)
    gradbox.evaluate(
        dataset, network, tmp_path / "out", method=PEAK, box=FakeBoxes(), running=running
    )
    assert boxes_of(tmp_path / "out")[0] == [[50, 0, 100, 80], [0, 0, 50, 80]]
    for _, found in read_predictions(tmp_path / "out" / "predictions.jsonl"):
        assert isinstance(found, gradbox.Localization)
        assert found.scores == (0.7, 0.2)
        assert found.labels == (0, 0)
        assert found.peaks[1] is None  # nothing of the map lies in the left half
    assert len(json.loads((tmp_path / "out" / "coco.json").read_text())["annotations"]) == 48
    assert len((tmp_path / "out" / "boxes.csv").read_text().splitlines()) == 49


def test_what_is_no_dataclass_is_never_gone_on_with(
    card: Path, discs: Path, tmp_path: Path
) -> None:
    network, dataset = load_classifier(str(card), device="cpu"), load_dataset(f"csv:{discs}")
    gradbox.evaluate(dataset, network, tmp_path / "out", method=Plain())
    assert json.loads((tmp_path / "out" / "run.json").read_text())["call"]["method"].endswith(
        ":Plain"
    )
    with pytest.raises(UsageError, match="no dataclass; give another --out, or --overwrite"):
        gradbox.evaluate(dataset, network, tmp_path / "out", method=Plain())
    running = gradbox.Running(overwrite=True)
    gradbox.evaluate(dataset, network, tmp_path / "out", method=Plain(), running=running)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": 3}, "int is no method"),
        ({"method": Dam}, r"Dam is a class: give an object, Dam\(\)"),
        ({"method": Mass()}, "Mass is no method"),
        ({"box": Dam()}, "Dam is no box estimator"),
        ({"box": Mass}, r"give an object, Mass\(\)"),
        ({"method": FakeLocalizer(), "box": "mass"}, "makes its own boxes: leave the box out"),
    ],
)
def test_a_value_that_is_none_is_explained(
    options: dict[str, object], message: str, card: Path
) -> None:
    network = load_classifier(str(card), device="cpu")
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(UsageError, match=message):
        list(gradbox.localize([image], network, **options))


def test_an_own_map_maker_may_stand_in_a_combination(card: Path) -> None:
    network = load_classifier(str(card), device="cpu")
    found = ready(Product((PEAK, Dam())), "mass", network)
    assert found.text.startswith("product(fakes:FakeMaps(")
