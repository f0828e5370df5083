"""wsolevaluation's protocol: hand-made maps for each of its conventions, brute force for PxAP."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from gradbox.boxes import as_boxes
from gradbox.errors import UsageError
from gradbox.scores.wsol.protocol import (
    MAX_BOX_ACC,
    MAX_BOX_ACC_V2,
    SIDE,
    BoxAccuracy,
    PixelAveragePrecision,
    _boxes_at_levels,
    _quantized,
    check_scoremap,
    resize_boxes,
    scoremap_of,
)


def boxes_above(scoremap: np.ndarray, threshold: float, all_contours: bool) -> np.ndarray:
    """The boxes around what is above a share of the maximum; the largest contour's comes first."""
    (boxes,) = _boxes_at_levels(*_quantized(scoremap, np.array([threshold])))
    return boxes if all_contours else boxes[:1]


def frame(*blocks: tuple[int, int, int, int, float]) -> np.ndarray:
    """A zero map in the frame with blocks x0, y0, x1, y1 (half-open) set to a value, in order."""
    scoremap = np.zeros((SIDE, SIDE))
    for x0, y0, x1, y1, value in blocks:
        scoremap[y0:y1, x0:x1] = value
    return scoremap


def test_a_box_ends_one_past_the_contour_but_not_past_the_border() -> None:
    scoremap = np.zeros((6, 8))
    scoremap[1:3, 2:5] = 1.0
    assert boxes_above(scoremap, 0.5, False).tolist() == [[2, 1, 5, 3]]
    scoremap[1:6, 2:8] = 1.0
    assert boxes_above(scoremap, 0.5, False).tolist() == [[2, 1, 7, 5]]


def test_the_threshold_is_strict_on_whole_grey_levels() -> None:
    scoremap = np.array([[0.0, 0.4, 0.4, 1.0, 1.0, 0.0]] * 3)
    # 0.4 is grey level 102: 0.4 * 255 = 102 is not above it, int(0.399 * 255) = 101 is below
    assert boxes_above(scoremap, 0.4, False).tolist() == [[3, 0, 5, 2]]
    assert boxes_above(scoremap, 0.399, False).tolist() == [[1, 0, 5, 2]]


def test_values_are_cut_down_to_grey_levels() -> None:
    # 0.402 * 255 = 102.51 becomes 102, which does not exceed the level of 0.4
    scoremap = np.array([[0.0, 0.402, 0.402, 1.0, 1.0, 0.0]] * 3)
    assert boxes_above(scoremap, 0.4, False).tolist() == [[3, 0, 5, 2]]


def test_the_threshold_is_relative_to_the_maximum_of_the_map() -> None:
    scoremap = np.array([[0.0, 0.2, 0.2, 0.5, 0.5, 0.0]] * 3)
    # maximum 127 (0.5 * 255 cut down), so 0.3 is level 38 and 0.2 (51) is above it
    assert boxes_above(scoremap, 0.3, False).tolist() == [[1, 0, 5, 2]]
    assert boxes_above(scoremap, 0.5, False).tolist() == [[3, 0, 5, 2]]


def test_nothing_above_the_threshold_gives_one_zero_box() -> None:
    assert boxes_above(np.zeros((5, 5)), 0.0, True).tolist() == [[0, 0, 0, 0]]


def test_one_contour_is_the_largest_and_all_contours_are_all_parts() -> None:
    scoremap = np.zeros((20, 20))
    scoremap[1:4, 1:4] = 1.0
    scoremap[8:15, 8:18] = 1.0
    assert boxes_above(scoremap, 0.5, False).tolist() == [[8, 8, 18, 15]]
    found = sorted(boxes_above(scoremap, 0.5, True).tolist())
    assert found == [[1, 1, 4, 4], [8, 8, 18, 15]]


