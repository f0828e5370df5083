"""The tiles of an image: they cover it, none reaches beyond it, neighbours overlap."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradbox.tiles.grid import grid

LENGTHS = st.integers(1, 250)
SIDES = st.integers(32, 90)
OVERLAPS = st.floats(0, 0.8)


def covered(tiles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How many tiles lie over each pixel."""
    count = np.zeros(size, int)
    for xmin, ymin, xmax, ymax in tiles.astype(int).tolist():
        count[ymin:ymax, xmin:xmax] += 1
    return count


@given(LENGTHS, LENGTHS, SIDES, OVERLAPS)
def test_they_cover_all_of_a_large_image_and_nothing_else(
    height: int, width: int, side: int, overlap: float
) -> None:
    tiles = grid((height, width), side, overlap)
    if max(height, width) <= 1.5 * side:
        assert tiles.shape == (0, 4)
        return
    assert (tiles[:, :2] >= 0).all()
    assert (tiles[:, 2:] <= [width, height]).all()
    assert (tiles[:, 2:] - tiles[:, :2] == [min(side, width), min(side, height)]).all()
    assert len(np.unique(tiles, axis=0)) == len(tiles)
    assert covered(tiles, (height, width)).min() >= 1


@given(LENGTHS, SIDES, OVERLAPS)
def test_neighbours_share_at_least_the_overlap(width: int, side: int, overlap: float) -> None:
    tiles = grid((1, width), side, overlap)
    shared = tiles[:-1, 2] - tiles[1:, 0]
    assert (shared >= overlap * side - 1e-9).all()


def test_a_grid_by_hand() -> None:
    # A step of 512: 0 and 512 fit into 2,048 - 640 = 1,408 left, 1,024, and 1,536 moved to 1,408.
    starts = [0.0, 512.0, 1024.0, 1408.0]
    tiles = grid((2048, 2048), 640, 0.2)
    assert sorted(set(tiles[:, 0].tolist())) == sorted(set(tiles[:, 1].tolist())) == starts
    assert len(tiles) == 16
    assert len(grid((640, 20_000), 640, 0.0)) == 32  # 20,000 / 640 = 31.25


def test_an_image_is_large_from_one_and_a_half_tiles_on() -> None:
    assert len(grid((100, 960), 640, 0.2)) == 0
    assert len(grid((100, 961), 640, 0.2)) == 2
