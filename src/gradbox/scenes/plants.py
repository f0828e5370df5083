"""Plants and mushrooms. Each function draws one from a random generator and five colours."""

import numpy as np

from gradbox.scenes.colours import INK, WHITE, Colours, mix
from gradbox.scenes.outlines import ellipse, mirrored, points, ribbon, smooth
from gradbox.scenes.paints import (
    gradient,
    rays,
    scattered,
    solid,
    stripes,
    veins,
)
from gradbox.scenes.sprites import Part

Rng = np.random.Generator

_MAPLE = ((0.1, 0.5), (0.5, 0.62), (0.46, 0.42), (0.95, 0.16), (0.8, 0.02), (0.88, -0.28),
          (0.6, -0.22), (0.52, -0.36), (0.34, -0.14), (0.42, -0.62), (0.24, -0.56),
          (0.0, -1.0))  # fmt: skip
_OAK = ((0.06, 0.66), (0.2, 0.56), (0.42, 0.5), (0.44, 0.3), (0.24, 0.2), (0.5, 0.12),
        (0.62, -0.08), (0.5, -0.22), (0.28, -0.22), (0.48, -0.42), (0.46, -0.62), (0.26, -0.66),
        (0.2, -0.86), (0.0, -0.96))  # fmt: skip


def leaf(rng: Rng, c: Colours) -> list[Part]:
    """A single leaf with its veins and stalk: toothed, lobed or pointed like a maple's."""
    kind, wide = rng.integers(3), rng.uniform(0.85, 1.15)
    if kind == 0:
        half = points(_MAPLE)
    elif kind == 1:
        half = smooth(_OAK, closed=False, steps=4)
    else:
        half = _toothed(rng)
    half = half * np.array([wide, 1.0])
    outline = np.concatenate([half, mirrored(half)[::-1]])
    slope = rng.uniform(0.5, 0.9)
    blade = veins(c[0], mix(c[0], c[1], 0.8), rng.uniform(0.2, 0.28), slope)
    rib = solid(mix(c[1], WHITE, 0.2))
    bend = rng.uniform(-0.25, 0.25)
    stalk = smooth([(0.0, -0.92), (0.0, 0.2), (0.0, 0.62), (bend, 1.1)], closed=False)
    ribs = []
    for reach, y, rise in ((0.62, 0.12, 0.3), (0.42, -0.2, 0.3)) if kind == 0 else ():
        side = points([(0.0, y + rise), (reach * wide, y)])
        ribs += [
            Part(outline=ribbon(s, 0.06, 0.01), paint=rib, relief=0.0)
            for s in (side, mirrored(side))
        ]
    return [
        Part(outline=outline, paint=blade, relief=0.1, gloss=0.15),
        *ribs,
        Part(outline=ribbon(stalk, 0.02, 0.075), paint=rib, relief=0.03),
    ]


def _toothed(rng: Rng) -> np.ndarray:
    teeth, broad = int(rng.integers(7, 11)), rng.uniform(0.42, 0.62)
    t = np.linspace(0.0, 1.0, 2 * teeth + 1)
    width = broad * np.sin(np.pi * t**0.8) ** 0.9
    width[1::2] += 0.055
    y = 0.7 - 1.68 * t
    y[1::2] -= 0.03
    return np.stack([width, y], axis=1)


