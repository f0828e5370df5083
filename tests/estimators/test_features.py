import numpy as np
import pytest

from gradbox.estimators.features import FLOORS, SHARES, marginal_quantiles, pool_features

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
