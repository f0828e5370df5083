from pathlib import Path

import numpy as np
import pytest
from estimates import stacked
from scipy.ndimage import gaussian_filter, label

from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS, BoxEstimator
from gradbox.estimators.learned import Learned, Origin, Regressor
from gradbox.estimators.untrained import (
    Center,
    ConstantBox,
    Mass,
    Threshold,
    TopFraction,
    Whole,
)
from gradbox.geometry import Frame
from gradbox.scores.baselines import mean_shares
from gradbox.specs import build, canonical


def frame(height: int, width: int) -> Frame:
    return Frame.squash((height, width), (height, width))


def float_maps(*maps: object) -> np.ndarray:
    return np.array(maps, dtype=np.float32)


@pytest.fixture
def regressor_file(tmp_path: Path) -> Path:
    """A regressor for a 2 x 2 grid that answers (0.25, 0.25, 0.75, 0.75) whatever the map."""
    origin = Origin(
        kind="ridge(grid=2)", method="m", model="x", model_hash="h", n_images=9, n_boxes=9
    )
    regressor = Regressor(
        weights=np.zeros((4, 4)),
        bias=np.array([0.25, 0.25, 0.75, 0.75]),
        mean=np.zeros(4),
        scale=np.ones(4),
        origin=origin,
        image_hashes=frozenset(),
    )
    path = tmp_path / "box.safetensors"
    regressor.save(path)
    return path


def estimator_named(name: str, regressor_file: Path) -> BoxEstimator:
    kind = ESTIMATORS[name]
    return kind(file=str(regressor_file)) if issubclass(kind, Learned) else kind()


def test_top_fraction_keeps_exactly_the_top_share_of_pixels():
    # By hand: 4 of 20 pixels are the top 20 %; the 5 and the 6 are not among them.
    heatmap = [[0, 0, 0, 0, 6], [0, 9, 0, 8, 0], [0, 0, 7, 0, 0], [5, 0, 0, 10, 0]]
    boxes, scores = stacked(TopFraction(0.2, sigma=0).estimate(float_maps(heatmap), [frame(4, 5)]))
    assert boxes.tolist() == [[1, 1, 4, 4]]
    assert scores[0] == pytest.approx(34 / 45)


def test_top_fraction_keeps_all_pixels_that_tie_with_the_last_one():
    heatmap = np.zeros((1, 4, 5), dtype=np.float32)
    heatmap[0, 1, 0], heatmap[0, 0, 2], heatmap[0, 3, 3] = 2, 1, 1  # fraction: two pixels
    boxes, _ = stacked(TopFraction(0.1, sigma=0).estimate(heatmap, [frame(4, 5)]))
    assert boxes.tolist() == [[0, 0, 4, 4]]


def test_top_fraction_smooths_like_scipy():
    # A second implementation: the same box from scipy's Gaussian, reflected edges, float64.
    heatmaps = np.random.default_rng(0).random((3, 64, 80), dtype=np.float32) ** 8
    boxes, _ = stacked(TopFraction(0.2, sigma=5).estimate(heatmaps, [frame(64, 80)] * 3))
    for heatmap, box in zip(heatmaps, boxes, strict=True):
        smooth = gaussian_filter(heatmap.astype(np.float64), 5, mode="reflect")
        rows, columns = np.nonzero(smooth >= np.sort(smooth, axis=None)[-round(0.2 * 64 * 80)])
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == pytest.approx(expected)


def test_sigma_counts_input_pixels_whatever_the_size_of_the_map():
    # On a map of half the input's size, sigma=8 is 4 map pixels; map pixels are 2 input pixels.
    heatmaps = np.random.default_rng(1).random((1, 32, 40), dtype=np.float32)
    half, _ = stacked(TopFraction(0.2, sigma=8).estimate(heatmaps, [frame(64, 80)]))
    full, _ = stacked(TopFraction(0.2, sigma=4).estimate(heatmaps, [frame(32, 40)]))
    np.testing.assert_allclose(half, 2 * full)


def test_threshold_takes_the_largest_part_that_is_high_enough():
    # By hand: 2 is 20 % of the maximum. The four pixels at the left touch (one at a corner), the
    # two with the maximum are fewer; the 1 between them is too low.
    heatmap = [[0, 2, 0, 0, 0], [3, 2, 1, 0, 10], [0, 0, 3, 1, 9], [0, 0, 0, 0, 0]]
    boxes, scores = stacked(Threshold(0.2).estimate(float_maps(heatmap), [frame(4, 5)]))
    assert boxes.tolist() == [[0, 0, 3, 3]]
    assert scores[0] == pytest.approx(11 / 31)


def test_threshold_equals_scipys_largest_part():
    heatmaps = gaussian_filter(np.random.default_rng(3).random((4, 40, 50)), (0, 2, 2))
    boxes, _ = stacked(Threshold(0.95).estimate(heatmaps, [frame(40, 50)] * 4))
    for heatmap, box in zip(heatmaps, boxes, strict=True):
        numbered, _ = label(heatmap >= 0.95 * heatmap.max(), np.ones((3, 3)))
        rows, columns = np.nonzero(numbered == np.bincount(numbered.ravel())[1:].argmax() + 1)
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == expected


def test_mass_cuts_its_trim_off_both_marginals():
    # By hand: the median 1 falls away, 10 stays at (1, 1), (1, 2), (2, 1), (2, 2). Each marginal
    # is 0 20 20 0, so 10 % of 40 lies left of 1 + 4 / 20 and right of 3 - 4 / 20.
    heatmap = np.ones((1, 4, 4), dtype=np.float32)
    heatmap[0, 1:3, 1:3] = 11
    boxes, scores = stacked(Mass(floor=0.5, trim=0.1).estimate(heatmap, [frame(4, 4)]))
    np.testing.assert_allclose(boxes, [[1.2, 1.2, 2.8, 2.8]])
    assert scores[0] == pytest.approx(1.6**2 * 11 / 56)


