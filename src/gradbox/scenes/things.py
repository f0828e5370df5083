"""Things people made. Each function draws one from a random generator and five colours."""

from itertools import pairwise

import numpy as np

from gradbox.scenes.colours import INK, WHITE, Colours, mix
from gradbox.scenes.outlines import arc, ellipse, points, ribbon, smooth
from gradbox.scenes.paints import (
    Paint,
    Values,
    bricks,
    gores,
    gradient,
    scales,
    scattered,
    solid,
    stripes,
)
from gradbox.scenes.sprites import Part

Rng = np.random.Generator


def sailboat(rng: Rng, c: Colours) -> list[Part]:
    """A sailing boat with a main sail, a jib and a pennant."""
    mast, boom, prow = rng.uniform(-0.1, 0.12), rng.uniform(0.6, 0.85), rng.uniform(0.62, 0.85)
    hull = smooth([(-prow - 0.1, 0.46), (-0.3, 0.52), (0.3, 0.52), (0.9, 0.44), (0.66, 0.84),
                   (0.3, 0.92), (-0.35, 0.92), (-0.7, 0.74)], steps=5)  # fmt: skip
    main = smooth([(mast + 0.05, -0.92), (mast + 0.38, -0.4), (mast + boom, 0.3),
                   (mast + 0.4, 0.36), (mast + 0.05, 0.34)], steps=5)  # fmt: skip
    jib = smooth([(mast - 0.05, -0.78), (mast - 0.07, -0.2), (mast - 0.06, 0.34), (-0.5, 0.38),
                  (-prow, 0.36), (mast - 0.42, -0.2)], steps=5)  # fmt: skip
    cloth = mix(c[1], WHITE, rng.uniform(0.1, 0.6))
    sails = [
        stripes(cloth, c[2], rng.uniform(0.3, 0.5), np.pi / 2 + rng.uniform(-0.2, 0.2), 0.4),
        stripes(cloth, mix(cloth, INK, 0.25), 0.3, np.pi / 2 + 0.1, 0.1),
        stripes(cloth, c[2], rng.uniform(0.24, 0.4), 0.3, 0.4),
    ]
    wood = mix(c[3], INK, 0.45)
    planked = stripes(c[0], mix(c[0], INK, 0.35), 0.13, np.pi / 2, 0.14)
    pennant = points([(mast, -1.06), (mast + 0.3, -0.98), (mast, -0.9)])
    return [
        Part(
            outline=points([(mast, 0.6), (mast, -1.06)]),
            paint=solid(wood),
            stroke=0.055,
            relief=0.03,
        ),
        Part(outline=pennant, paint=solid(c[4]), relief=0.04),
        Part(outline=jib, paint=sails[1], relief=0.25),
        Part(outline=main, paint=sails[rng.integers(3)], relief=0.3),
        Part(
            outline=points([(mast, 0.38), (mast + boom, 0.38)]),
            paint=solid(wood),
            stroke=0.05,
            relief=0.03,
        ),
        Part(outline=hull, paint=planked, relief=0.25, gloss=0.2),
        Part(
            outline=points([(-prow - 0.06, 0.49), (-0.3, 0.55), (0.3, 0.55), (0.88, 0.47)]),
            paint=solid(mix(c[2], WHITE, 0.4)),
            stroke=0.07,
            relief=0.03,
        ),
    ]


