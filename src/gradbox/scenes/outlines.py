"""Outlines: (n, 2) points (x to the right, y down) in an object's own coordinates."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Outline = Float[np.ndarray, "_n 2"]
Points = Sequence[tuple[float, float]] | Float[np.ndarray, "_n 2"]


def points(values: Points) -> Outline:
    """Corners joined by straight lines."""
    return np.asarray(values, dtype=np.float64)


def smooth(values: Points, *, closed: bool = True, steps: int = 7) -> Outline:
    """A Catmull-Rom spline through the points, `steps` points from one to the next."""
    knots = points(values)
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, knots[-1:]])


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Outline:
    """An ellipse with half axes rx and ry, turned by `angle` radians."""
    t = np.linspace(0.0, 2 * np.pi, 36, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + a * cos - b * sin, y + a * sin + b * cos], axis=1)


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float) -> Outline:
    """Part of an upright ellipse, from one angle (radians) to the other, 0 to the right."""
    t = np.linspace(start, stop, 24)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def ribbon(spine: Outline, start: float, stop: float) -> Outline:
    """A band along an open line whose width goes from `start` to `stop`."""
    along = np.gradient(spine, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    half = np.linspace(start / 2, stop / 2, len(spine))[:, None] * normal
    return np.concatenate([spine + half, (spine - half)[::-1]])


def mirrored(outline: Outline) -> Outline:
    """Left and right exchanged."""
    return outline * np.array([-1.0, 1.0])


def around(outline: Outline, share: float) -> Outline:
    """The outline shrunk to `share` of its size around its mean point."""
    middle = outline.mean(axis=0)
    return middle + share * (outline - middle)
