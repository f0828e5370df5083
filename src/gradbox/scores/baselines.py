"""The constant boxes that every table holds a method against."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from gradbox.boxes import centered, choose
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.localization import Sample
from gradbox.scores.boxes import Scores, Unit
from gradbox.scores.units import HEADLINE, TrueUnit, summary

Shares = tuple[float, float]
"""How much of an image's (height, width) a centred box takes."""


def constant_units(
    image: int, truth: Sequence[TrueUnit], size: Size, shares: Shares
) -> Iterator[Unit]:
    """The scored units of a centred box in an image, the same ones as those of a method."""
    box = centered(*size, shares)
    return (Unit.of(image, box, one.boxes, size) for one in truth)


def constant_boxes(fitting: Iterable[Sample]) -> dict[str, Shares]:
    """The constant boxes by name; `center(mean)` is the mean size of the boxes of `fitting`."""
    shares = {"center(0.8)": (0.8, 0.8), "whole": (1.0, 1.0)}
    try:
        mean = mean_shares((s.boxes, s.size) for s in fitting if s.size is not None)
    except UsageError:  # there is no box
        return shares
    return {**shares, "center(mean)": mean}


def baseline(name: str, scores: Scores, shares: Shares, *, oracle: bool) -> Mapping[str, Any]:
    """The numbers of a constant box; `oracle` where the mean is that of the scored images."""
    numbers = summary(scores)
    return {
        **{key: numbers[key] for key in HEADLINE if key in numbers},
        "share_of_height": shares[0],
        "share_of_width": shares[1],
        "oracle": oracle and name == "center(mean)",
    }


def mean_shares(
    images: Iterable[tuple[Float[np.ndarray, "_ 4"], Size]],
    which: Literal["largest", "each"] = "largest",
) -> tuple[float, float]:
    """Mean (height, width) of boxes as shares of their images; images without boxes do not count.

    Args:
        images: the boxes of each image in original pixels, and its (height, width).
        which: the largest box of each image, or each box.

    Raises:
        UsageError: there is no box at all.
    """
    total, count = np.zeros(2), 0
    for boxes, (height, width) in images:
        for box in choose(boxes, which):
            total += (box[2:] - box[:2]) / np.array([width, height])
            count += 1
    if not count:
        raise UsageError("center(mean) needs boxes to take the mean of, and no image has one")
    share_w, share_h = total / count
    return float(share_h), float(share_w)