def balloon(rng: Rng, c: Colours) -> list[Part]:
    """A hot-air balloon with coloured strips of cloth and a wicker basket."""
    wide, neck = rng.uniform(0.66, 0.8), rng.uniform(0.13, 0.2)

    def bulge(v: Values) -> Values:
        above = np.sqrt(np.clip(1.0 - ((v + 0.3) / 0.72) ** 2, 0.0, 1.0))
        below = neck + (1 - neck) * (1 - np.clip((v + 0.3) / 0.82, 0.0, 1.0) ** 1.9)
        return wide * np.where(v < -0.3, above, below)

    v = np.concatenate(
        [-0.3 - 0.72 * np.cos(np.linspace(0, np.pi / 2, 12)), np.linspace(-0.22, 0.5, 14)]
    )
    side = np.stack([bulge(v), v], axis=1)
    hood = np.concatenate([side, (side * (-1, 1))[::-1]])
    tints = [c[0], mix(c[1], WHITE, 0.2), c[0], c[2]][: rng.choice([2, 4])]
    cloth = gores(tints, int(rng.choice([8, 10, 12])), bulge)
    y = rng.uniform(-0.35, -0.1)
    belt = np.concatenate(
        [side[(v > y) & (v < y + 0.24)], (side * (-1, 1))[(v > y) & (v < y + 0.24)][::-1]]
    )
    zigzag = stripes(c[3], mix(c[4], WHITE, 0.2), 0.16, rng.choice([0.0, 0.7, np.pi / 2]), 0.5)
    basket = points([(-0.17, 0.76), (0.17, 0.76), (0.14, 1.02), (-0.14, 1.02)])
    wicker = bricks(mix(c[3], INK, 0.25), mix(c[3], INK, 0.6), 0.1)
    ropes = [
        points([(s * x, 0.48), (s * 0.14, 0.78)]) for s in (-1, 1) for x in (neck * wide, 0.05)
    ]
    parts = [Part(outline=rope, paint=solid(INK), stroke=0.022, relief=0.0) for rope in ropes]
    parts.append(Part(outline=hood, paint=cloth, relief=0.5, gloss=0.3))
    if rng.random() < 0.6:
        parts.append(Part(outline=belt, paint=zigzag, relief=0.0))
    return [*parts, Part(outline=basket, paint=wicker, relief=0.1)]


def teapot(rng: Rng, c: Colours) -> list[Part]:
    """A glazed teapot, its spout on the left."""
    wide, tall, y = rng.uniform(0.54, 0.64), rng.uniform(0.42, 0.56), 0.3
    belly = smooth([(-0.3, y - tall), (0.3, y - tall), (0.86 * wide, y - 0.5 * tall),
                    (wide, y + 0.1), (0.7 * wide, y + 0.8 * tall), (0.36, y + tall),
                    (-0.36, y + tall), (-0.7 * wide, y + 0.8 * tall), (-wide, y + 0.1),
                    (-0.86 * wide, y - 0.5 * tall)])  # fmt: skip
    spout = smooth(
        [(-0.35, y + 0.22), (-0.68, y + 0.12), (-0.8, y - 0.2), (-1.05, y - 0.42)], closed=False
    )
    handle = smooth([(0.8 * wide, y - 0.32), (0.95, y - 0.4), (1.05, y - 0.05), (0.9, y + 0.26),
                     (0.9 * wide, y + 0.3)], closed=False)  # fmt: skip
    lid = smooth([(-0.36, y - tall + 0.05), (-0.28, y - tall - 0.12), (0.0, y - tall - 0.22),
                  (0.28, y - tall - 0.12), (0.36, y - tall + 0.05),
                  (0.0, y - tall + 0.1)])  # fmt: skip
    patterns: list[Paint] = [
        stripes(c[0], mix(c[1], WHITE, 0.3), rng.uniform(0.2, 0.34), np.pi / 2, 0.3),
        scattered(rng, c[0], mix(c[1], WHITE, 0.3), 22, 0.1, 1.0),
        stripes(c[0], c[1], rng.uniform(0.18, 0.3), rng.uniform(-0.5, 0.5), 0.4),
        gradient(mix(c[0], WHITE, 0.3), c[1], -0.2, 0.9),
    ]
    glaze, trim = solid(c[0]), solid(mix(c[2], c[0], 0.2))
    return [
        Part(outline=handle, paint=trim, stroke=0.13, relief=0.08, gloss=0.4),
        Part(outline=ribbon(spout, 0.4, 0.15), paint=glaze, relief=0.16, gloss=0.4),
        Part(outline=ellipse(0.0, y + tall, 0.4, 0.06), paint=trim, relief=0.04),
        Part(outline=belly, paint=patterns[rng.integers(4)], relief=0.55, gloss=0.6),
        Part(outline=lid, paint=trim, relief=0.15, gloss=0.5),
        Part(outline=ellipse(0.0, y - tall - 0.27, 0.1, 0.1), paint=glaze, relief=0.1, gloss=0.6),
    ]


