"""What lies behind and before the objects: forms that belong to no class."""

import numpy as np

from gradbox.scenes.colours import INK, WHITE, Colours, mix
from gradbox.scenes.outlines import arc, ellipse, points, ribbon, smooth
from gradbox.scenes.paints import Paint, gradient, rings, scattered, solid, stripes
from gradbox.scenes.sprites import Part

Rng = np.random.Generator


def distractor(rng: Rng, c: Colours) -> list[Part]:
    """An abstract thing with the textures and colours of the objects."""
    paints: list[Paint] = [
        stripes(c[0], c[1], rng.uniform(0.25, 0.6), rng.uniform(0, np.pi), 0.45),
        scattered(rng, c[0], c[1], int(rng.integers(8, 16)), 0.16),
        rings(c[0], c[1], rng.uniform(0.35, 0.6)),
        gradient(c[0], c[1]),
        solid(c[0]),
    ]
    paint = paints[rng.integers(5)]
    kind = rng.integers(6)
    if kind == 0:  # a pebble
        turn = np.linspace(0, 2 * np.pi, int(rng.integers(5, 9)), endpoint=False)
        reach = rng.uniform(0.6, 1.0, len(turn))
        return [
            Part(
                outline=smooth(np.stack([reach * np.cos(turn), reach * np.sin(turn)], 1)),
                paint=paint,
                relief=0.4,
            )
        ]
    if kind == 1:  # a splinter
        turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))))
        return [
            Part(
                outline=np.stack([np.cos(turn), np.sin(turn)], 1) * (1, 0.8),
                paint=paint,
                relief=0.15,
            )
        ]
    if kind == 2:  # a ring
        return [
            Part(
                outline=ellipse(0, 0, 0.75, 0.75 * rng.uniform(0.6, 1)),
                paint=paint,
                stroke=rng.uniform(0.2, 0.4),
                closed=True,
                relief=0.15,
            )
        ]
    if kind == 3:  # a rod
        return [
            Part(
                outline=points([(-0.9, 0), (0.9, 0)]),
                paint=paint,
                stroke=rng.uniform(0.2, 0.5),
                relief=0.15,
            )
        ]
    if kind == 4:  # a crescent
        bow = arc(0, 0, 0.85, 0.85, 0, rng.uniform(2.5, 4.5))
        return [Part(outline=ribbon(bow, 0.05, rng.uniform(0.3, 0.6)), paint=paint, relief=0.15)]
    block = points([(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)]) * (1, rng.uniform(0.4, 1))
    return [Part(outline=block, paint=paint, relief=0.2)]


def foreground(rng: Rng, c: Colours) -> list[Part]:
    """Blades, twigs or a rope that reach over [-1, 1] from the lower edge, where v is 1."""
    kind = rng.integers(3)
    parts = []
    if kind == 0:  # blades of grass
        for _ in range(int(rng.integers(3, 8))):
            x, lean = rng.uniform(-1, 1), rng.normal(0, 0.25)
            spine = smooth(
                [(x, 1.1), (x + 0.3 * lean, 0.3), (x + lean, rng.uniform(-0.9, 0.1))], closed=False
            )
            tint = mix(c[rng.integers(2)], INK, rng.uniform(0.0, 0.4))
            blade = ribbon(spine, rng.uniform(0.07, 0.13), 0.01)
            parts.append(
                Part(outline=blade, paint=gradient(mix(tint, WHITE, 0.2), tint), relief=0.05)
            )
        return parts
    x, lean = rng.uniform(-0.6, 0.6), rng.normal(0, 0.5)
    bend = smooth(
        [(x, 1.2), (x + 0.4 * lean, 0.4), (x + 0.5 * lean, -0.3), (x + lean, -1.3)], closed=False
    )
    if kind == 1:  # a rope
        twist = stripes(c[0], mix(c[0], INK, 0.5), 0.07, 0.9, 0.4)
        return [Part(outline=bend, paint=twist, stroke=rng.uniform(0.07, 0.12), relief=0.05)]
    bark = stripes(mix(c[0], INK, 0.35), mix(c[0], INK, 0.65), 0.05, 0.15, 0.4)
    parts.append(Part(outline=ribbon(bend, 0.17, 0.07), paint=bark, relief=0.07))
    for start in bend[4:-4:6]:
        reach = rng.choice([-1, 1]) * rng.uniform(0.2, 0.5)
        twig = smooth(
            [
                tuple(start),
                (start[0] + 0.6 * reach, start[1] - 0.12),
                (start[0] + reach, start[1] - 0.4),
            ],
            closed=False,
        )
        parts.append(Part(outline=ribbon(twig, 0.06, 0.015), paint=bark, relief=0.03))
    return parts
