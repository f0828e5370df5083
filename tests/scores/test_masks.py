"""Mask scores against hand counts and brute force."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbox.boxes import area, bounding, iou
from gradbox.scores.masks import (
    MaskScores,
    Overlap,
    filled_box,
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
    masks = [("a", Overlap.of(PREDICTED, TRUTH)), ("b", Overlap.of(small, small))]
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
