"""Animals. Each function draws one from a random generator and five colours."""

import numpy as np

from gradbox.scenes.colours import INK, WHITE, Colours, mix
from gradbox.scenes.outlines import (
    Outline,
    arc,
    around,
    ellipse,
    mirrored,
    points,
    ribbon,
    smooth,
)
from gradbox.scenes.paints import (
    Paint,
    gradient,
    rays,
    rings,
    scales,
    scattered,
    solid,
    stripes,
    triple,
)
from gradbox.scenes.sprites import Part

Rng = np.random.Generator


def eye(x: float, y: float, radius: float) -> list[Part]:
    """A round eye with a pupil and a highlight."""
    glint = ellipse(x - 0.25 * radius, y - 0.3 * radius, 0.25 * radius, 0.25 * radius)
    return [
        Part(outline=ellipse(x, y, radius, radius), paint=solid(WHITE), relief=0.0),
        Part(outline=ellipse(x, y, 0.62 * radius, 0.62 * radius), paint=solid(INK), relief=0.0),
        Part(outline=glint, paint=solid(WHITE), relief=0.0),
    ]


def coat(rng: Rng, c: Colours, period: float) -> Paint:
    """The pattern of an animal's skin: scales, bands, lines or spots."""
    kind = rng.integers(4)
    if kind == 0:
        return scales(c[0], mix(c[0], c[1], 0.7), period)
    if kind == 1:
        return stripes(c[0], c[1], 2.2 * period, rng.uniform(-0.4, 0.4), rng.uniform(0.35, 0.6))
    if kind == 2:
        return stripes(c[0], c[1], 1.3 * period, np.pi / 2 + rng.uniform(-0.2, 0.2), 0.4)
    return scattered(rng, c[0], c[1], int(rng.integers(9, 18)), 0.55 * period, 0.75)


def fish(rng: Rng, c: Colours) -> list[Part]:
    """A fish from the side, its head on the left."""
    depth, fork = rng.uniform(0.36, 0.62), rng.uniform(0.32, 0.55)
    top = [(-1.0, 0.04), (-0.8, -0.52 * depth), (-0.35, -depth), (0.15, -0.8 * depth)]
    bottom = [(0.15, 0.78 * depth), (-0.35, 0.95 * depth), (-0.8, 0.5 * depth)]
    body = smooth(
        [*top, (0.5, -0.32 * depth), (0.66, -0.1), (0.66, 0.1), (0.5, 0.3 * depth), *bottom]
    )
    tail = smooth(
        [
            (0.56, 0.0),
            (0.78, -0.6 * fork),
            (1.08, -fork),
            (0.92, 0.0),
            (1.08, fork),
            (0.78, 0.6 * fork),
        ]
    )
    peak = rng.uniform(0.2, 0.42)
    dorsal = smooth(
        [
            (-0.5, -0.8 * depth),
            (-0.15, -depth - peak),
            (0.3, -0.8 * depth - 0.7 * peak),
            (0.42, -0.4 * depth),
        ]
    )
    anal = smooth(
        [(-0.25, 0.8 * depth), (0.0, depth + 0.22), (0.3, 0.8 * depth + 0.1), (0.35, 0.45 * depth)]
    )
    fin = smooth([(-0.3, 0.12), (0.02, 0.0), (0.12, 0.16), (0.0, 0.32), (-0.2, 0.26)])
    finned = stripes(c[2], mix(c[2], INK, 0.35), 0.09, 0.5, 0.4)
    tailed = rays(c[2], mix(c[2], INK, 0.3), (0.4, 0.0), 26)
    dark = solid(mix(c[0], INK, 0.6))
    skin, head = coat(rng, c, rng.uniform(0.16, 0.24)), mix(c[0], c[3], rng.uniform(0.0, 0.5))
    cheek = smooth([(-1.0, 0.04), (-0.8, -0.52 * depth), (-0.62, -0.72 * depth), (-0.5, 0.0),
                    (-0.62, 0.68 * depth), (-0.8, 0.5 * depth)])  # fmt: skip
    return [
        Part(outline=tail, paint=tailed, relief=0.08),
        Part(outline=dorsal, paint=finned, relief=0.08),
        Part(outline=anal, paint=finned, relief=0.08),
        Part(outline=body, paint=skin, relief=0.45, gloss=0.3),
        Part(outline=cheek, paint=solid(head), relief=0.25, gloss=0.2),
        Part(outline=fin, paint=finned, relief=0.08),
        Part(
            outline=smooth([(-0.97, 0.12), (-0.86, 0.15), (-0.8, 0.12)], closed=False),
            paint=dark,
            stroke=0.03,
            relief=0.0,
        ),
        *eye(-0.74, -0.16 * depth - 0.02, rng.uniform(0.085, 0.12)),
    ]


