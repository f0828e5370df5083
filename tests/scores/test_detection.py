"""All boxes scored: by hand, against pycocotools on random detections, and by properties."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from coco_eval import coco_numbers

from gradbox.boxes import as_boxes
from gradbox.scores import bootstrap, detection
from gradbox.scores.detection import MOST_BOXES, THRESHOLDS, Detections, Matches, match

NUMBERS = ("ap30", "ap50", "recall30", "recall50")
LEFT, RIGHT = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]
AWAY = [50.0, 50.0, 60.0, 60.0]

Image = tuple[np.ndarray, Sequence[Any], np.ndarray, Sequence[Any], np.ndarray]
"""True boxes with their classes; predicted ones with their classes and scores."""


def image(true: list[list[float]], predicted: list[list[float]], scores: list[float]) -> Image:
    truth, boxes = as_boxes(true), as_boxes(predicted)
    return truth, [None] * len(truth), boxes, [None] * len(boxes), np.array(scores, dtype=float)


def scored(images: Sequence[Image], first: int = 0) -> Detections:
    return Detections.of(
        Matches.of(
            number,
            label,
            boxes[[c == label for c in found]],
            scores[[c == label for c in found]],
            truth[[c == label for c in classes]],
        )
        for number, (truth, classes, boxes, found, scores) in enumerate(images, start=first)
        for label in dict.fromkeys([*classes, *found])
    )


def numbers(images: Sequence[Image]) -> dict[str, Any]:
    return {key: value for key, value in scored(images).summary().items() if key in NUMBERS}


def test_precision_at_101_recalls_by_hand() -> None:
    """A hit, a miss, a hit: precision 1 up to recall 1/2 (51 points), then 2/3 (50 points)."""
    one = image([LEFT, RIGHT], [RIGHT, AWAY, LEFT], [0.9, 0.8, 0.7])
    found = scored([one]).summary()
    assert found["ap50"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert (found["recall50"], found["n_true_boxes"], found["n_predicted_boxes"]) == (1, 2, 3)


def test_the_second_box_on_one_object_is_a_false_one() -> None:
    one = image([LEFT, RIGHT], [LEFT, LEFT], [0.9, 0.8])
    found = scored([one]).summary()
    assert found["ap50"] == pytest.approx(51 / 101)
    assert found["recall50"] == 0.5


def test_a_box_takes_the_free_one_that_it_overlaps_most() -> None:
    # the first has IoU 0.6 with both and takes the last; the second has that one alone in reach
    ious = np.array([[0.6, 0.6], [0.1, 0.9], [0.5, 0.4]])
    assert match(ious, 0.5).tolist() == [True, False, True]


def test_at_least_the_threshold_is_a_hit() -> None:
    half = image([[0, 0, 10, 10]], [[0, 0, 10, 5]], [0.1])
    assert scored([half]).summary()["ap50"] == 1


def test_classes_with_a_true_box_count_alike_and_others_do_not_count() -> None:
    """By hand: all of class 0 is found, none of 1; the box of class 2 has nothing to hit."""
    one: Image = (
        as_boxes([LEFT, RIGHT, AWAY]),
        [0, 0, 1],
        as_boxes([LEFT, RIGHT, AWAY]),
        [0, 0, 2],
        np.array([0.5, 0.5, 0.9]),
    )
    found = scored([one]).summary()
    assert (found["ap50"], found["recall50"], found["n_classes"]) == (0.5, 0.5, 2)
    assert found["n_predicted_boxes"] == 3


def test_nothing_to_score_is_none_and_valid_json() -> None:
    for state in (Detections(), scored([image([], [LEFT], [0.5])])):
        summary = state.summary()
        assert [summary[key] for key in NUMBERS] == [None] * 4
        json.dumps(summary, allow_nan=False)


def random_images(
    seed: int, *, count: int, most: int, classes: int, levels: int, empty: float = 0.3
) -> list[Image]:
    """Images of jittered true boxes and stray ones; `levels` different scores, so there are ties.

    Coordinates are whole numbers, so an IoU of exactly a half is one in either implementation.
    """
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> np.ndarray:
        corner = rng.integers(0, 80, (n, 2))
        return np.hstack([corner, corner + rng.integers(1, 40, (n, 2))]).astype(float)

    images: list[Image] = []
    for _ in range(count):
        truth = boxes(rng.integers(1, most) if rng.random() > empty else 0)
        near = truth[rng.random(len(truth)) < 0.8]
        near = np.repeat(near, rng.integers(1, 4), axis=0)
        near = near + rng.integers(-4, 5, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        found = np.concatenate([near, boxes(int(rng.integers(0, most)))])
        found = found[rng.permutation(len(found))] if rng.random() > empty else found[:0]
        images.append(
            (
                truth,
                rng.integers(0, classes, len(truth)).tolist(),
                found,
                rng.integers(0, classes, len(found)).tolist(),
                rng.integers(0, levels, len(found)) / levels,
            )
        )
    return images


KINDS = {
    "one class": {"count": 12, "most": 6, "classes": 1, "levels": 10**6},
    "ties": {"count": 12, "most": 6, "classes": 1, "levels": 3},
    "all scores equal": {"count": 8, "most": 6, "classes": 2, "levels": 1},
    "several classes": {"count": 25, "most": 8, "classes": 5, "levels": 50},
    "crowded": {"count": 3, "most": 150, "classes": 1, "levels": 20},
    "mostly empty": {"count": 15, "most": 5, "classes": 3, "levels": 10, "empty": 0.8},
    "one image": {"count": 1, "most": 5, "classes": 2, "levels": 10, "empty": 0.0},
    "nothing at all": {"count": 3, "most": 5, "classes": 2, "levels": 10, "empty": 1.0},
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_pycocotools_gives(kind: str, seed: int) -> None:
    images = random_images(seed, **KINDS[kind])  # type: ignore[arg-type]
    theirs = coco_numbers([one[:2] for one in images], [one[2:] for one in images])
    assert numbers(images) == pytest.approx(theirs, abs=1e-6)


def test_the_crowded_images_have_more_boxes_than_count() -> None:
    crowded = [one for seed in range(8) for one in random_images(seed, **KINDS["crowded"])]  # type: ignore[arg-type]
    assert max(len(boxes) for _, _, boxes, _, _ in crowded) > MOST_BOXES


@pytest.mark.parametrize("seed", range(10))
def test_parts_in_any_order_merge_into_one_pass(seed: int) -> None:
    images = random_images(seed, **KINDS["several classes"])  # type: ignore[arg-type]
    cut = seed * 2
    first, rest = scored(images[:cut]), scored(images[cut:], first=cut)
    assert (first + rest).summary() == scored(images).summary()
    assert (rest + first).summary() == scored(images).summary()


@pytest.mark.parametrize("seed", range(10))
def test_a_false_box_below_all_others_changes_nothing_above_all_it_costs(seed: int) -> None:
    images = random_images(seed, count=6, most=5, classes=1, levels=20, empty=0.1)
    truth, classes, boxes, found, scores = images[0]
    away = as_boxes([[500, 500, 510, 510]])

    def with_stray(score: float) -> dict[str, Any]:
        stray = np.concatenate([boxes, away]), [*found, 0], np.append(scores, score)
        return numbers([(truth, classes, *stray), *images[1:]])

    before, below, above = numbers(images), with_stray(-1.0), with_stray(2.0)
    for key in NUMBERS:
        assert below[key] <= before[key] + 1e-12
        assert above[key] <= below[key] + 1e-12
    assert below == pytest.approx(before)
    assert above["ap50"] < before["ap50"]


@pytest.mark.parametrize("seed", range(5))
def test_perfect_boxes_score_one_whatever_their_scores(seed: int) -> None:
    images = random_images(seed, count=10, most=8, classes=3, levels=5)
    rng = np.random.default_rng(seed)
    perfect = [(t, c, t.copy(), list(c), rng.random(len(t))) for t, c, *_ in images]
    assert numbers(perfect) == dict.fromkeys(NUMBERS, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_draws_of_images_are_the_scores_of_the_images_that_were_drawn(seed: int) -> None:
    """A second way: the images themselves, each as often as it was drawn, scored from scratch."""
    images = random_images(seed, count=8, most=5, classes=2, levels=10**6)
    state = scored(images)
    ranked = state.ranked()
    drawn_from = state.images.tolist()
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(drawn_from), np.full(len(drawn_from), 1 / len(drawn_from)), 20)
    for threshold in THRESHOLDS:
        values = ranked.average_precision(threshold, times.astype(float))
        for value, counts in zip(values, times, strict=True):
            again = [images[i] for i, n in zip(drawn_from, counts, strict=True) for _ in range(n)]
            expected = numbers(again)[f"ap{threshold * 100:.0f}"]
            assert value == pytest.approx(np.nan if expected is None else expected, nan_ok=True)


@pytest.mark.parametrize("classes", [1, 6])
def test_bags_of_images_and_fewer_ranks_give_the_interval_of_all(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hard case, of boxes that mostly miss: within a quarter of half the width.

    600 bags are off by 1 / sqrt(1200), 3 %, each end by chance as much again, and fewer ranks
    smooth the steps that a precision of some per cent has.
    """
    kind = {"most": 4, "classes": classes, "levels": 10**6, "empty": 0.2}
    state = scored(random_images(1, count=1500, **kind))  # type: ignore[arg-type]
    plain_low, plain_high = state.bounds(0.5)
    monkeypatch.setattr(bootstrap, "MANY", 1000)
    monkeypatch.setattr(bootstrap, "BAGS", 600)
    monkeypatch.setattr(detection, "RANKS", 3000)
    ranked = state.ranked()
    assert (ranked.n_groups, ranked.ranks) == (600, max(3000 // classes, 256))
    low, high = state.bounds(0.5)
    assert plain_low is not None
    assert plain_high is not None
    half = (plain_high - plain_low) / 2
    assert low == pytest.approx(plain_low, abs=half / 4)
    assert high == pytest.approx(plain_high, abs=half / 4)
    assert low <= state.summary()["ap50"] <= high
