"""The connected parts of a mask, and its holes."""

import cv2
import numpy as np
from jaxtyping import Bool

from gradbox.geometry import Mask


def parts(mask: Mask, *, at_most: int | None = None, least: int = 1) -> Bool[np.ndarray, "n h w"]:
    """The 8-connected parts, largest first; the first found of equals comes first.

    Args:
        mask: where parts are looked for; without a true pixel it has none.
        at_most: so many of them.
        least: only those of at least so many pixels.
    """
    _, numbered, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    by_area = np.argsort(-areas, kind="stable")[:at_most]
    chosen = by_area[areas[by_area] >= least]
    return np.asarray(numbered == (1 + chosen)[:, None, None])


def largest_part(mask: Mask) -> Mask:
    """The largest 8-connected part, the first found of equals; an empty mask stays empty."""
    return np.asarray(parts(mask, at_most=1).any(axis=0))


def without_holes(mask: Mask) -> Mask:
    """The mask with every background pixel set that no 4-connected path leads out of the image."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(filled, contours, -1, color=1, thickness=cv2.FILLED)
    return filled.astype(bool)
