"""Box scores against numbers worked out by hand."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from gradbox.boxes import as_boxes, centered
from gradbox.scores.boxes import (
    MARGINS,
    OUTSIDE,
    Scores,
    Unit,
    best_iou,
    center_correctness,
    center_margin,
    corloc,
    is_hit,
    pointing_hit,
)

SQUARE = np.array([[0.0, 0.0, 10.0, 10.0]])


def box(*corners: float) -> np.ndarray:
    return np.array(corners, dtype=np.float64)


def box_around(x: float, y: float) -> np.ndarray:
    return box(x - 1, y - 1, x + 1, y + 1)


def test_best_iou_takes_the_best_of_several_true_boxes_by_hand() -> None:
    truth = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0]])
    # 5..20 x 0..10 (area 150) shares 50 with the first (150 + 100 - 50), 100 with the second
    assert best_iou(box(5, 0, 20, 10), truth) == 100 / 150


def test_half_an_overlap_is_a_hit_only_where_equality_counts() -> None:
    half = best_iou(box(0, 0, 5, 10), SQUARE)
    assert half == 0.5
    assert not is_hit(np.array([half])).any()
    assert is_hit(np.array([half]), strict=False).all()


def test_corloc_by_hand() -> None:
    ious = np.array([0.2, 0.5, 0.6, 0.9])
    assert corloc(ious) == 0.5
    assert corloc(ious, strict=False) == 0.75
    assert corloc(ious, threshold=0.7) == 0.25
    assert corloc(np.zeros(0)) is None


@pytest.mark.parametrize(
    ("x", "y", "margin"),
    [
        (5, 5, 0.5),  # the middle
        (2, 5, 0.2),  # 2 of 10 from the left
        (5, 8, 0.2),  # 2 of 10 from the bottom
        (2, 9, 0.1),  # the nearer edge counts
        (0, 5, 0.0),  # on the edge
        (-0.5, 5, OUTSIDE),
        (5, 10.5, OUTSIDE),
    ],
)
def test_center_margin_by_hand(x: float, y: float, margin: float) -> None:
    assert center_margin(box_around(x, y), SQUARE) == pytest.approx(margin, abs=1e-12)


def test_center_margin_is_relative_to_each_side_and_best_over_the_true_boxes() -> None:
    wide = np.array([[0.0, 0.0, 100.0, 10.0], [0.0, 0.0, 20.0, 10.0]])
    # (10, 5): 10 of 100 from the left of the first box, the very middle of the second
    assert center_margin(box_around(10, 5), wide) == 0.5
    assert center_margin(box_around(10, 5), wide[:1]) == pytest.approx(0.1)


def test_a_true_box_without_area_holds_no_centre() -> None:
    assert center_margin(box_around(5, 5), np.array([[5.0, 5.0, 5.0, 9.0]])) == OUTSIDE


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.7, 10.3, 333.1])
@pytest.mark.parametrize("margin", MARGINS)
def test_a_centre_exactly_on_the_shrunk_edge_is_inside_whatever_the_rounding(
    shift: float, margin: float
) -> None:
    truth = np.array([[shift, shift, shift + 0.9, shift + 0.9]])
    found = center_margin(box_around(shift + 0.9 * margin, shift + 0.45), truth)
    shares = center_correctness(np.array([found]))
    assert shares == [1.0 if m <= margin else 0.0 for m in MARGINS]


def test_center_correctness_at_exactly_0_2_by_hand() -> None:
    margins = np.array([0.2, 0.2 - 1e-6, 0.35, OUTSIDE])
    assert center_correctness(margins, at=(0.0, 0.2, 0.4)) == [0.75, 0.5, 0.0]
    assert center_correctness(np.zeros(0), at=(0.0,)) == [None]


def test_pointing_allows_fifteen_pixels_in_any_direction() -> None:
    assert pointing_hit(np.array([5.0, 5.0]), SQUARE)
    assert pointing_hit(np.array([25.0, 5.0]), SQUARE)
    assert not pointing_hit(np.array([25.1, 5.0]), SQUARE)
    assert pointing_hit(np.array([19.0, 22.0]), SQUARE)  # 9, 12 -> 15 from the corner
    assert not pointing_hit(np.array([20.0, 22.0]), SQUARE)
    assert not pointing_hit(np.array([11.0, 5.0]), SQUARE, tolerance=0.0)


def unit(image: int, predicted: np.ndarray | None, **known: object) -> Unit:
    return Unit.of(image, predicted, SQUARE, (20, 20), **known)


@pytest.fixture
def four_units() -> Scores:
    """IoUs 1, 0.6, 0.5, 0; classes cat, cat, dog, dog; three images."""
    return Scores.of(
        [
            unit(0, box(0, 0, 10, 10), label="cat", recognized=True, in_top5=True),
            unit(1, box(0, 0, 6, 10), label="cat", recognized=False, in_top5=True),
            unit(2, box(0, 0, 5, 10), label="dog", recognized=True, in_top5=True),
            unit(2, None, label="dog", recognized=False, in_top5=False),
        ]
    )


def test_summary_by_hand(four_units: Scores) -> None:
    summary = four_units.summary()
    expected = {
        "n_images": 3,
        "n_units": 4,
        "corloc": 0.5,
        "mean_iou": 2.1 / 4,
        "corloc_class_mean": 0.5,  # cat 1, dog 0
        "mean_iou_class_mean": (0.8 + 0.25) / 2,
        "mean_iou_class_min": 0.25,
        "top1_accuracy": 0.5,
        "top5_accuracy": 0.75,
        "top1_localization": 0.25,  # a alone is recognized and hit
        "top5_localization": 0.5,
    }
    assert {key: summary[key] for key in expected} == pytest.approx(expected)
    assert list(summary["per_class"]) == ["cat", "dog"]
    assert summary["per_class"]["dog"] == {"n": 2, "corloc": 0.0, "mean_iou": 0.25}
    assert four_units.summary(strict=False)["corloc"] == 0.75
    assert four_units.summary(threshold=0.6)["corloc"] == 0.25
    # centres at x = 5, 3, 2.5 of 10: margins 0.5, 0.3, 0.25, and one miss
    curve = summary["center_correctness"]
    assert list(curve) == [f"{m:.2f}" for m in MARGINS]
    assert (curve["0.00"], curve["0.25"], curve["0.30"], curve["0.50"]) == (0.75, 0.75, 0.5, 0.25)


def test_summary_groups_by_hand(four_units: Scores) -> None:
    pair = np.array([[0.0, 0.0, 5.0, 5.0], [10.0, 10.0, 12.0, 12.0]])
    small = Unit.of(3, box(0, 0, 5, 5), pair, (20, 20), recognized=True)
    summary = (four_units + Scores.of([small])).summary()
    # SQUARE is 100 of 400 pixels; the larger box of `pair` is 25 of them, the other 4
    counts = {name: row["n"] for name, row in summary["by_object_size"].items()}
    assert counts == {"<5%": 0, "5-15%": 1, "15-30%": 4, "30-60%": 0, ">=60%": 0}
    assert summary["by_object_size"]["<5%"] == {"n": 0, "corloc": None, "mean_iou": None}
    assert {name: row["n"] for name, row in summary["by_n_objects"].items()} == {
        "1": 4,
        "2": 1,
        "3+": 0,
    }
    assert summary["by_recognized"]["yes"] == {"n": 3, "corloc": 2 / 3, "mean_iou": 2.5 / 3}
    # 0 in the first bin; 0.5 starts the bin 10, 0.6 bin 12; 1 belongs to the last one
    bins = summary["iou_histogram"]
    assert len(bins) == 20
    assert (bins[0], bins[10], bins[12], bins[19]) == (1, 1, 1, 2)
    assert summary["n_units"] == 5
    assert sum(row["n"] for row in summary["per_class"].values()) == 4  # d has no class


def test_what_is_not_known_for_every_unit_is_none(four_units: Scores) -> None:
    summary = (four_units + Scores.of([unit(4, box(0, 0, 10, 10))])).summary()
    for key in ("top1_accuracy", "top1_localization", "top5_localization", "by_recognized"):
        assert summary[key] is None


def test_nothing_scored_is_none_and_valid_json() -> None:
    summary = Scores().summary()
    assert (summary["n_units"], summary["corloc"], summary["mean_iou"]) == (0, None, None)
    assert summary["mean_iou_class_min"] is None
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_summary_survives_json(four_units: Scores) -> None:
    summary = four_units.summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_unit_without_truth_is_refused() -> None:
    with pytest.raises(ValueError, match="without a true box"):
        Unit.of(0, box(0, 0, 1, 1), np.zeros((0, 4)), (20, 20))


@pytest.mark.parametrize(("share", "expected"), [(1.0, 0.483), (0.8, 0.601)])
def test_constant_boxes_score_on_real_images_what_their_description_states(
    assets: Path, share: float, expected: float
) -> None:
    truth: dict[str, list[list[str]]] = defaultdict(list)
    sizes = {}
    with (assets / "data/imagenet_dev/boxes.csv").open() as stream:
        for image_id, width, height, _, *corners in list(csv.reader(stream))[1:]:
            truth[image_id].append(corners)
            sizes[image_id] = (int(height), int(width))
    scores = Scores.of(
        Unit.of(number, centered(*sizes[i], (share, share)), as_boxes(boxes), sizes[i])
        for number, (i, boxes) in enumerate(truth.items())
    )
    assert scores.summary()["corloc"] == pytest.approx(expected, abs=5e-4)
