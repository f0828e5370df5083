"""The two marginals of a heat map, its sums over columns and rows, and where their mass lies."""

import numpy as np
from jaxtyping import Float

from gradbox.estimators.estimator import Heatmaps


def above_floor(heatmaps: Heatmaps, floor: float) -> Heatmaps:
    """What of each map is above its quantile `floor`, 0 <= floor < 1; 0 elsewhere.

    A map as high as its floor nearly everywhere has nothing above it and is left as it is.
    """
    flat = heatmaps.reshape(len(heatmaps), -1)
    rank = int(floor * flat.shape[1])
    lowest = np.partition(flat, rank, axis=1)[:, rank, None, None]
    above = np.maximum(heatmaps - lowest, 0.0)
    return np.where(above.any(axis=(1, 2), keepdims=True), above, heatmaps)


def marginals(heatmaps: Heatmaps) -> tuple[Float[np.ndarray, "b w"], Float[np.ndarray, "b h"]]:
    """The sum of each column, from left to right, and of each row, from top to bottom."""
    across, down = (heatmaps.sum(axis=axis, dtype=np.float64) for axis in (1, 2))
    return across, down


def cut(
    line: Float[np.ndarray, "b n"], shares: float | Float[np.ndarray, "s"]
) -> Float[np.ndarray, "b ..."]:
    """Where on [0, n] these shares of each line's sum lie to the left; it falls between pixels."""
    mass = np.cumsum(line, axis=1)
    edges = np.arange(line.shape[1] + 1)
    return np.array([np.interp(shares * m[-1], np.concatenate([[0.0], m]), edges) for m in mass])