def test_mass_without_trim_is_the_box_around_what_is_above_the_floor():
    heatmap = np.zeros((1, 5, 6), dtype=np.float32)
    heatmap[0, 1, 2], heatmap[0, 3, 4] = 1, 7
    boxes, scores = stacked(Mass(floor=0.5, trim=0).estimate(heatmap, [frame(5, 6)]))
    assert boxes.tolist() == [[2, 1, 5, 4]]
    assert scores.tolist() == [1]


def test_mass_takes_a_map_with_nothing_above_its_floor_as_it_is():
    # A constant map: 5 % of its mass lies within 5 % of each side.
    boxes, scores = stacked(
        Mass(trim=0.05).estimate(float_maps(np.ones((20, 40))), [frame(20, 40)])
    )
    np.testing.assert_allclose(boxes, [[2, 1, 38, 19]])
    assert scores[0] == pytest.approx(0.81)


def test_boxes_come_back_through_resize_and_crop():
    # By hand: 200 x 400 becomes 100 x 200, of which columns 50 to 150 are the input. The map's
    # left half is columns 50 to 100 there, columns 100 to 200 of the original.
    cropped = Frame(original=(200, 400), resized=(100, 200), crop=(0, 50), input=(100, 100))
    heatmap = np.zeros((1, 100, 100), dtype=np.float32)
    heatmap[0, :, :50] = 1
    boxes, scores = stacked(TopFraction(0.5, sigma=0).estimate(heatmap, [cropped]))
    assert boxes.tolist() == [[100, 0, 200, 200]]
    assert scores.tolist() == [1]


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"center"}))
def test_every_estimator_answers_a_blank_map_with_the_whole_image(name: str, regressor_file: Path):
    # Matrix over the registry; `center` does not look at the map and keeps to its box.
    heatmaps = float_maps(np.zeros((8, 8)), np.eye(8))
    cropped = Frame(original=(20, 40), resized=(8, 16), crop=(0, 4), input=(8, 8))
    boxes, scores = stacked(
        estimator_named(name, regressor_file).estimate(heatmaps, [cropped, cropped])
    )
    assert boxes[0].tolist() == [0, 0, 40, 20]
    assert scores[0] == 0
    assert scores[1] > 0


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_estimator_leaves_its_map_as_it_was(name: str, regressor_file: Path):
    heatmaps = np.random.default_rng(2).random((2, 9, 7), dtype=np.float32)
    before = heatmaps.copy()
    stacked(estimator_named(name, regressor_file).estimate(heatmaps, [frame(9, 7)] * 2))
    np.testing.assert_array_equal(heatmaps, before)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_estimator_is_built_by_its_own_canonical_text(name: str):
    part = build(name, ESTIMATORS)
    assert build(canonical(part, ESTIMATORS), ESTIMATORS) == part


def test_centered_boxes_have_their_share_of_each_side_of_the_original():
    # By hand: 80 % of 100 x 200; on an even map the score is its share of the area.
    boxes, scores = stacked(Center(0.8).estimate(float_maps(np.ones((4, 4))), [frame(100, 200)]))
    np.testing.assert_allclose(boxes, [[20, 10, 180, 90]])
    assert scores[0] == pytest.approx(0.64)
    boxes, scores = stacked(Whole().estimate(float_maps(np.eye(4)), [frame(100, 200)]))
    assert boxes.tolist() == [[0, 0, 200, 100]]
    assert scores.tolist() == [1]


def test_mean_shares_of_the_largest_or_of_each_box():
    # By hand: 50 x 80 of 100 x 100 (and a small 10 x 20 one), 10 x 10 of 20 x 50, and no box.
    images = [
        (np.array([[0.0, 0.0, 20.0, 10.0], [0.0, 0.0, 80.0, 50.0]]), (100, 100)),
        (np.array([[5.0, 5.0, 15.0, 15.0]]), (20, 50)),
        (np.zeros((0, 4)), (10, 10)),
    ]
    assert mean_shares(images) == pytest.approx((0.5, 0.5))
    assert mean_shares(images, "each") == pytest.approx(
        ((0.1 + 0.5 + 0.5) / 3, (0.2 + 0.8 + 0.2) / 3)
    )
    boxes, _ = stacked(ConstantBox((0.5, 0.2)).estimate(float_maps(np.eye(2)), [frame(10, 10)]))
    assert boxes.tolist() == [[4, 2.5, 6, 7.5]]


def test_center_mean_says_where_its_size_comes_from():
    with pytest.raises(UsageError, match=r"center\(0\.8\)"):
        build("center(mean)", ESTIMATORS)
    with pytest.raises(UsageError, match="no image has one"):
        mean_shares([(np.zeros((0, 4)), (10, 10))])


@pytest.mark.parametrize(
    "text",
    [
        "top_fraction(0)",
        "top_fraction(1.5)",
        "top_fraction(sigma=-1)",
        "threshold(1)",
        "threshold(sigma=-1)",
        "mass(floor=1)",
        "mass(trim=0.5)",
        "mass(sigma=-2)",
        "center(0)",
        "center(median)",
        "ridge(grid=0)",
        "ridge(penalty=0)",
        "ridge(folds=1)",
        "sgd(lr=0)",
        "sgd(batch=0)",
    ],
)
def test_options_out_of_range_are_wrong_calls(text: str):
    with pytest.raises(UsageError):
        build(text, ESTIMATORS)
