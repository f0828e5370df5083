"""The constant boxes that every table holds a method against."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from gradbox.boxes import centered, choose
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.localization import Found, Localization, Sample
from gradbox.scores.boxes import Scores, Unit
from gradbox.scores.units import HEADLINE, TrueUnit, summary


def score_constant(
    units: Mapping[str, Sequence[TrueUnit]],
    found: Mapping[str, Found],
    shares: tuple[float, float],
) -> Scores:
    """The scores of the same centred box in every image, on the same units as `score`."""
    return Scores.of(
        Unit.of(image_id, centered(*localization.size, shares), truth.boxes, localization.size)
        for image_id, of_image in units.items()
        if isinstance(localization := found[image_id], Localization)
        for truth in of_image
    )


def baselines(
    units: Mapping[str, Sequence[TrueUnit]],
    found: Mapping[str, Found],
    *,
    fitting: Sequence[Sample],
    oracle: bool,
) -> dict[str, dict[str, Any]]:
    """The constant boxes by name, scored on the same units.

    `center(mean)` takes the mean size of the boxes of `fitting`; `oracle` marks it where these are
    the scored images themselves.
    """
    sized = [(s.boxes, s.size) for s in fitting if s.size is not None and len(s.boxes)]
    shares = {"center(0.8)": (0.8, 0.8), "whole": (1.0, 1.0)}
    if sized:
        shares["center(mean)"] = mean_shares(sized)
    rows: dict[str, dict[str, Any]] = {}
    for name, share in shares.items():
        numbers = summary(score_constant(units, found, share))
        rows[name] = {key: numbers[key] for key in HEADLINE if key in numbers}
        rows[name] |= {"share_of_height": share[0], "share_of_width": share[1]}
        rows[name] |= {"oracle": oracle and name == "center(mean)"}
    return rows


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
    shares = [
        (chosen[:, 2:] - chosen[:, :2]) / np.array([width, height])
        for boxes, (height, width) in images
        for chosen in [choose(boxes, which)]
    ]
    if not sum(map(len, shares)):
        raise UsageError("center(mean) needs boxes to take the mean of, and no image has one")
    share_w, share_h = np.concatenate(shares).mean(axis=0)
    return float(share_h), float(share_w)
