"""IRAF's zscale: black and white of an image whose background is most of it."""

import numpy as np
from jaxtyping import Bool, Float

_POINTS = 1000
_ROUNDS = 5
_FARTHEST = 2.5
"""Standard deviations from the line, from which on a number is left out."""
_LEAST = 5
_LEAST_SHARE = 0.5
_GROWN = 0.01


def zscale(numbers: Float[np.ndarray, "n"], contrast: float) -> tuple[float, float]:
    """Black and white: a line through the sorted numbers, its slope divided by `contrast`.

    Of at most 1000 numbers, evenly taken, those far from the line are left out and it is drawn
    anew, up to five times. Where more than half would go, the range is that of all numbers. As in
    IRAF's `display`, and as astropy's `ZScaleInterval`.
    """
    ranked = np.sort(numbers[:: max(1, numbers.size // _POINTS)][:_POINTS])
    low, high, count = float(ranked[0]), float(ranked[-1]), ranked.size
    place = np.arange(count, dtype=np.float64)
    least = max(_LEAST, int(_LEAST_SHARE * count))
    kept, slope, n_before = np.ones(count, dtype=bool), 0.0, count + 1
    for _ in range(_ROUNDS):
        n_kept = int(kept.sum())
        if n_kept >= n_before or n_kept < least:
            break
        slope, start = np.polyfit(place[kept], ranked[kept], 1).tolist()
        away = ranked - (start + slope * place)
        farthest = _FARTHEST * away[kept].std()
        kept = ~_grown(~kept | (np.abs(away) > farthest))
        n_before = n_kept
    if int(kept.sum()) < least:
        return low, high
    middle, median, slope = (count - 1) // 2, float(np.median(ranked)), slope / contrast
    return max(low, median - (middle - 1) * slope), min(high, median + (count - middle) * slope)


def _grown(out: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """What is left out, with its neighbours."""
    return np.convolve(out, np.ones(max(1, int(_GROWN * out.size))), mode="same") > 0