def mushroom(rng: Rng, c: Colours) -> list[Part]:
    """A mushroom with a spotted cap, gills and a ring on its stem."""
    wide, tall, stem = rng.uniform(0.75, 1.0), rng.uniform(0.6, 0.95), rng.uniform(0.14, 0.24)
    lean = rng.uniform(-0.12, 0.12)
    cap = smooth([(-wide, 0.02), (-0.92 * wide, -0.3 * tall), (-0.5 * wide, -0.85 * tall),
                  (0.0, -tall), (0.5 * wide, -0.85 * tall), (0.92 * wide, -0.3 * tall),
                  (wide, 0.02), (0.6 * wide, 0.13), (0.0, 0.17), (-0.6 * wide, 0.13)])  # fmt: skip
    foot = smooth([(-stem, 0.0), (-0.85 * stem + 0.5 * lean, 0.5), (-1.5 * stem + lean, 0.95),
                   (lean, 1.04), (1.5 * stem + lean, 0.95), (0.85 * stem + 0.5 * lean, 0.5),
                   (stem, 0.0)])  # fmt: skip
    skirt = smooth(
        [(-stem, 0.25), (stem, 0.25), (1.7 * stem, 0.46), (0.0, 0.52), (-1.7 * stem, 0.46)]
    )
    pale = mix(c[1], WHITE, 0.55)
    spotted = scattered(
        rng, c[0], mix(c[2], WHITE, 0.6), int(rng.integers(9, 16)), 0.15 * wide, 0.92 * wide
    )
    lamella = rays(pale, mix(pale, INK, 0.4), (0.0, -0.5), 44)
    fringed = stripes(pale, mix(pale, INK, 0.25), 0.07, 0.0, 0.4)
    return [
        Part(outline=foot, paint=stripes(pale, mix(pale, INK, 0.16), 0.1, 0.06, 0.4), relief=0.2),
        Part(outline=skirt, paint=fringed, relief=0.08),
        Part(outline=cap, paint=spotted, relief=0.6, gloss=0.4),
        Part(outline=ellipse(0.0, 0.06, 0.86 * wide, 0.14), paint=lamella, relief=0.0),
    ]


def cactus(rng: Rng, c: Colours) -> list[Part]:
    """A ribbed cactus with arms, spines and a flower, in a pot."""
    thick, left, right = rng.uniform(0.34, 0.44), rng.uniform(-0.35, 0.15), rng.uniform(-0.45, 0.05)
    arm, reach = 0.62 * thick, rng.uniform(0.5, 0.66)
    skin = stripes(c[0], mix(c[0], INK, 0.45), 0.115, 0.0, 0.3)
    arms = [
        smooth(
            [(0.0, left + 0.32), (-0.8 * reach, left + 0.28), (-reach, left), (-reach, left - 0.3)],
            closed=False,
        ),
        smooth(
            [
                (0.0, right + 0.42),
                (0.8 * reach, right + 0.38),
                (reach, right),
                (reach, right - 0.22),
            ],
            closed=False,
        ),
    ]
    column = points([(0.0, 0.6), (0.0, -0.78)])
    parts = [
        Part(outline=each, paint=skin, stroke=width, relief=0.6 * width, gloss=0.1)
        for each, width in ((arms[0], arm), (arms[1], arm), (column, thick))
    ]
    needle = solid(mix(c[3], WHITE, 0.7))
    for number, y in enumerate(np.arange(-0.8, 0.45, 0.16)):
        for x in (-0.115, 0.0, 0.115) if number % 2 else (-0.0575, 0.0575):
            spine = points([(x - 0.035, y - 0.04), (x, y), (x + 0.035, y - 0.04)])
            parts.append(Part(outline=spine, paint=needle, stroke=0.018, relief=0.0))
    petals = rays(c[2], mix(c[2], WHITE, 0.5), (0.0, -0.95), 7)
    turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    petal = np.tile([1.0, 0.62], 7)
    flower = np.stack([0.17 * petal * np.cos(turns), 0.14 * petal * np.sin(turns) - 0.98], axis=1)
    pot = points([(-0.5, 0.55), (0.5, 0.55), (0.36, 1.05), (-0.36, 1.05)])
    rim = points([(-0.58, 0.46), (0.58, 0.46), (0.56, 0.64), (-0.56, 0.64)])
    band = stripes(c[1], mix(c[1], c[4], 0.8), 0.2, rng.choice([0.0, 0.8, np.pi / 2]), 0.35)
    return [
        *parts,
        Part(outline=smooth(flower, steps=3), paint=petals, relief=0.05),
        Part(outline=pot, paint=band, relief=0.3),
        Part(outline=rim, paint=gradient(mix(c[1], WHITE, 0.15), c[1], 0.46, 0.64), relief=0.1),
    ]