def butterfly(rng: Rng, c: Colours) -> list[Part]:
    """A butterfly with open wings, seen from above."""
    span, low, waist = rng.uniform(0.85, 1.05), rng.uniform(0.55, 0.9), rng.uniform(0.0, 0.12)
    upper = smooth([(0.03, -0.12), (0.35, -0.6), (0.8 * span, -0.88), (span, -0.72),
                    (0.93 * span, -0.3), (0.62, 0.02 + waist), (0.05, 0.1)])  # fmt: skip
    lower = smooth(
        [
            (0.03, 0.05),
            (0.4, 0.02 + waist),
            (0.74, 0.22),
            (0.72, 0.8 * low),
            (0.45, low),
            (0.24, 0.75 * low),
        ]
    )
    rim = mix(c[1], INK, rng.uniform(0.55, 0.85))
    wing = rays(c[0], mix(c[0], c[2], 0.75), (0.0, 0.1), int(rng.integers(9, 14)))
    second = rays(c[2], mix(c[2], c[0], 0.75), (0.0, -0.2), int(rng.integers(7, 12)))
    parts = []
    for outline, paint in ((lower, second), (upper, wing)):
        for side in (outline, mirrored(outline)):
            parts += [
                Part(outline=side, paint=solid(rim), relief=0.08),
                Part(outline=around(side, 0.8), paint=_twin(paint), relief=0.12),
            ]
    dot, dots = rng.uniform(0.06, 0.13), []
    for x, y in ((0.62 * span, -0.56), (0.5, 0.42 * low + 0.1)):
        dots += [
            ellipse(side * x, y, scale * dot, scale * dot)
            for scale in (1.0, 0.5)
            for side in (1, -1)
        ]
    edge = np.concatenate([around(upper, 0.91)[16:33:4], around(lower, 0.91)[14:32:5]])
    spots = [ellipse(side * x, y, 0.028, 0.028) for x, y in edge for side in (1, -1)]
    feelers = [smooth([(0.02, -0.3), (0.1, -0.6), (0.26, -0.78)], closed=False)]
    body = smooth([(0.0, -0.42), (0.075, -0.3), (0.085, 0.0), (0.05, 0.5), (0.0, 0.6), (-0.05, 0.5),
                   (-0.085, 0.0), (-0.075, -0.3)])  # fmt: skip
    for outline in [*feelers, *map(mirrored, feelers)]:
        tip = ellipse(outline[-1, 0], outline[-1, 1], 0.035, 0.035)
        parts += [
            Part(outline=outline, paint=solid(INK), stroke=0.025, relief=0.0),
            Part(outline=tip, paint=solid(INK), relief=0.0),
        ]
    for number, outline in enumerate(dots):
        ring = solid(c[3] if number % 4 < 2 else rim)
        parts.append(Part(outline=outline, paint=ring, relief=0.0))
    parts += [Part(outline=outline, paint=solid(WHITE), relief=0.0) for outline in spots]
    furry = stripes(mix(rim, c[3], 0.15), mix(rim, c[3], 0.5), 0.11, np.pi / 2, 0.4)
    return [*parts, Part(outline=body, paint=furry, relief=0.1, gloss=0.2)]


def _twin(paint: Paint) -> Paint:
    return lambda u, v: paint(np.abs(u), v)


