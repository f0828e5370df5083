"""Paints: the colour of each point of an object, in the object's own coordinates.

A paint takes the coordinates u (to the right) and v (down) of a grid of points, where the object
fills about [-1, 1] on both axes, and returns their RGB in [0, 1]. It turns and grows with the
object.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from gradbox.scenes.colours import Colour

Plane = Float[np.ndarray, "h w"]
Painted = Float[np.ndarray, "_h _w 3"]
"""(h, w, 3), or (1, 1, 3) where all points have one colour."""
Values = Float[np.ndarray, "*_shape"]
Paint = Callable[[Plane, Plane], Painted]


def blend(a: Colour, b: Colour, share: Plane) -> Painted:
    """From `a` where `share` is 0 to `b` where it is 1."""
    # Plane by plane: NumPy is several times slower along a last axis of length 3.
    ends = zip(a.tolist(), (b - a).tolist(), strict=True)
    return cv2.merge([share * step + start for start, step in ends])


def triple(plane: Plane) -> Float[np.ndarray, "h w 3"]:
    """The same plane for red, green and blue."""
    return cv2.merge([plane, plane, plane])


def frac(values: Plane) -> Plane:
    """What is left of each value above the whole number below it, in [0, 1)."""
    return values - np.floor(values)


def edge(values: Plane, sharpness: float) -> Plane:
    """0 where a value is well below 0, 1 well above, with a ramp of width 1 / sharpness."""
    return np.clip(values * np.float32(sharpness) + np.float32(0.5), 0.0, 1.0)


def solid(colour: Colour) -> Paint:
    """One colour."""
    return lambda u, v: colour.astype(np.float32)[None, None]


def gradient(a: Colour, b: Colour, low: float = -1.0, high: float = 1.0) -> Paint:
    """From `a` at v = low down to `b` at v = high."""
    return lambda u, v: blend(a, b, np.clip((v - low) / (high - low), 0.0, 1.0))


def stripes(a: Colour, b: Colour, period: float, angle: float = 0.0, share: float = 0.5) -> Paint:
    """Straight stripes, `share` of them `b`; at angle 0 (radians) they stand upright."""
    cos, sin = np.float32(np.cos(angle) / period), np.float32(np.sin(angle) / period)

    def paint(u: Plane, v: Plane) -> Painted:
        phase = np.abs(frac(u * cos + v * sin) - 0.5)
        return blend(a, b, edge(share / 2 - phase, 10.0))

    return paint


def spots(a: Colour, b: Colour, centers: Float[np.ndarray, "n 2"], radius: float) -> Paint:
    """Round spots of `b` on `a`, each up to a third smaller than `radius`."""

    def paint(u: Plane, v: Plane) -> Painted:
        share = np.zeros_like(u)
        for number, (x, y) in enumerate(centers.astype(np.float32)):
            size = radius * (1.0 - 0.33 * ((number * 0.618) % 1.0))
            share = np.maximum(share, edge(1.0 - ((u - x) ** 2 + (v - y) ** 2) / size**2, 4.0))
        return blend(a, b, share)

    return paint


def scattered(
    rng: np.random.Generator, a: Colour, b: Colour, count: int, radius: float, spread: float = 0.9
) -> Paint:
    """Spots at well-spread random places of the disc of radius `spread`."""
    turn = rng.uniform(0, 2 * np.pi) + np.arange(count) * 2.39996  # the golden angle
    reach = spread * np.sqrt((np.arange(count) + 0.5) / count) * rng.uniform(0.9, 1.1, count)
    return spots(a, b, np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1), radius)


def scales(a: Colour, b: Colour, period: float) -> Paint:
    """Rows of overlapping round scales, each with a dark rim, as on fish and shingled roofs."""

    def paint(u: Plane, v: Plane) -> Painted:
        row = np.floor(v / (0.5 * period))
        x = frac(u / period + frac(0.5 * row)) - 0.5
        y = v / period - 0.5 * row
        return blend(a, b, edge(np.sqrt(x**2 + y**2) - 0.46, 5.0) * 0.8 + 0.35 * y)

    return paint


def bricks(a: Colour, b: Colour, period: float) -> Paint:
    """Bricks of `a` twice as wide as high, joints of `b`, every other row moved by half."""

    def paint(u: Plane, v: Plane) -> Painted:
        row = np.floor(v * (2 / period))
        column = u / period + frac(0.5 * row)
        x, y = frac(column), frac(v * (2 / period))
        inside = np.minimum(np.minimum(x, 1 - x) * 2, np.minimum(y, 1 - y))
        tone = np.float32(0.18) * np.sin(row * 12.9 + np.floor(column) * 7.7)
        return blend(a, b, np.maximum(edge(0.1 - inside, 9.0), np.clip(tone, 0, 1)))

    return paint


def rays(a: Colour, b: Colour, center: tuple[float, float], count: int) -> Paint:
    """`count` wedges of `b` around a centre, and as many of `a`."""

    def paint(u: Plane, v: Plane) -> Painted:
        turn = np.arctan2(v - center[1], u - center[0])
        return blend(a, b, edge(np.sin(turn * count), 2.0))

    return paint


def gores(colours: list[Colour], count: int, bulge: Callable[[Values], Values]) -> Paint:
    """Strips of cloth from top to bottom of a round body whose half width at v is `bulge(v)`."""

    def paint(u: Plane, v: Plane) -> Painted:
        across = np.clip(u / np.maximum(bulge(v), 0.02), -1.0, 1.0)
        strip = (np.arcsin(across) / np.pi + 0.5) * count
        table = np.stack(colours).astype(np.float32)
        seam = 0.5 - np.abs(frac(strip) - 0.5)
        shade = 0.72 + 0.28 * edge(seam - 0.08, 7.0)
        index = np.clip(strip, 0, count - 0.01).astype(np.intp) % len(table)
        return table[index] * triple(shade)

    return paint


def rings(a: Colour, b: Colour, period: float, twist: float = 0.0) -> Paint:
    """Rings around the origin; with `twist` 1 they join to a spiral."""

    def paint(u: Plane, v: Plane) -> Painted:
        turn = np.arctan2(v, u) / np.float32(2 * np.pi)
        phase = frac(np.sqrt(u**2 + v**2) / period - twist * turn)
        return blend(a, b, edge(np.abs(phase - 0.5) - 0.27, 5.0))

    return paint


def veins(a: Colour, b: Colour, spacing: float, slope: float) -> Paint:
    """A leaf's side veins, mirrored at u = 0, with a lighter field between two of them."""

    def paint(u: Plane, v: Plane) -> Painted:
        phase = frac((v + slope * np.abs(u) - 0.25 * u**2) / spacing)
        side = np.float32(0.16) * (u > 0)
        return blend(a, b, np.maximum(edge(0.07 - np.abs(phase - 0.5), 14.0), 0.3 * phase + side))

    return paint
