"""Backgrounds: textured grounds that fill an image and hold no object of any class."""

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from jaxtyping import Float

from gradbox.geometry import Size
from gradbox.scenes.colours import INK, WHITE, Colours, mix
from gradbox.scenes.paints import Plane, blend, edge, frac, triple

Rng = np.random.Generator
Picture = Float[np.ndarray, "h w 3"]
"""float32 RGB in [0, 1]."""


def noise(rng: Rng, size: Size, cells: tuple[float, float], octaves: int = 3) -> Plane:
    """Smooth random values in about [0, 1]; `cells` across the shorter side, along y and x."""
    height, width = size
    short = min(size)
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        rows, columns = (
            max(2, round(count * 2**octave * side / short)) + 1
            for count, side in zip(cells, size, strict=True)
        )
        grid = rng.random((rows, columns), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def grid(size: Size) -> tuple[Float[np.ndarray, "1 w"], Float[np.ndarray, "h 1"]]:
    """(x, y) of the pixel centres, in shorter sides from the top left; (1, w) and (h, 1)."""
    short = np.float32(min(size))
    x = (np.arange(size[1], dtype=np.float32)[None] + 0.5) / short
    y = (np.arange(size[0], dtype=np.float32)[:, None] + 0.5) / short
    return x, y


def hills(rng: Rng, size: Size, c: Colours) -> Picture:
    """A sky with clouds over rows of hills, the near ones darker and rougher."""
    x, y = grid(size)
    sky = blend(mix(c[0], WHITE, 0.2), mix(c[1], WHITE, 0.5), y + 0 * x)
    cloud = edge(noise(rng, size, (3, 2), 4) - rng.uniform(0.5, 0.65), 3.0)
    picture = sky + triple(0.6 * cloud) * (np.float32(0.96) - sky)
    grain = noise(rng, size, (20, 26), 2)
    count = int(rng.integers(2, 5))
    for layer in range(count):
        near = (layer + 1) / count
        waves = rng.uniform(2, 9, 3) * (1, 2, 4)
        ridge = sum(np.sin(x * wave + rng.uniform(0, 6)) / wave for wave in waves.tolist())
        top = rng.uniform(0.3, 0.45) + 0.5 * layer / count + 0.3 * ridge
        slope = mix(mix(c[2 + layer % 3], c[1], 0.5 * (1 - near)), INK, 0.22 * near)
        cover = edge(y - top + (0.02 + 0.06 * near) * (grain - 0.5), 0.5 * min(size))
        shade = 0.93 - 0.15 * near + near * 0.44 * grain - 0.2 * (y - top)
        picture += triple(cover) * (triple(shade) * slope.astype(np.float32) - picture)
    return picture


def water(rng: Rng, size: Size, c: Colours) -> Picture:
    """Rippled water with glints, wider waves towards the bottom."""
    x, y = grid(size)
    swell = noise(rng, size, (5, 3), 3)
    phase = rng.uniform(20, 34) * np.sqrt(y + 0.25) * 2.2 + 9 * swell + 3 * x
    wave = 0.5 + 0.5 * np.sin(phase)
    picture = blend(mix(c[0], INK, 0.2), c[1], 0.65 * wave + 0.35 * swell)
    return picture + triple(0.5 * edge(wave * noise(rng, size, (18, 9), 2) - 0.58, 6.0))


def planks(rng: Rng, size: Size, c: Colours) -> Picture:
    """Wooden boards with grain, lying or standing."""
    if rng.random() < 0.5:
        return np.ascontiguousarray(planks_across(rng, size[::-1], c).transpose(1, 0, 2))
    return planks_across(rng, size, c)


def planks_across(rng: Rng, size: Size, c: Colours) -> Picture:
    """Boards that run from left to right."""
    x, y = grid(size)
    board = y * rng.uniform(4, 8) + rng.uniform(0, 1) + 0 * x
    tone = cv2.LUT(np.floor(board).astype(np.uint8), rng.random(256, np.float32))
    grain = noise(rng, size, (24, 1.6), 3)
    figure = 0.5 + 0.5 * np.sin(60 * noise(rng, size, (5, 1), 2) + 7 * tone)
    picture = blend(c[0], mix(c[1], INK, 0.25), 0.45 * tone + 0.35 * grain + 0.15 * figure)
    gap = 0.5 - np.abs(frac(board) - 0.5)
    return picture * triple(0.35 + 0.65 * edge(gap - 0.03, 16.0))


def tiles(rng: Rng, size: Size, c: Colours) -> Picture:
    """Bevelled tiles or bricks in several tones, with joints."""
    x, y = grid(size)
    across, flat, shift = rng.uniform(4, 8), int(rng.integers(1, 3)), float(rng.choice([0.0, 0.5]))
    row = y * across * flat + rng.uniform(0, 1)
    column = x * across + shift * 2 * frac(np.floor(row) / 2)
    number = (np.floor(row) * 31 + np.floor(column) * 17).astype(np.uint8)
    weights = rng.choice([0.0, 0.12, 0.25, 0.9], 256).astype(np.float32)
    picture = blend(c[0], c[1], cv2.LUT(number, weights))
    fy, fx = frac(row), frac(column)
    rim = np.minimum(np.minimum(fx, 1 - fx), np.minimum(fy, 1 - fy) / flat)
    picture *= triple(0.85 + 0.3 * noise(rng, size, (14, 14), 3) + 0.1 * (0.5 - fy))
    joint = triple(edge(0.05 - rim, 22.0))
    return picture + joint * (mix(c[2], INK, 0.3).astype(np.float32) - picture)


def gravel(rng: Rng, size: Size, c: Colours) -> Picture:
    """Pebbles of all five colours, packed close."""
    count = int(rng.integers(7, 17))
    rows, columns = (round(count * side / min(size)) for side in size)
    seeds = np.ones(size, np.uint8)
    at_y = (np.arange(rows)[:, None] + rng.random((rows, columns))) * size[0] / rows
    at_x = (np.arange(columns)[None] + rng.random((rows, columns))) * size[1] / columns
    seeds[at_y.astype(np.intp), at_x.astype(np.intp)] = 0
    distance, nearest = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    tints = np.clip(c[rng.integers(0, 5, 1024)] * rng.uniform(0.75, 1.1, (1024, 1)), 0, 1)
    picture = cv2.blur(tints.astype(np.float32)[nearest % 1024], (3, 3))
    dome = 1 - (distance * np.float32(count / min(size)) / 0.8) ** 2
    rough = noise(rng, size, (30, 30), 2)
    return picture * triple(0.35 + 0.6 * np.clip(dome, 0, 1) + 0.25 * rough)


def fabric(rng: Rng, size: Size, c: Colours) -> Picture:
    """Woven cloth: stripes or checks, with folds."""
    x, y = grid(size)
    fold = noise(rng, size, (2, 2), 2)
    turn = rng.uniform(0, np.pi)
    cos, sin = math.cos(turn), math.sin(turn)
    u, v = x * cos + y * sin + 0.12 * fold, y * cos - x * sin + 0.12 * fold
    pace = rng.uniform(4, 9)
    up = edge(np.abs(frac(u * pace) - 0.5) - 0.25, 0.06 * min(size))
    down = edge(np.abs(frac(v * pace) - 0.5) - 0.25, 0.06 * min(size)) * (rng.random() < 0.6)
    picture = blend(c[0], c[1], 0.55 * up) + blend(INK * 0, 0.5 * (c[2] - c[0]), down)
    weave = 0.06 * np.sin(u * 260) * np.sin(v * 260)
    return picture * triple(0.72 + 0.5 * fold + weave)


def meadow(rng: Rng, size: Size, c: Colours) -> Picture:
    """Tangled blades of grass over a dark ground."""
    short = min(size)
    picture = blend(mix(c[0], INK, 0.55), mix(c[1], INK, 0.3), noise(rng, size, (4, 4), 3))
    count = int(170 * size[0] * size[1] / short**2)
    root = rng.random((count, 2)) * (size[1], 1.15 * size[0])
    tip = root + rng.normal(0, 0.07, (count, 2)) * short - (0, 0.16 * short)
    middle = (root + tip) / 2 + rng.normal(0, 0.015, (count, 2)) * short
    blades = np.round(np.stack([root, middle, tip], axis=1) * 16).astype(np.int32)
    tints = c[rng.integers(0, 3, count)] * np.linspace(0.45, 1.15, count)[:, None]
    thick = np.maximum(1, np.round(rng.uniform(0.004, 0.014, count) * short)).astype(int)
    for blade, tint, width in zip(blades, tints, thick, strict=True):
        cv2.polylines(picture, [blade], False, tint.tolist(), int(width), cv2.LINE_8, 4)
    return picture


def bokeh(rng: Rng, size: Size, c: Colours) -> Picture:
    """Lights far out of focus."""
    short = min(size)
    picture = blend(mix(c[0], INK, 0.5), mix(c[1], INK, 0.15), noise(rng, size, (2, 2), 2))
    for _ in range(int(rng.integers(14, 34))):
        x, y = (int(v * 16) for v in rng.random(2) * (size[1], size[0]))
        disc = np.zeros(size, np.uint8)
        radius = rng.uniform(0.02, 0.09) * short
        cv2.circle(disc, (x, y), int(radius * 16), 255, -1, cv2.LINE_AA, 4)
        cv2.circle(disc, (x, y), int(radius * 16), 160, 1, cv2.LINE_AA, 4)
        left, top = max(0, int(x / 16 - radius - 2)), max(0, int(y / 16 - radius - 2))
        reach = int(2 * radius + 5)
        glow = disc[top : top + reach, left : left + reach, None] * np.float32(
            rng.uniform(0.15, 0.5) / 255
        )
        spot = picture[top : top + reach, left : left + reach]
        spot += glow * (mix(c[rng.integers(5)], WHITE, 0.3).astype(np.float32) - spot)
    return picture


def plaster(rng: Rng, size: Size, c: Colours) -> Picture:
    """A rough wall, or sand, lit from one side, with stains."""
    bump = noise(rng, size, (18, 18 * rng.uniform(0.3, 1.0)), 4)
    turn, steep = rng.uniform(0, 2 * np.pi), min(size) / 700
    across = cv2.Sobel(bump, cv2.CV_32F, 1, 0, scale=steep * np.cos(turn))
    down = cv2.Sobel(bump, cv2.CV_32F, 0, 1, scale=steep * np.sin(turn))
    stain = edge(noise(rng, size, (3, 3), 4) - 0.5, 2.5)
    return blend(c[0], c[1], 0.7 * stain) * triple(0.75 + 0.35 * bump + across + down)


def leafage(rng: Rng, size: Size, c: Colours) -> Picture:
    """A dense wood seen from far: clumps of light and shade without a single leaf."""
    deep = noise(rng, size, (4, 4), 2)
    fine = noise(rng, size, (16, 16), 3)
    clump = edge(0.5 * deep + 0.5 * fine - 0.5, 5.0)
    picture = blend(mix(c[0], INK, 0.6), mix(c[1], INK, 0.1), clump)
    light = triple(edge(fine * deep - 0.33, 8.0))
    return picture + 0.5 * light * (mix(c[2], WHITE, 0.4).astype(np.float32) - picture)


def wallpaper(rng: Rng, size: Size, c: Colours) -> Picture:
    """A regular print of rings, lozenges or waves."""
    x, y = grid(size)
    pace, kind = rng.uniform(5, 9), rng.integers(3)
    fx = frac(x * pace) - 0.5
    fy = frac(y * pace + frac(np.floor(x * pace) / 2)) - 0.5
    if kind == 0:
        form = np.abs(np.sqrt(fx**2 + fy**2) - 0.27) - 0.07
    elif kind == 1:
        form = np.abs(np.abs(fx) + np.abs(fy) - 0.32) - 0.08
    else:
        form = np.abs(frac(y * pace + 0.25 * np.sin(x * pace * 4)) - 0.5) - 0.18
    print_ = blend(c[0], c[1], edge(-form, 0.1 * min(size)))
    return print_ * triple(0.8 + 0.35 * noise(rng, size, (3, 3), 4))


BACKGROUNDS: Mapping[str, Callable[[Rng, Size, Colours], Picture]] = {
    "bokeh": bokeh,
    "fabric": fabric,
    "gravel": gravel,
    "hills": hills,
    "leafage": leafage,
    "meadow": meadow,
    "planks": planks,
    "plaster": plaster,
    "tiles": tiles,
    "wallpaper": wallpaper,
    "water": water,
}