def starfish(rng: Rng, c: Colours) -> list[Part]:
    """A starfish with rows of bumps along its five arms."""
    inner, thick, bend = rng.uniform(0.3, 0.42), rng.uniform(0.1, 0.16), rng.normal(0.0, 0.12, 5)
    outline: list[tuple[float, float]] = []
    bumps: list[Outline] = []
    size = rng.uniform(0.035, 0.055)
    for arm, side in enumerate(bend):
        turn = -np.pi / 2 + arm * 2 * np.pi / 5
        for reach, swing in ((inner, -0.62), (0.72, -thick * 1.5), (0.97, -thick * 0.6),
                             (0.97, thick * 0.6), (0.72, thick * 1.5)):  # fmt: skip
            angle = turn + swing + side * reach
            outline.append((reach * np.cos(angle), reach * np.sin(angle)))
        for step, reach in enumerate((0.18, 0.32, 0.46, 0.6, 0.73, 0.85)):
            angle = turn + side * reach
            small = size * (1.0 - 0.1 * step)
            bumps.append(ellipse(reach * np.cos(angle), reach * np.sin(angle), small, small))
    skin = scattered(rng, c[0], mix(c[0], c[2], 0.5), 26, 0.06)
    bump = solid(mix(c[1], WHITE, 0.25))
    return [
        Part(outline=smooth(outline, steps=5), paint=skin, relief=0.3, gloss=0.1),
        *(Part(outline=each, paint=bump, relief=0.05, gloss=0.1) for each in bumps),
        Part(outline=ellipse(0, 0, 1.4 * size, 1.4 * size), paint=bump, relief=0.06),
    ]


def bird(rng: Rng, c: Colours) -> list[Part]:
    """A small bird standing, its beak on the left."""
    plump, rise, beak = rng.uniform(0.36, 0.48), rng.uniform(-0.12, 0.3), rng.uniform(0.16, 0.3)
    body = smooth([(-0.62, -0.62), (-0.36, -0.78), (-0.14, -0.62), (0.02, -0.34), (0.42, -0.06),
                   (0.62, 0.1 - 0.5 * rise), (0.5, 0.26), (0.15, 0.14 + plump),
                   (-0.3, 0.12 + plump), (-0.6, -0.06), (-0.66, -0.36)])  # fmt: skip
    tail = points(
        [(0.4, -0.05), (1.05, -0.02 - rise), (1.08, 0.16 - rise), (0.98, 0.24 - rise), (0.4, 0.22)]
    )
    wing = smooth([(-0.32, -0.2), (0.0, -0.28), (0.4, -0.02), (0.84, 0.12 - 0.4 * rise), (0.4, 0.3),
                   (0.0, 0.34), (-0.26, 0.14)])  # fmt: skip
    belly = smooth([(-0.6, -0.1), (-0.42, -0.2), (-0.2, 0.16), (0.2, 0.3), (0.36, 0.32),
                    (0.12, 0.12 + plump), (-0.3, 0.1 + plump)])  # fmt: skip
    feathers = scales(c[1], mix(c[1], INK, 0.55), rng.uniform(0.15, 0.22))
    horn, leg = solid(mix(c[3], INK, 0.15)), solid(mix(c[3], INK, 0.45))
    parts = [Part(outline=tail, paint=stripes(c[1], mix(c[1], INK, 0.5), 0.12, 1.4), relief=0.06)]
    for x in (-0.14, 0.1):
        foot = points(
            [(x, 0.08 + plump), (x - 0.03, 0.9), (x - 0.17, 0.95), (x - 0.03, 0.9), (x + 0.1, 0.95)]
        )
        parts.append(Part(outline=foot, paint=leg, stroke=0.045, relief=0.0))
    crest = smooth([(-0.5, -0.7), (-0.3, -1.0), (-0.08, -0.98), (-0.18, -0.66)])
    if rng.random() < 0.35:
        parts.append(Part(outline=crest, paint=solid(c[1]), relief=0.08))
    return [
        *parts,
        Part(
            outline=points([(-0.6, -0.52), (-0.68 - beak, -0.4), (-0.6, -0.36)]),
            paint=horn,
            relief=0.06,
        ),
        Part(outline=body, paint=gradient(mix(c[0], INK, 0.1), c[0], -0.8, 0.2), relief=0.4),
        Part(outline=belly, paint=solid(mix(c[2], WHITE, 0.35)), relief=0.2),
        Part(outline=wing, paint=feathers, relief=0.12),
        *eye(-0.44, -0.5, 0.075),
    ]