def key(rng: Rng, c: Colours) -> list[Part]:
    """An old door key lying on its side, its bit on the right."""
    metal, dark = mix(c[0], WHITE, 0.1), mix(c[0], INK, 0.35)
    steel = stripes(metal, mix(metal, c[1], 0.5), 0.09, 0.3, 0.3)
    ring, kind = rng.uniform(0.24, 0.32), rng.integers(3)
    if kind == 0:
        bows = [ellipse(-0.68, 0.0, ring, 1.1 * ring)]
    elif kind == 1:
        bows = [
            ellipse(-0.5 + dx, dy, 0.7 * ring, 0.7 * ring)
            for dx, dy in ((-0.34, 0), (-0.08, -0.25), (-0.08, 0.25))
        ]
    else:
        bows = [
            smooth(
                [
                    (-0.4, 0.0),
                    (-0.6, -0.34),
                    (-0.9, -0.34),
                    (-0.86, 0.0),
                    (-0.9, 0.34),
                    (-0.6, 0.34),
                ]
            )
        ]
    thick = rng.uniform(0.11, 0.15)
    deep, teeth = rng.uniform(0.3, 0.42), int(rng.integers(2, 4))
    edges = np.linspace(0.48, 0.94, 2 * teeth)
    notch = [
        (x, deep if (i // 2) % 2 == 0 else 0.55 * deep)
        for i, x in enumerate(np.repeat(edges, 2)[1:-1])
    ]
    bit = points([(0.48, 0.0), (0.48, deep), *notch, (0.94, deep), (0.94, 0.0)])
    parts = [Part(outline=bit, paint=steel, relief=0.08, gloss=0.4)]
    parts.append(
        Part(
            outline=points([(-0.42, 0.0), (1.0, 0.0)]),
            paint=steel,
            stroke=thick,
            relief=0.1,
            gloss=0.5,
        )
    )
    parts += [
        Part(outline=bow, paint=steel, stroke=thick, closed=True, relief=0.1, gloss=0.5)
        for bow in bows
    ]
    collar = [points([(x, -0.13), (x, 0.13)]) for x in (-0.3, -0.18, 0.36)]
    parts += [
        Part(outline=each, paint=solid(dark), stroke=0.07, relief=0.06, gloss=0.4)
        for each in collar
    ]
    return parts


def house(rng: Rng, c: Colours) -> list[Part]:
    """A small house with a gabled roof, a chimney, a door and windows."""
    wide, eaves, ridge = rng.uniform(0.66, 0.8), rng.uniform(-0.2, 0.0), rng.uniform(-0.98, -0.75)
    walls: list[Paint] = [
        bricks(c[1], mix(c[1], WHITE, 0.5), rng.uniform(0.2, 0.28)),
        stripes(c[1], mix(c[1], INK, 0.25), 0.15, np.pi / 2, 0.15),
        stripes(c[1], mix(c[1], INK, 0.25), 0.15, 0.0, 0.15),
    ]
    over = wide + rng.uniform(0.14, 0.22)
    roof = points([(-over, eaves + 0.06), (-0.1, ridge), (0.1, ridge), (over, eaves + 0.06)])
    if rng.random() < 0.5:
        roof = points(
            [
                (-over, eaves + 0.06),
                (-0.55 * wide, ridge + 0.1),
                (0.55 * wide, ridge + 0.1),
                (over, eaves + 0.06),
            ]
        )
    tiles = scales(c[0], mix(c[0], INK, 0.6), rng.uniform(0.16, 0.24))
    side = rng.choice([-1.0, 1.0])
    stack = points(
        [(side * 0.34, -1.02), (side * 0.56, -1.02), (side * 0.56, -0.3), (side * 0.34, -0.3)]
    )
    glass, frame = mix(c[3], WHITE, 0.45), mix(c[2], WHITE, 0.75)
    door_x = side * rng.uniform(-0.1, 0.3)
    door = points(
        [
            (door_x - 0.16, 0.9),
            (door_x - 0.16, 0.34),
            (door_x, 0.26),
            (door_x + 0.16, 0.34),
            (door_x + 0.16, 0.9),
        ]
    )
    parts = [
        Part(
            outline=stack,
            paint=bricks(mix(c[4], INK, 0.2), mix(c[4], WHITE, 0.4), 0.14),
            relief=0.06,
        ),
        Part(
            outline=points([(-wide, eaves), (wide, eaves), (wide, 0.9), (-wide, 0.9)]),
            paint=walls[rng.integers(3)],
            relief=0.08,
        ),
        Part(outline=roof, paint=tiles, relief=0.1),
        Part(
            outline=door,
            paint=stripes(mix(c[2], INK, 0.3), mix(c[2], INK, 0.6), 0.11, 0.0, 0.15),
            relief=0.05,
        ),
        Part(outline=ellipse(door_x + 0.09, 0.62, 0.03, 0.03), paint=solid(WHITE), relief=0.0),
    ]
    for x in (-0.46, 0.46):
        if abs(x - door_x) > 0.34:
            parts += _window(x * wide / 0.72, 0.42, glass, frame)
    return [*parts, *_window(0.0, (eaves + ridge) / 2 + 0.12, glass, frame, 0.75)]


def _window(
    x: float, y: float, glass: np.ndarray, frame: np.ndarray, size: float = 1.0
) -> list[Part]:
    w, h = 0.16 * size, 0.17 * size
    pane = points([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)])
    bars = [points([(x, y - h), (x, y + h)]), points([(x - w, y), (x + w, y)])]
    return [
        Part(outline=pane, paint=gradient(mix(glass, INK, 0.45), glass, y - h, y + h), relief=0.0),
        Part(outline=pane, paint=solid(frame), stroke=0.055 * size, closed=True, relief=0.03),
        *(Part(outline=bar, paint=solid(frame), stroke=0.03, relief=0.0) for bar in bars),
    ]


def umbrella(rng: Rng, c: Colours) -> list[Part]:
    """An open umbrella with a scalloped edge and a hooked handle."""
    tall, ribs = rng.uniform(0.72, 0.95), int(rng.choice([4, 6]))

    def bulge(v: Values) -> Values:
        return np.sqrt(np.clip(1.0 - (np.clip(-v, 0.0, tall) / tall) ** 2, 0.0, 1.0))

    dome = arc(0.0, 0.0, 1.0, tall, np.pi, 2 * np.pi)
    corner = -np.cos(np.linspace(0.0, np.pi, ribs + 1))[::-1]
    hem = [arc((a + b) / 2, 0.0, abs(a - b) / 2, -0.1, 0.0, np.pi)[1:-1]
           for a, b in pairwise(corner)]  # fmt: skip
    canopy = np.concatenate([dome, *hem])
    tints = [c[0], mix(c[1], WHITE, 0.15)] if rng.random() < 0.7 else [c[0]]
    hook, end = rng.choice([-1.0, 1.0]) * rng.uniform(0.11, 0.16), rng.uniform(0.78, 0.98)
    crook = arc(hook, end, abs(hook), 0.14, *((np.pi, 0.0) if hook > 0 else (0.0, np.pi)))
    stick = points([(0.0, -tall - 0.12), (0.0, end)])
    return [
        Part(outline=stick, paint=solid(mix(c[3], INK, 0.4)), stroke=0.055, relief=0.03, gloss=0.3),
        Part(outline=crook, paint=solid(mix(c[2], INK, 0.1)), stroke=0.1, relief=0.05, gloss=0.4),
        Part(outline=canopy, paint=gores(tints, ribs, bulge), relief=0.35, gloss=0.2),
    ]
