import numpy as np
import pytest

from gradbox.estimators.features import (
    FLOORS,
    REGIONS,
    SHARES,
    marginal_quantiles,
    n_features,
    pool_features,
    region_features,
)
from gradbox.geometry import Frame
from gradbox.localization import Region

N = len(SHARES)


def test_pooling_averages_cells_by_area():
    # By hand: 3 pixels on 2 cells: each cell covers one pixel and half of the middle one.
    heatmap = np.array([[[4, 2, 0], [4, 2, 0], [4, 2, 0]]], dtype=np.float32)
    left, right = (4 + 0.5 * 2) / 1.5 / 18, (0.5 * 2) / 1.5 / 18
    np.testing.assert_allclose(pool_features(heatmap, 2), [[left, right, left, right]], rtol=1e-6)


def test_pooling_to_a_divisor_is_the_mean_of_blocks():
    heatmaps = np.random.default_rng(0).random((2, 6, 9), dtype=np.float32)
    blocks = heatmaps.reshape(2, 3, 2, 3, 3).mean(axis=(2, 4)) / heatmaps.sum(axis=(1, 2))[0]
    expected = blocks[0].ravel()
    np.testing.assert_allclose(pool_features(heatmaps, 3)[0], expected, rtol=1e-5)


def test_pooling_to_the_map_itself_only_divides_by_the_sum():
    heatmaps = np.random.default_rng(0).random((2, 7, 7), dtype=np.float32)
    expected = heatmaps.reshape(2, 49) / heatmaps.sum(axis=(1, 2))[:, None]
    np.testing.assert_allclose(pool_features(heatmaps, 7), expected, rtol=1e-6)


@pytest.mark.parametrize("grid", [2, 3, 5, 8])
def test_pooled_cells_of_any_grid_average_to_the_map(grid: int):
    # A property: cells have equal area, so their mean is the mean of the map, 1 / pixels.
    heatmaps = np.random.default_rng(1).random((2, 7, 5), dtype=np.float32)
    np.testing.assert_allclose(pool_features(heatmaps, grid).mean(axis=1), 1 / 35, rtol=1e-5)


def test_quantiles_of_an_even_map_are_its_shares():
    # By hand: columns and rows of equal mass, and nothing above any floor but the map itself.
    found = marginal_quantiles(np.ones((1, 6, 10), dtype=np.float32))
    np.testing.assert_allclose(found, [np.tile(SHARES, 2 * len(FLOORS))], rtol=1e-6)


def test_quantiles_of_one_block_lie_in_the_block():
    # By hand: all the mass in columns 2 to 5 and rows 6 to 7 of 10, so each share lies at
    # (start + share * length) / 10, whatever the floor: the rest is 0.
    heatmap = np.zeros((1, 10, 10), dtype=np.float32)
    heatmap[0, 6:8, 2:6] = 3
    found = marginal_quantiles(heatmap)[0].reshape(len(FLOORS), 2, N)
    np.testing.assert_allclose(found[:, 0], np.tile((2 + 4 * SHARES) / 10, (3, 1)), rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], np.tile((6 + 2 * SHARES) / 10, (3, 1)), rtol=1e-6)


def test_a_floor_takes_away_the_background():
    # By hand: on a background of 1 the block of 2s keeps its own place above the floors 0.5, 0.8.
    heatmap = np.ones((1, 10, 10), dtype=np.float32)
    heatmap[0, 6:8, 2:6] = 2
    found = marginal_quantiles(heatmap)[0].reshape(len(FLOORS), 2, N)
    np.testing.assert_allclose(found[1:, 0], np.tile((2 + 4 * SHARES) / 10, (2, 1)), rtol=1e-6)


def test_quantiles_move_with_the_object():
    # A property: a shift by 3 of 20 columns adds 0.15 to each share across, 0 to those down.
    heatmap = np.zeros((2, 20, 20), dtype=np.float32)
    heatmap[0, 4:11, 5:12] = np.random.default_rng(0).random((7, 7))
    heatmap[1] = np.roll(heatmap[0], 3, axis=1)
    moved = np.diff(marginal_quantiles(heatmap), axis=0).reshape(len(FLOORS), 2, N)
    np.testing.assert_allclose(moved[:, 0], 0.15, atol=1e-6)
    np.testing.assert_allclose(moved[:, 1], 0, atol=1e-6)


def region(box: list[float], score: float, *, chosen: bool) -> Region:
    return Region(box=np.array(box, dtype=float), score=score, label=3, chosen=chosen)


def test_regions_are_shares_of_the_input_best_first_and_the_last_one_again():
    """By hand: an image of 40 x 80 squashed to 20 x 20, so x is divided by 80 and y by 40."""
    first = region([0, 0, 40, 20], 2.0, chosen=True)
    second = region([20, 10, 60, 30], 7.0, chosen=True)
    third = region([40, 20, 80, 40], -1.0, chosen=False)
    seen = region_features([first, second, third], Frame.squash((40, 80), (20, 20)))
    around, rows = seen[:4], seen[4:].reshape(REGIONS, 7)
    assert around.tolist() == [0, 0, 0.75, 0.75]  # of the two that are chosen
    whole = 0.75**2
    assert rows[0].tolist() == pytest.approx([0.25, 0.25, 0.75, 0.75, 7, 0.25, 0.25 / whole])
    assert rows[1].tolist() == pytest.approx([0, 0, 0.5, 0.5, 2, 0.25, 0.25 / whole])
    # the third overlaps the first two's box in a square of 0.25
    inter = 0.25**2
    iou = inter / (whole + 0.25 - inter)
    assert rows[2].tolist() == pytest.approx([0.5, 0.5, 1, 1, -1, 0.25, iou])
    assert (rows[3:] == rows[2]).all()


def test_no_region_is_the_whole_input_and_only_the_best_are_seen():
    frame = Frame.squash((40, 80), (20, 20))
    nothing = region_features([], frame)
    assert len(nothing) == n_features("regions", None)
    assert nothing[:4].tolist() == [0, 0, 1, 1]
    assert nothing[4:11].tolist() == [0, 0, 1, 1, 0, 1, 1]
    many = [region([i, 0, i + 1, 1], float(i), chosen=True) for i in range(REGIONS + 5)]
    scores = region_features(many, frame)[4:].reshape(REGIONS, 7)[:, 4]
    assert scores.tolist() == [float(i) for i in range(REGIONS + 4, 4, -1)]
