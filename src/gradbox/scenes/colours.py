"""Colours: five at a time, drawn from the same palettes for whatever is painted with them."""

import numpy as np
from jaxtyping import Float

Colour = Float[np.ndarray, "3"]
"""RGB in [0, 1]."""
Colours = Float[np.ndarray, "5 3"]

_PALETTES = (
    ("e63946", "f1faee", "a8dadc", "457b9d", "1d3557"),
    ("264653", "2a9d8f", "e9c46a", "f4a261", "e76f51"),
    ("606c38", "283618", "fefae0", "dda15e", "bc6c25"),
    ("8ecae6", "219ebc", "023047", "ffb703", "fb8500"),
    ("b588c9", "ffc8dd", "f56fa1", "6fb7f5", "4a3a8c"),
    ("003049", "d62828", "f77f00", "fcbf49", "eae2b7"),
    ("5f0f40", "9a031e", "fb8b24", "e36414", "0f4c5c"),
    ("ef476f", "ffd166", "06d6a0", "118ab2", "073b4c"),
    ("4a4e69", "9a8c98", "c9ada7", "f2e9e4", "22223b"),
    ("7209b7", "3a0ca3", "4361ee", "4cc9f0", "f72585"),
    ("386641", "6a994e", "a7c957", "f2e8cf", "bc4749"),
    ("d4a373", "95b46a", "e9edc9", "faedcd", "7f5539"),
    ("0b3954", "087e8b", "bfd7ea", "ff5a5f", "c81d25"),
)
PALETTES: Float[np.ndarray, "n 5 3"] = (
    np.array([[list(bytes.fromhex(colour)) for colour in palette] for palette in _PALETTES]) / 255.0
)
INK = np.array([0.09, 0.08, 0.10])
WHITE = np.array([0.97, 0.96, 0.93])


def draw_colours(rng: np.random.Generator) -> Colours:
    """One palette in random order, each colour moved a little."""
    colours = PALETTES[rng.integers(len(PALETTES))]
    return np.clip(rng.permutation(colours) + rng.normal(0.0, 0.025, (5, 3)), 0.02, 0.98)


def muted(rng: np.random.Generator, colours: Colours) -> Colours:
    """The same hues for a background: part of the way to their mean and to a grey."""
    mixed = 0.75 * colours + 0.25 * colours.mean(axis=0)
    grey = mixed.mean(axis=1, keepdims=True)
    keep = rng.uniform(0.5, 1.0)
    return keep * mixed + (1 - keep) * grey


def against(rng: np.random.Generator, ground: Float[np.ndarray, "n 3"]) -> Colours:
    """A palette whose first colour can be told from all of `ground`."""
    colours = draw_colours(rng)
    distance = np.linalg.norm(colours[:, None] - ground, axis=2).min(axis=1)
    first = int(np.argmax(distance >= min(0.4, distance.max())))
    return np.roll(colours, -first, axis=0)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of the way from `a` to `b`."""
    return (1 - share) * a + share * b
