"""Mask scores against hand counts and brute force."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbox.boxes import area, bounding, iou
from gradbox.geometry import filled_box
from gradbox.scores.masks import (
    BOUNDARY_TOLERANCE,
    MaskScore,
    MaskScores,
    Overlap,
    boundary_f,
    contour,
    mask_iou,
    oracle_iou,
)

TRUTH = np.array([[1, 1, 0], [1, 1, 0]], dtype=bool)
PREDICTED = np.array([[0, 1, 1], [0, 0, 0]], dtype=bool)
NOTHING = np.zeros((2, 3), dtype=bool)


def test_ratios_by_hand() -> None:
    # one pixel shared, two predicted, four true, five in either
    assert mask_iou(PREDICTED, TRUTH) == 1 / 5
    assert Overlap.of(PREDICTED, TRUTH).precision == 1 / 2
    assert Overlap.of(PREDICTED, TRUTH).recall == 1 / 4


def test_an_empty_denominator_gives_zero() -> None:
    assert mask_iou(NOTHING, NOTHING) == 0
    assert Overlap.of(NOTHING, TRUTH).precision == 0
    assert Overlap.of(TRUTH, NOTHING).recall == 0


def test_means_weigh_images_and_pooled_ratios_weigh_pixels_by_hand() -> None:
    small = np.array([[1]], dtype=bool)
    masks = [MaskScore.of(0, PREDICTED, TRUTH), MaskScore.of(1, small, small)]
    summary = MaskScores.of(masks).summary()
    assert summary == pytest.approx(
        {
            "n_masks": 2,
            "mean_iou": (1 / 5 + 1) / 2,
            "pooled_iou": 2 / 6,
            "mean_precision": (1 / 2 + 1) / 2,
            "pooled_precision": 2 / 3,
            "mean_recall": (1 / 4 + 1) / 2,
            "pooled_recall": 2 / 5,
            "mean_boundary_f": 1,  # one pixel of tolerance, and two masks that are all of the image
        }
    )


def test_no_masks_give_none_and_valid_json() -> None:
    summary = MaskScores().summary()
    assert summary["n_masks"] == 0
    assert {value for key, value in summary.items() if key != "n_masks"} == {None}
    json.dumps(summary, allow_nan=False)


boxes_of_whole_pixels = st.tuples(
    st.integers(0, 8), st.integers(0, 6), st.integers(1, 9), st.integers(1, 7)
).map(lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]], dtype=np.float64))


@settings(max_examples=50)
@given(boxes_of_whole_pixels, boxes_of_whole_pixels)
def test_filled_boxes_of_whole_pixels_have_the_boxes_own_iou_and_bounds(
    a: np.ndarray, b: np.ndarray
) -> None:
    size = (20, 20)
    assert np.array_equal(bounding(filled_box(a, size)), a)
    assert filled_box(a, size).sum() == area(a[None])[0]
    assert mask_iou(filled_box(a, size), filled_box(b, size)) == iou(a[None], b[None])[0, 0]


def test_a_pixel_belongs_to_a_box_that_holds_its_centre() -> None:
    # centres 0.5, 1.5, 2.5, ...: 0.6 to 2.5 holds 1.5 alone, 0.5 to 2.6 holds three
    one = filled_box(np.array([0.6, 0.0, 2.5, 1.0]), (1, 5))
    three = filled_box(np.array([0.5, 0.0, 2.6, 1.0]), (1, 5))
    assert one.tolist() == [[False, True, False, False, False]]
    assert three.tolist() == [[True, True, True, False, False]]


def test_the_part_of_a_box_outside_the_image_is_left_out() -> None:
    assert filled_box(np.array([-2.0, 1.0, 2.0, 9.0]), (2, 3)).tolist() == [
        [False, False, False],
        [True, True, False],
    ]


@settings(max_examples=100)
@given(
    arrays(np.int64, (3, 4), elements=st.integers(-2, 3)),
    arrays(np.bool_, (3, 4), elements=st.booleans()),
)
def test_oracle_iou_is_the_best_over_all_thresholds_tried_one_by_one(
    levels: np.ndarray, truth: np.ndarray
) -> None:
    best = max(mask_iou(levels >= level, truth) for level in np.unique(levels))
    assert oracle_iou(levels.astype(np.float64), truth) == best


def test_oracle_iou_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        oracle_iou(np.array([[np.nan, 1.0]]), np.array([[True, False]]))


def square(low: int, high: int, size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[low:high, low:high] = True
    return mask


def test_the_contour_is_the_rim_but_not_the_edge_of_the_image() -> None:
    rim = square(10, 20)
    rim[11:19, 11:19] = False
    assert np.array_equal(contour(square(10, 20)), rim)
    corner = np.zeros((5, 5), dtype=bool)
    corner[:3, :3] = True
    expected = np.zeros((5, 5), dtype=bool)
    expected[2, :3] = expected[:3, 2] = True
    assert np.array_equal(contour(corner), expected)
    assert not contour(np.ones((5, 5), dtype=bool)).any()


def test_boundary_f_by_hand() -> None:
    """0.75 % of the diagonal of 100 x 100, 1.06, is rounded up to two pixels."""
    truth = square(20, 60)
    assert boundary_f(truth, truth) == 1
    # Two pixels inside: each of its pixels is near, of the 156 true ones all but three at each
    # corner, such as (20, 21), which is sqrt(5) from (22, 22).
    assert boundary_f(square(22, 58), truth) == pytest.approx(2 * 144 / (144 + 156))
    assert boundary_f(square(23, 57), truth) == 0
    # The upper half has 40 + 40 + 2 * 18 rim pixels. Near are the upper edge, the sides, and three
    # at each end of the lower edge; of the true ones the upper edge and the sides down to row 41.
    half = truth.copy()
    half[40:] = False
    precision, recall = (40 + 2 * 18 + 2 * 3) / 116, (40 + 2 * 21) / 156
    assert boundary_f(half, truth) == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_mask_without_a_contour_equals_the_truth_or_scores_nothing() -> None:
    nothing, everything = np.zeros((9, 9), dtype=bool), np.ones((9, 9), dtype=bool)
    assert boundary_f(everything, everything) == boundary_f(nothing, nothing) == 1
    assert boundary_f(nothing, everything) == boundary_f(everything, nothing) == 0
    assert boundary_f(square(2, 5, 9), everything) == boundary_f(nothing, square(2, 5, 9)) == 0


def brute_force_f(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Each pixel's neighbours looked at one by one, and the distance of each pair of pixels."""
    height, width = truth.shape

    def rim(mask: np.ndarray) -> list[tuple[int, int]]:
        return [
            (y, x)
            for y, x in np.argwhere(mask).tolist()
            for around in [[(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]]
            if any(0 <= b < height and 0 <= a < width and not mask[b, a] for b, a in around)
        ]

    ours, theirs = rim(predicted), rim(truth)
    reach = -int(-BOUNDARY_TOLERANCE * (height**2 + width**2) ** 0.5 // 1)

    def share(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
        near = [any((y - b) ** 2 + (x - a) ** 2 <= reach**2 for b, a in others) for y, x in some]
        return sum(near) / len(near)

    if not ours or not theirs:
        return float((predicted == truth).all())
    precision, recall = share(ours, theirs), share(theirs, ours)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(12))
def test_boundary_f_is_that_of_distances_measured_one_by_one(seed: int) -> None:
    """Blobs of several sizes, moved a little: tolerances of one to four pixels."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(20, 220)), int(rng.integers(20, 330)))
    down, across = np.mgrid[: size[0], : size[1]]

    def blob(y: float, x: float, radius: float) -> np.ndarray:
        return (down - y) ** 2 + (across - x) ** 2 * 0.7 <= radius**2

    y, x, radius = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(3, size[0] / 2)
    truth = blob(y, x, radius) & ~blob(y + 2, x, radius / 4)
    predicted = blob(y + rng.normal(0, 2), x + rng.normal(0, 2), radius * rng.uniform(0.9, 1.1))
    found = boundary_f(predicted, truth)
    assert found == pytest.approx(brute_force_f(predicted, truth), abs=1e-12)
    assert boundary_f(truth, predicted) == pytest.approx(found)
