"""The images that the page offers: photographs under free terms, and generated scenes."""

from collections.abc import Sequence

from gradbox.datasets import load_dataset
from gradbox.demo.photographs import PHOTOGRAPHS
from gradbox.localization import Sample

_SCENES = "scenes:3,seed=7"
_HERE = [one for one in PHOTOGRAPHS if one.is_here]


def examples() -> Sequence[Sample]:
    """The photographs that are installed, and three scenes."""
    return [*(one.sample for one in _HERE), *load_dataset(_SCENES).samples]


def credit_line() -> str:
    """Whose the photographs are, and their terms."""
    return "; ".join(f"{one.sample.image_id}: {one.terms}" for one in _HERE)
