"""The parameters of boxes that sliders of the page move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradbox.errors import UsageError
from gradbox.methods import to_estimator

OWN = "the method's own"
"""What is chosen where no estimator is."""


@dataclass(frozen=True)
class Slider:
    """An option of a box estimator, and from where to where its slider goes."""

    option: str
    low: float
    high: float
    step: float = 0.01


_SIGMA = Slider("sigma", 0, 40, 0.5)
BOXES: Mapping[str, Sequence[Slider]] = {
    OWN: (),
    "objects": (
        Slider("share", 0, 0.95),
        Slider("split", 0, 1),
        Slider("peak", 0, 1),
        Slider("min_area", 0, 0.2, 0.005),
    ),
    "mass": (Slider("floor", 0, 0.95), Slider("trim", 0, 0.4), _SIGMA),
    "threshold": (Slider("share", 0, 0.95), _SIGMA),
    "threshold(boxes=all)": (Slider("share", 0, 0.95), _SIGMA, Slider("min_area", 0, 0.2, 0.005)),
    "top_fraction": (Slider("fraction", 0.01, 1), _SIGMA),
    "center": (Slider("share", 0.05, 1),),
    "whole": (),
}
"""The boxes that are offered, as text, and their sliders."""
MOST = max(map(len, BOXES.values()))
"""Sliders that a box has at most."""


def sliders_of(box: str) -> Sequence[tuple[Slider, float]]:
    """The sliders of a box, and where each stands at first.

    Raises:
        UsageError: no box of the page.
    """
    if box not in BOXES:
        raise UsageError(f"no box {box!r} here: use one of {', '.join(BOXES)}")
    usual = None if box == OWN else to_estimator(box)
    return [(one, float(getattr(usual, one.option))) for one in BOXES[box]]


def box_at(box: str, values: Sequence[float]) -> Any:
    """The box with its sliders at these values, further ones aside; None for the method's own.

    Raises:
        UsageError: no box of the page.
        ValueError: a value that the box refuses.
    """
    options = [slider.option for slider, _ in sliders_of(box)]
    if box == OWN:
        return None
    usual: Any = to_estimator(box)
    return replace(usual, **dict(zip(options, map(float, values), strict=False)))
