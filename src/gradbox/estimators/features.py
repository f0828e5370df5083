"""What a learned box sees of a heat map, or of its regions: a fixed number of features of each."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from gradbox import boxes as bx
from gradbox.estimators.estimator import Heatmaps, Regions
from gradbox.estimators.marginals import above_floor, cut, marginals
from gradbox.estimators.placing import overlap
from gradbox.geometry import Frame
from gradbox.localization import Region

Features = Literal["cells", "quantiles", "regions"]
"""`cells` are `pool_features`, `quantiles` `marginal_quantiles`, `regions` `region_features`."""

FLOORS = (0.0, 0.5, 0.8)
SHARES: Float[np.ndarray, "s"] = np.array([0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98])

REGIONS = 10
"""How many regions are seen, those with the best scores."""


def n_features(features: Features, grid: int | None) -> int:
    """The number of features of a map; `grid` is for `cells`."""
    if features == "regions":
        return 4 + 7 * REGIONS
    if features == "quantiles":
        return 2 * len(FLOORS) * len(SHARES)
    assert grid is not None
    return grid**2


def map_features(
    heatmaps: Heatmaps,
    frames: Sequence[Frame],
    regions: Regions,
    features: Features,
    grid: int | None,
) -> Float32[np.ndarray, "b m"]:
    """The features of each map; `frames` and `regions` are for `regions`, `grid` is for `cells`."""
    if features == "regions":
        pairs = zip(regions, frames, strict=True)
        return np.array([region_features(*pair) for pair in pairs], dtype=np.float32).reshape(
            len(heatmaps), n_features(features, grid)
        )
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


def region_features(regions: Sequence[Region], frame: Frame) -> Float[np.ndarray, "m"]:
    """Where the regions of one map lie (paper B: its box and regions as features), m = 74.

    First the box around the chosen ones. Then, of the `REGIONS` with the best scores, best first,
    each one's box, its score, its area, and its IoU with the first box. Boxes are corners xmin,
    ymin, xmax, ymax, in shares of the input, as the area is. Where there are fewer the last one
    stands again; no region at all counts as the whole input with score 0.
    """
    height, width = frame.input
    best = sorted(regions, key=lambda region: -region.score)[:REGIONS]
    boxes = np.array([[0.0, 0.0, 1.0, 1.0]])
    if best:
        in_pixels = frame.to_input(np.stack([region.box for region in best]))
        boxes = in_pixels / np.array([width, height, width, height])
    chosen = [i for i, region in enumerate(best) if region.chosen] or [0]
    around = bx.union(boxes[chosen])
    scores = np.array([region.score for region in best] or [0.0])
    rows = np.column_stack([boxes, scores, bx.area(boxes), bx.iou(boxes, around[None])])
    missing = np.repeat(rows[-1:], REGIONS - len(rows), axis=0)
    return np.concatenate([around, rows.ravel(), missing.ravel()])


def _cells(grid: int, length: int) -> Float[np.ndarray, "grid length"]:
    edges = np.linspace(0, length, grid + 1)
    return (overlap(edges[:-1], edges[1:], length) * (grid / length)).astype(np.float32)
