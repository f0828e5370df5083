"""Saved maps under wsolevaluation's protocol: perfect ones, held-out thresholds, crops."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradbox.boxes import iou
from gradbox.geometry import Frame
from gradbox.localization import Sample
from gradbox.results.heatmaps import create_maps
from gradbox.results.inputs import Input
from gradbox.scores.wsol.maps import box_accuracies, wsol_scores


def of(truth: dict[str, np.ndarray]) -> Callable[[Sample], np.ndarray]:
    return lambda sample: truth[sample.image_id]


def stored(folder: Path, size: tuple[int, int], n: int = 6) -> tuple[Any, list[Sample], Any]:
    """Maps of 56 x 56 that are 1 inside the true box of a 112 x 112 image and 0 outside."""
    rng = np.random.default_rng(0)
    ids = [f"{i}.png" for i in range(n)]
    maps = []
    samples, truth = [], {}
    for image_id in ids:
        x, y, w, h = (int(v) for v in (*rng.integers(0, 20, 2), *rng.integers(16, 30, 2)))
        heatmap = np.zeros(size)
        heatmap[y : y + h, x : x + w] = 1.0
        maps.append((image_id, Input(), heatmap))
        truth[image_id] = 2.0 * np.array([[x, y, x + w, y + h]], dtype=np.float64)
        mask = np.kron(heatmap, np.ones((2, 2))).astype(bool)
        samples.append(
            Sample(image_id=image_id, source="-", size=(112, 112), mask=lambda m=mask: m)
        )
    with create_maps(folder, {}) as store:
        store.put(maps)
    return store, samples, truth


def test_perfect_maps_reach_the_top_of_the_protocol(tmp_path: Path) -> None:
    """Maps that are the boxes: every image is a hit at some threshold for all, and PxAP is 1."""
    store, samples, truth = stored(tmp_path, (56, 56))
    scores = wsol_scores(store, samples, of(truth), lambda size: Frame.squash(size, (56, 56)))
    assert scores["max_box_acc"]["maximum"] == scores["max_box_acc"]["held_out"] == 1.0
    assert scores["max_box_acc_v2"]["held_out"] == 1.0
    assert scores["pxap"] == pytest.approx(1.0, abs=0.01)  # cubic resizing blurs the edges


def test_held_out_takes_each_halfs_threshold_from_the_other(tmp_path: Path) -> None:
    """By hand: with one threshold for all, the maximum is that of the halves together."""
    store, samples, truth = stored(tmp_path, (56, 56))

    def frame(size: tuple[int, int]) -> Frame:
        return Frame.squash(size, (56, 56))

    whole = box_accuracies(store, samples, of(truth), frame)["max_box_acc"]
    scores = wsol_scores(store, samples, of(truth), frame)["max_box_acc"]
    assert whole.maximum == scores["maximum"]
    assert scores["held_out"] <= whole.maximum
    assert len(scores["thresholds"]) == 2


def test_a_cropped_map_is_put_where_the_crop_was(tmp_path: Path) -> None:
    """The crop's map lies in the middle of the image: its box is the crop's in the frame."""
    with create_maps(tmp_path, {}) as store:
        store.put([("a.png", Input(), np.pad(np.ones((28, 28)), 14))])
    truth = {"a.png": np.array([[56.0, 56.0, 168.0, 168.0]])}
    sample = Sample(image_id="a.png", source="-", size=(224, 224))

    def frame(size: tuple[int, int]) -> Frame:
        return Frame(size, (56, 56), (0, 0), (56, 56))

    def cropped(size: tuple[int, int]) -> Frame:
        return Frame(size, (112, 112), (28, 28), (56, 56))

    squashed = box_accuracies(store, [sample], of(truth), frame)["max_box_acc"]
    smaller = {"a.png": np.array([[84.0, 84.0, 140.0, 140.0]])}
    middle = box_accuracies(store, [sample], of(smaller), cropped)["max_box_acc"]
    assert squashed.maximum == middle.maximum == 1.0
    assert iou(truth["a.png"], smaller["a.png"]).item() < 0.5