def test_the_largest_contour_is_that_of_the_largest_area_not_the_longest() -> None:
    scoremap = np.zeros((20, 20))
    scoremap[1:3, 1:14:2] = scoremap[1, 1:14] = 1.0  # a comb: many corners, no area to speak of
    scoremap[8:15, 8:18] = 1.0
    assert boxes_above(scoremap, 0.5, False).tolist() == [[8, 8, 18, 15]]


def test_a_hole_has_a_contour_around_it() -> None:
    scoremap = np.zeros((20, 20))
    scoremap[2:15, 2:15] = 1.0
    scoremap[6:10, 6:10] = 0.0
    found = sorted(boxes_above(scoremap, 0.5, True).tolist())
    # the contour of the hole runs on the pixels around it, 5 to 10
    assert found == [[2, 2, 15, 15], [5, 5, 11, 11]]


def test_boxes_are_cut_down_to_whole_pixels_of_the_frame() -> None:
    # x * 224 / 500, y * 224 / 375: 69.888, 97.365, 142.464, 137.386
    resized = resize_boxes(np.array([[156.0, 163.0, 318.0, 230.0]]), (375, 500))
    assert resized.tolist() == [[69, 97, 142, 137]]


def test_maps_are_stretched_to_zero_and_one() -> None:
    scoremap = scoremap_of(np.array([[2.0, 3.0], [4.0, 6.0]]))
    assert scoremap.shape == (SIDE, SIDE)
    assert (scoremap.min(), scoremap.max()) == (0.0, 1.0)
    assert np.array_equal(scoremap_of(scoremap), scoremap)
    assert not scoremap_of(np.full((7, 7), 3.0)).any()
    assert not scoremap_of(np.array([[np.nan, 1.0], [0.0, 1.0]])).any()


def test_maps_are_resized_by_a_cubic_kernel() -> None:
    impulse = np.zeros((28, 28))
    impulse[14, 14] = 1.0
    # its negative lobes around the peak raise what is far away above the minimum
    assert 0 < scoremap_of(impulse)[0, 0] < 0.2


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_a_map_outside_zero_and_one_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not in"):
        check_scoremap(np.array([[0.5, value]]))


def test_ious_are_of_inclusive_boxes() -> None:
    # The block gives the box 10..20 (11 pixels of length with both ends); the truth 10..31 has 22:
    # 11 * 11 / (22 * 11) = 0.5 is a hit, since equality counts; half-open it would be 10 / 21.
    state = BoxAccuracy.empty(MAX_BOX_ACC, interval=0.1)
    scoremap = frame((10, 10, 20, 20, 1.0))
    assert state.add(scoremap, as_boxes([[10, 10, 31, 20]])).maximum == 1.0
    assert state.add(scoremap, as_boxes([[10, 10, 32, 20]])).maximum == 0.0


def test_one_threshold_serves_all_images_by_hand() -> None:
    # Image 1 needs a threshold below 0.5 (the wide block), image 2 one of at least 0.5 (the core)
    scoremap = frame((20, 20, 120, 120, 0.5), (20, 20, 40, 40, 1.0))
    first = BoxAccuracy.empty(MAX_BOX_ACC, interval=0.25).add(
        scoremap, as_boxes([[20, 20, 120, 120]])
    )
    second = BoxAccuracy.empty(MAX_BOX_ACC, interval=0.25).add(
        scoremap, as_boxes([[20, 20, 40, 40]])
    )
    # 0.5 * 255 = 127 after cutting, and int(0.5 * 255) = 127 is not exceeded by it
    assert first.hits.tolist() == [[1, 1, 0, 0]]
    assert second.hits.tolist() == [[0, 0, 1, 1]]
    both = first + second
    assert (first.maximum, second.maximum, both.maximum) == (1.0, 1.0, 0.5)
    assert both.accuracies.tolist() == [[0.5] * 4]
    # a threshold chosen on the first image is wrong for the second
    assert second.best_threshold() == 0.5
    assert second.accuracy_at(first.best_threshold()) == 0.0


