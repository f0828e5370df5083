"""The connected parts of a mask, and its holes."""

import cv2
import numpy as np
from jaxtyping import Bool, Int

from gradbox.geometry import Mask


def parts(mask: Mask, *, at_most: int | None = None, least: int = 1) -> Bool[np.ndarray, "n h w"]:
    """The 8-connected parts, largest first; the first found of equals comes first.

    Args:
        mask: where parts are looked for; without a true pixel it has none.
        at_most: so many of them.
        least: only those of at least so many pixels.
    """
    _, numbered = _numbered(mask)
    areas = np.bincount(numbered.ravel())[1:]
    by_area = np.argsort(-areas, kind="stable")[:at_most]
    chosen = by_area[areas[by_area] >= least]
    return np.asarray(numbered == (1 + chosen)[:, None, None])


def largest_part(mask: Mask) -> Mask:
    """The largest 8-connected part, the first found of equals; an empty mask stays empty."""
    last, _ = _numbered(mask)
    return mask if last <= 1 else np.asarray(parts(mask, at_most=1)[0])


def without_holes(mask: Mask) -> Mask:
    """The mask with every background pixel set that no 4-connected path leads out of the image."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(filled, contours, -1, color=1, thickness=cv2.FILLED)
    return filled.astype(bool)


def _numbered(mask: Mask) -> tuple[int, Int[np.ndarray, "h w"]]:
    """The highest number of a part, and of each pixel that of its part, 0 outside.

    OpenCV's areas come with statistics that take ten times as long.
    """
    count, numbered = cv2.connectedComponents(mask.astype(np.uint8))
    return count - 1, numbered
