"""`--masks`: for every method with maps one mask an image, written, scored, drawn and exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run

import gradbox
from gradbox.attribution.localizer import Outlined
from gradbox.datasets import load_dataset
from gradbox.estimators.outlines import Outlines
from gradbox.geometry import Mask
from gradbox.images.decode import load_rgb
from gradbox.localization import Localization
from gradbox.methods import ready
from gradbox.models.classifier import Classifier
from gradbox.models.load import SCENES, load_classifier
from gradbox.results.predictions import read_predictions
from gradbox.scores.masks import mask_iou
from gradbox.scores.run_masks import load_mask

pytestmark = pytest.mark.slow

TWO, MODEL = "scenes:2,seed=11", ("--model", SCENES, "--device", "cpu")


@pytest.fixture
def network(card: Path) -> Classifier:
    return load_classifier(str(card))


def masks_of(folder: Path) -> dict[str, Mask]:
    found = read_predictions(folder / "predictions.jsonl", masks=True)
    return {
        image_id: one.mask
        for image_id, one in found
        if isinstance(one, Localization) and one.mask is not None
    }


def of_evaluation(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text("utf-8"))["masks"]


def test_evaluate_scores_them_where_there_are_true_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ("evaluate", TWO, *MODEL, "--out", out)
    assert run(*call, "--masks", "--pictures") == 0
    samples = load_dataset(TWO).samples
    truths = {s.image_id: load_mask(s.mask) for s in samples if s.mask is not None}
    masks = masks_of(out)
    assert set(masks) == set(truths) == {s.image_id for s in samples}
    scored = of_evaluation(out)
    by_hand = np.mean([mask_iou(masks[name], truths[name]) for name in truths])
    assert scored["mask"]["mean_iou"] == pytest.approx(by_hand)
    assert "difference" in scored["mask"]
    capsys.readouterr()
    # Another call: without them the lines would be others.
    assert run(*call) == 2
    assert "outlines was 'Outlines(" in capsys.readouterr().err
    plain = tmp_path / "plain"
    assert run("evaluate", TWO, *MODEL, "--out", plain) == 0
    assert masks_of(plain) == {}
    assert "mask" not in of_evaluation(plain)
    # and boxes are not changed by them
    boxes = [
        [one.boxes.tolist() for _, one in read_predictions(folder / "predictions.jsonl")]
        for folder in (out, plain)
    ]
    assert boxes[0] == boxes[1]


def test_locate_writes_draws_and_exports_them(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, source = tmp_path / "out", tmp_path / "two"
    source.mkdir()
    for name in ("00.png", "01.png"):
        (discs / "images" / name).rename(source / name)
    call = ("locate", source, "--model", card, "--method", "eigencam", "--out", out, "--masks")
    assert run(*call, "--format", "coco", "--pictures") == 0
    masks = masks_of(out)
    assert set(masks) == {"00.png", "01.png"}
    areas = [one["area"] for one in json.loads((out / "coco.json").read_text())["annotations"]]
    assert areas == [int(mask.sum()) for mask in masks.values()]
    # the photo with its box, the map, and the cut out object
    with_mask = load_rgb(out / "pictures" / "00.png.jpg").shape
    assert run("locate", source, "--model", card, "--out", tmp_path / "plain", "--pictures") == 0
    without = load_rgb(tmp_path / "plain" / "pictures" / "00.png.jpg").shape
    assert with_mask[:2] != without[:2]
    before = (out / "predictions.jsonl").read_bytes()
    assert run(*call, "--overwrite") == 0
    assert (out / "predictions.jsonl").read_bytes() == before


def test_compare_makes_them_of_maps_and_leaves_dam_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    runs = ("--run", "dam", "--run", "dam | mass")
    assert run("compare", TWO, *MODEL, *runs, "--masks", "--out", out) == 0
    assert run("evaluate", TWO, *MODEL, "--method", "dam", "--out", tmp_path / "dam") == 0
    rows = json.loads((out / "compare.json").read_text("utf-8"))["runs"]
    by_name = {row["run"]: row["masks"] for row in rows}
    assert by_name["dam"]["mask"] == of_evaluation(tmp_path / "dam")["mask"]
    assert by_name["dam | mass"]["mask"] != by_name["dam"]["mask"]


def test_python_asks_with_masks_and_gets_what_the_options_make(
    discs: Path, network: Classifier
) -> None:
    path = discs / "images" / "00.png"
    plain = gradbox.localize(path, network, details=True)
    found = gradbox.localize(path, network, masks=True)
    assert plain.mask is None
    assert found.heatmap is not None
    rgb = load_rgb(path)
    frame = network.preprocessing.frame(found.size)
    expected = Outlines().mask(rgb, found.heatmap, frame, found.boxes[0])
    assert found.mask is not None
    assert np.array_equal(found.mask, expected)


def test_only_maps_with_boxes_need_originals(network: Classifier) -> None:
    assert ready("sensitivity", None, network, masks=True).needs_originals
    assert isinstance(ready("dam", "mass", network, masks=True).localizer, Outlined)
    assert not ready("dam", None, network, masks=True).needs_originals
    assert not ready("sensitivity", None, network).needs_originals