def snail(rng: Rng, c: Colours) -> list[Part]:
    """A snail with a spiral shell, its head on the left."""
    shell, neck = rng.uniform(0.5, 0.62), rng.uniform(0.3, 0.6)
    foot = smooth([(1.1, 0.72), (0.7, 0.56), (0.0, 0.42), (-0.48, 0.4), (-0.62, 0.5 - neck),
                   (-0.8, 0.36 - neck), (-0.98, 0.46 - neck), (-0.98, 0.66 - neck), (-0.86, 0.66),
                   (-0.6, 0.76), (0.2, 0.78)])  # fmt: skip
    skin = scattered(rng, c[1], mix(c[1], INK, 0.4), 30, 0.05, 1.1)
    coil = rings(c[0], mix(c[2], INK, 0.2), shell / rng.uniform(2.6, 3.4), 1.0)
    x, y = 0.16, 0.62 - shell

    def spiral(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        banded = coil(u - np.float32(x), v - np.float32(y))
        streak = np.float32(0.13) * np.sin(np.arctan2(v - y, u - x) * 34)
        return banded * triple(1 + streak)

    parts = []
    for dx, lean in ((-0.92, -0.1), (-0.74, 0.06)):
        stalk = smooth(
            [(dx, 0.5 - neck), (dx + lean, 0.3 - neck), (dx + 1.6 * lean, 0.1 - neck)], closed=False
        )
        parts += [
            Part(outline=stalk, paint=solid(mix(c[1], INK, 0.15)), stroke=0.06, relief=0.03),
            *eye(stalk[-1, 0], stalk[-1, 1], 0.065),
        ]
    lip = arc(x, y, shell * 0.98, shell * 0.98, 2.0, 3.1)
    return [
        *parts,
        Part(outline=foot, paint=skin, relief=0.18, gloss=0.25),
        Part(outline=ellipse(x, y, shell, shell), paint=spiral, relief=0.4, gloss=0.3),
        Part(outline=ribbon(lip, 0.02, 0.09), paint=solid(mix(c[2], INK, 0.4)), relief=0.04),
    ]


def ladybird(rng: Rng, c: Colours) -> list[Part]:
    """A ladybird from above, its head at the top."""
    wide, black = rng.uniform(0.68, 0.82), mix(c[2], INK, 0.8)
    shell = smooth([(0.0, -0.55), (0.55 * wide, -0.5), (wide, 0.1), (0.7 * wide, 0.72), (0.0, 0.95),
                    (-0.7 * wide, 0.72), (-wide, 0.1), (-0.55 * wide, -0.5)])  # fmt: skip
    size = rng.uniform(0.1, 0.17)
    dots = [(0.3, -0.22), (0.52, 0.22), (0.24, 0.2), (0.34, 0.62)][: rng.integers(3, 5)]
    parts = []
    for y, reach in ((-0.3, 0.95), (0.15, 1.08), (0.5, 0.95)):
        leg = points([(0.4 * wide, y), (reach * 0.9, y - 0.08), (reach, y + 0.16)])
        parts += [
            Part(outline=side, paint=solid(INK), stroke=0.06, relief=0.0)
            for side in (leg, mirrored(leg))
        ]
    feeler = smooth([(0.1, -0.8), (0.18, -0.98), (0.34, -1.06)], closed=False)
    parts += [
        Part(outline=side, paint=solid(INK), stroke=0.045, relief=0.0)
        for side in (feeler, mirrored(feeler))
    ]
    parts += [
        Part(outline=ellipse(0, -0.62, 0.4, 0.3), paint=solid(black), relief=0.2, gloss=0.3),
        *(
            Part(outline=ellipse(s * 0.22, -0.68, 0.09, 0.07), paint=solid(WHITE), relief=0.0)
            for s in (1, -1)
        ),
        Part(
            outline=shell,
            paint=gradient(mix(c[0], WHITE, 0.1), c[0], -0.5, 0.9),
            relief=0.6,
            gloss=0.7,
        ),
        *(
            Part(outline=ellipse(s * x, y, size, size), paint=solid(black), relief=0.0)
            for x, y in dots
            for s in (1, -1)
        ),
        Part(outline=points([(0, -0.55), (0, 0.93)]), paint=solid(black), stroke=0.045, relief=0.0),
    ]
    return parts