def test_any_box_against_any_true_box_counts_in_v2_only() -> None:
    scoremap = frame((10, 10, 30, 30, 1.0), (100, 100, 180, 180, 1.0))
    truth = as_boxes([[200, 0, 210, 10], [10, 10, 30, 30]])
    v1 = BoxAccuracy.empty(MAX_BOX_ACC, interval=0.5).add(scoremap, truth)
    v2 = BoxAccuracy.empty(MAX_BOX_ACC_V2, interval=0.5).add(scoremap, truth)
    assert (v1.maximum, v2.maximum) == (0.0, 1.0)


def test_v2_is_the_mean_over_three_ious() -> None:
    # 21 x 21 inclusive pixels in 21 x 36: 0.583 reaches 0.3 and 0.5, not 0.7
    state = BoxAccuracy.empty(MAX_BOX_ACC_V2, interval=0.5)
    state = state.add(frame((10, 10, 30, 30, 1.0)), as_boxes([[10, 10, 45, 30]]))
    assert state.hits[:, 0].tolist() == [1, 1, 0]
    assert state.maximum == pytest.approx(2 / 3)


def test_each_iou_of_v2_takes_its_own_best_threshold_by_hand() -> None:
    state = BoxAccuracy(MAX_BOX_ACC_V2, np.array([[2, 1], [0, 1], [0, 1]]), n=2, interval=0.5)
    assert state.maximum == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (state.best_threshold(0.3), state.best_threshold(0.7)) == (0.0, 0.5)
    assert (state.accuracy_at(0.0, 0.3), state.accuracy_at(0.5, 0.3)) == (1.0, 0.5)


def test_default_thresholds_are_a_thousand_and_any_other_is_refused() -> None:
    state = BoxAccuracy.empty(MAX_BOX_ACC)
    assert state.hits.shape == (1, 1000)
    assert state.maximum is None
    assert state.accuracy_at(0.123) is None
    for threshold in (0.0005, 1.0, -0.001):
        with pytest.raises(UsageError, match="threshold="):
            state.accuracy_at(threshold)


def test_states_of_different_protocols_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="variants"):
        BoxAccuracy.empty(MAX_BOX_ACC) + BoxAccuracy.empty(MAX_BOX_ACC_V2)
    with pytest.raises(ValueError, match="intervals"):
        PixelAveragePrecision.empty(0.1) + PixelAveragePrecision.empty(0.01)


def test_pxap_is_scikit_learns_average_precision_where_bins_hold_one_value() -> None:
    rng = np.random.default_rng(0)
    # centres of the bins, so that binning merges only what is equal
    scoremap = (rng.integers(0, 100, (40, 40)) + 0.5) / 100
    mask, ignore = rng.random((40, 40)) < scoremap, rng.random((40, 40)) < 0.2
    state = PixelAveragePrecision.empty(0.01).add(scoremap, mask, ignore & ~mask)
    kept = mask | ~ignore
    expected = average_precision_score(mask[kept], scoremap[kept])
    assert state.value == pytest.approx(expected, abs=1e-12)


def test_pxap_ignores_no_true_pixel() -> None:
    mask = np.array([[True, False]])
    state = PixelAveragePrecision.empty(0.1).add(np.array([[1.0, 0.0]]), mask, mask)
    assert (state.inside.sum(), state.outside.sum()) == (1, 1)


def test_pxap_of_a_constant_map_is_the_share_of_true_pixels() -> None:
    mask = np.arange(20).reshape(4, 5) < 7
    for value in (0.0, 0.5, 1.0):
        state = PixelAveragePrecision.empty(0.1)
        state = state.add(np.full((4, 5), value), mask, np.zeros_like(mask))
        assert state.value == pytest.approx(7 / 20)


def test_pxap_without_true_pixels_is_none() -> None:
    nothing = np.zeros((2, 2), dtype=bool)
    assert PixelAveragePrecision.empty().value is None
    assert PixelAveragePrecision.empty().add(np.ones((2, 2)), nothing, nothing).value is None
