"""What a learned box sees of a heat map: a fixed number of features of each map."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from gradbox.estimators.estimator import Heatmaps
from gradbox.estimators.marginals import above_floor, cut, marginals
from gradbox.estimators.placing import overlap

Features = Literal["cells", "quantiles"]
"""`cells` are `pool_features`, `quantiles` are `marginal_quantiles`."""

FLOORS = (0.0, 0.5, 0.8)
SHARES: Float[np.ndarray, "s"] = np.array([0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98])


def n_features(features: Features, grid: int | None) -> int:
    """The number of features of a map; `grid` is for `cells`."""
    if features == "quantiles":
        return 2 * len(FLOORS) * len(SHARES)
    assert grid is not None
    return grid**2


def map_features(
    heatmaps: Heatmaps, features: Features, grid: int | None
) -> Float32[np.ndarray, "b m"]:
    """The features of each map; `grid` is for `cells`."""
    if features == "quantiles":
        return marginal_quantiles(heatmaps)
    assert grid is not None
    return pool_features(heatmaps, grid)


def pool_features(heatmaps: Heatmaps, grid: int) -> Float32[np.ndarray, "b m"]:
    """Each map divided by its sum, averaged over grid x grid equal cells, row by row.

    Cells may cut through pixels; those count by area. A map of zeros gives zeros.
    """
    height, width = heatmaps.shape[1:]
    total = heatmaps.sum(axis=(1, 2), dtype=np.float64)
    pooled = heatmaps
    if (height, width) != (grid, grid):
        pooled = _cells(grid, height) @ heatmaps @ _cells(grid, width).T
    shares = pooled / np.where(total > 0, total, 1.0)[:, None, None]
    return shares.reshape(len(heatmaps), -1).astype(np.float32)


def marginal_quantiles(heatmaps: Heatmaps) -> Float32[np.ndarray, "b m"]:
    """Where `SHARES` of each map's mass lie to the left, then above, in [0, 1] of its sides.

    They are taken of what is above each of `FLOORS`, one after another: m = 54. They move and grow
    with the object, so a linear map of them needs few boxes even where objects may be anywhere. A
    map of zeros gives ones.
    """
    height, width = heatmaps.shape[1:]
    found = []
    for floor in FLOORS:
        across, down = marginals(above_floor(heatmaps, floor))
        found += [cut(across, SHARES) / width, cut(down, SHARES) / height]
    return np.concatenate(found, axis=1).astype(np.float32)


def _cells(grid: int, length: int) -> Float[np.ndarray, "grid length"]:
    edges = np.linspace(0, length, grid + 1)
    return (overlap(edges[:-1], edges[1:], length) * (grid / length)).astype(np.float32)
