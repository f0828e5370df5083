"""Recall of proposals: by hand, against pycocotools, and as a state that adds up."""

import numpy as np
import pytest
from coco_eval import coco_recalls

from gradbox.boxes import as_boxes
from gradbox.localization import Region
from gradbox.scores.proposals import COUNTS, OfImage, Proposed

LEFT, RIGHT = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]
AWAY = [50.0, 50.0, 60.0, 60.0]


def regions(boxes: np.ndarray, scores: np.ndarray) -> list[Region]:
    return [
        Region(box=box, score=score, label=i % 3)
        for i, (box, score) in enumerate(zip(boxes, scores.tolist(), strict=True))
    ]


def random_images(seed: int, count: int = 12) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """True boxes, and up to 130 proposals about them, with scores of which many are equal."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        low = rng.uniform(0, 60, (rng.integers(0, 6), 2))
        truth = np.concatenate([low, low + rng.uniform(10, 40, low.shape)], axis=1)
        near = truth[rng.integers(len(truth), size=rng.integers(0, 130))] if len(truth) else truth
        boxes = near + rng.normal(0, 4, near.shape)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        images.append((truth, boxes, rng.integers(0, 20, len(boxes)) / 20))
    return images


def proposed(images: list[tuple[np.ndarray, np.ndarray, np.ndarray]], first: int = 0) -> Proposed:
    return Proposed.of(
        OfImage.of(number, regions(boxes, scores), truth)
        for number, (truth, boxes, scores) in enumerate(images, start=first)
    )


def test_the_best_count_first_and_each_object_is_found_once() -> None:
    """By hand: 9 boxes away, then LEFT as number 10, LEFT again, RIGHT as number 12."""
    boxes = as_boxes([AWAY] * 9 + [LEFT, LEFT, RIGHT])
    numbers = proposed([(as_boxes([LEFT, RIGHT]), boxes, np.arange(12)[::-1] / 12)]).summary()
    assert numbers["recall50"] == {"10": 0.5, "50": 1.0, "100": 1.0}
    assert numbers["average_recall"] == numbers["recall50"]  # they are the true boxes themselves
    assert (numbers["n_true_boxes"], numbers["n_proposals"]) == (2, 12)
    assert numbers["recall50_interval"]["10"] == [None, None]  # of one image


def test_average_recall_counts_the_ious_that_a_box_reaches() -> None:
    """By hand: IoU 0.7 reaches 0.5, 0.55, 0.6, 0.65 and 0.7: 5 of 10."""
    near = as_boxes([[0, 0, 10, 7.0001]])
    numbers = proposed([(as_boxes([LEFT]), near, np.ones(1))]).summary()
    assert numbers["average_recall"]["10"] == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(6))
def test_recall_equals_that_of_pycocotools(seed: int) -> None:
    images = random_images(seed)
    ours = proposed(images).summary()
    theirs = coco_recalls([one[0] for one in images], [one[1:] for one in images], COUNTS)
    for column, count in enumerate(map(str, COUNTS)):
        assert ours["recall50"][count] == pytest.approx(theirs[0, column], abs=1e-6)
        assert ours["average_recall"][count] == pytest.approx(theirs[:, column].mean(), abs=1e-6)
    assert 0 < ours["average_recall"]["10"] < ours["average_recall"]["100"]


def test_merged_parts_equal_one_pass_in_any_order() -> None:
    images = random_images(0)
    whole = proposed(images)
    first, second = proposed(images[:5]), proposed(images[5:], first=5)
    assert (first + second).summary() == whole.summary()
    assert (second + first).summary() == whole.summary()


def test_an_interval_holds_its_recall() -> None:
    numbers = proposed(random_images(1)).summary()
    for count, (low, high) in numbers["recall50_interval"].items():
        assert low <= numbers["recall50"][count] <= high


def test_without_a_true_box_there_is_nothing_to_tell() -> None:
    nothing = proposed([]).summary()
    assert nothing["recall50"] == {"10": None, "50": None, "100": None}
