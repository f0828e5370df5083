"""Images that nobody took: maps by a formula, and the true boxes that follow from it."""

import numpy as np

from gradbox.auto.confidence import Confidence
from gradbox.auto.evidence import FEATURES
from gradbox.auto.looks import Example, Look
from gradbox.auto.settings import Settings, Tuned
from gradbox.boxes import bounding
from gradbox.geometry import Frame

SIDE = 20
ORIGINAL = 200
FRAME = Frame.squash((ORIGINAL, ORIGINAL), (64, 64))


def undecided() -> Confidence:
    """A calibration that says one half of every box."""
    columns = 2 * len(FEATURES)
    zeros, ones = (0.0,) * columns, (1.0,) * columns
    return Confidence(mean=zeros, scale=ones, weights=zeros, bias=0.0)


def usual() -> Tuned:
    """What `auto` has before a fit, with a calibration that says nothing."""
    return Tuned(settings=(Settings(),), confidence=undecided())


def cone(center: tuple[float, float], radius: float) -> np.ndarray:
    """1 in the middle, falling evenly to 0 at this many cells from it."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    distance = np.maximum(np.abs(x - center[0]), np.abs(y - center[1]))
    return np.maximum(0, 1 - distance / radius).astype(np.float32)


def example(
    number: int, foreground: np.ndarray, of_class: np.ndarray | None, inside: np.ndarray
) -> Example:
    """One image, whose true box is the smallest around these cells."""
    look = Look(of_class=of_class, foreground=foreground, probability=0.5, frame=FRAME, row=number)
    truth = bounding(inside)[None] * ORIGINAL / SIDE
    return Example(image=f"{number:064x}", truth=truth, first=look, closer=None)


def cones(count: int, share: float, seed: int = 0, power: float | None = None) -> list[Example]:
    """Cones whose true box holds what is above a share of the maximum.

    With a `power` the foreground is everywhere 1, and the cone is the class's map to that power.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        made = cone((rng.uniform(8, 12), rng.uniform(8, 12)), rng.uniform(5, 7))
        peak = made.max()
        if power is None:
            found.append(example(number, made, None, made >= share * peak))
        else:
            flat = np.ones_like(made)
            inside = (made / peak) ** power >= share
            found.append(example(number, flat, made, inside))
    return found


def noise(count: int, seed: int) -> list[Example]:
    """Maps and true boxes that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        inside = np.zeros((SIDE, SIDE), dtype=bool)
        top, left = rng.integers(0, 10, 2)
        height, width = rng.integers(4, 10, 2)
        inside[top : top + height, left : left + width] = True
        made = cone((rng.uniform(5, 15), rng.uniform(5, 15)), rng.uniform(3, 9))
        found.append(example(number, made, None, inside))
    return found
