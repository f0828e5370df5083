"""Each slider is an option of its box, stands at the box's default, and its ends are taken."""

from itertools import product

import numpy as np
import pytest

from gradbox.errors import UsageError
from gradbox.geometry import Frame
from gradbox.methods import to_estimator
from gradbox.web.sliders import BOXES, MOST, OWN, box_at, sliders_of

MAP = np.outer(np.hanning(20), np.hanning(30))[None]
FRAMES = [Frame.squash((200, 300), (200, 300))]


@pytest.mark.parametrize("box", [box for box in BOXES if box != OWN])
def test_ends_and_defaults_of_the_sliders_are_the_boxs_own(box: str) -> None:
    sliders = sliders_of(box)
    assert len(sliders) <= MOST
    assert box_at(box, [value for _, value in sliders]) == to_estimator(box)
    for slider, value in sliders:
        assert slider.low <= value <= slider.high
        steps = (value - slider.low) / slider.step
        assert steps == pytest.approx(round(steps))  # a browser would move it to the next step
    for values in product(*((slider.low, slider.high) for slider, _ in sliders)):
        (found,) = box_at(box, values).estimate(MAP, FRAMES)
        assert len(found.boxes) >= 1
        assert np.isfinite(found.boxes).all()


def test_sliders_that_a_box_does_not_have_are_left_aside() -> None:
    assert box_at("whole", [0.5, 1.0, 2.0, 3.0]) == to_estimator("whole")
    assert box_at(OWN, [0.5, 1.0, 2.0, 3.0]) is None


def test_what_is_no_box_of_the_page_is_refused() -> None:
    """A browser may send any text; none of it is built, as `path/file.py:NAME` would be run."""
    with pytest.raises(UsageError, match=r"no box 'evil.py:Box' here: use one of the method"):
        box_at("evil.py:Box", [])
    with pytest.raises(ValueError, match="trim=9"):
        box_at("mass", [0.5, 9.0, 0.0])
