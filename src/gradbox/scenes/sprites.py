"""Sprites: a list of parts, each an outline with a paint, drawn with light and smooth edges."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from gradbox.geometry import Size
from gradbox.scenes.outlines import Outline
from gradbox.scenes.paints import Paint, Plane, triple

RGBA = Float[np.ndarray, "h w 4"]
"""Premultiplied float32 in [0, 1]."""
Affine = Float[np.ndarray, "2 3"]
Light = Float[np.ndarray, "2"]
"""The direction (x, y) towards the light."""

_SHIFT = 4  # OpenCV draws at sixteenths of a pixel


@dataclass(frozen=True, kw_only=True)
class Part:
    """One painted piece of an object; later parts lie over earlier ones.

    `stroke` is the width of a line along the outline, 0 for a filled outline; `closed` joins the
    line's ends. `relief` is the radius over which the edge looks rounded, in the object's units;
    0 is flat. `gloss` is the strength of the highlight.
    """

    outline: Outline
    paint: Paint
    stroke: float = 0.0
    closed: bool = False
    relief: float = 0.2
    gloss: float = 0.12


def extent(parts: Sequence[Part], to_pixels: Affine) -> Float[np.ndarray, "4"]:
    """xmin, ymin, xmax, ymax of the parts where `to_pixels` puts them, strokes included."""
    _, low, high = _mapped(parts, to_pixels)
    return np.concatenate([low.min(axis=0), high.max(axis=0)])


def rasterize(parts: Sequence[Part], to_pixels: Affine, size: Size, light: Light) -> RGBA:
    """The parts drawn on an empty canvas of this size, points mapped by `to_pixels`."""
    rgb, covered = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    to_local = cv2.invertAffineTransform(to_pixels).astype(np.float32)
    scale = _scale(to_pixels)
    for part, (top, left), alpha in _coverages(parts, to_pixels, size):
        height, width = alpha.shape
        y = np.arange(top, top + height, dtype=np.float32)[:, None]
        x = np.arange(left, left + width, dtype=np.float32)[None]
        (a, b, c), (d, e, f) = to_local
        colour = part.paint(a * x + b * y + c, d * x + e * y + f)
        if part.relief > 0:
            colour = _lit(colour, alpha, part.relief * scale, part.gloss, light)
        window = slice(top, top + height), slice(left, left + width)
        rgb[window] += triple(alpha) * (colour - rgb[window])
        covered[window] += alpha * (1 - covered[window])
    return cv2.merge([*cv2.split(np.minimum(rgb, triple(covered))), covered])


def silhouette(parts: Sequence[Part], to_pixels: Affine, size: Size) -> Plane:
    """What `rasterize` gives for alpha, without the work of painting."""
    canvas = np.zeros(size, np.float32)
    for _, (top, left), alpha in _coverages(parts, to_pixels, size):
        region = canvas[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        region += alpha * (1 - region)
    return canvas


def _scale(to_pixels: Affine) -> float:
    (a, b, _), (c, d, _) = to_pixels.tolist()
    return math.sqrt(abs(a * d - b * c))


def _mapped(
    parts: Sequence[Part], to_pixels: Affine
) -> tuple[list[Outline], Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Every part's outline in pixels, and the low and high corner of its drawn box."""
    starts = np.cumsum([0, *(len(part.outline) for part in parts)])
    corners = np.concatenate([part.outline for part in parts])
    mapped = corners @ to_pixels[:, :2].T + to_pixels[:, 2]
    half = np.array([[part.stroke / 2] for part in parts]) * _scale(to_pixels)
    low = np.minimum.reduceat(mapped, starts[:-1]) - half
    high = np.maximum.reduceat(mapped, starts[:-1]) + half
    return np.split(mapped, starts[1:-1]), low, high


def _coverages(
    parts: Sequence[Part], to_pixels: Affine, size: Size
) -> Iterator[tuple[Part, tuple[int, int], Plane]]:
    """Each part that is seen, the (top, left) of its window on the canvas, its alpha there."""
    outlines, low, high = _mapped(parts, to_pixels)
    scale, limit = _scale(to_pixels), np.array(size[::-1])
    starts = np.floor(np.maximum(low - 2, 0)).astype(int).tolist()
    stops = np.ceil(np.minimum(high + 2, limit)).astype(int).tolist()
    for part, outline, start, stop in zip(parts, outlines, starts, stops, strict=True):
        window = (stop[1] - start[1], stop[0] - start[0])
        if min(window) > 0:
            alpha = _coverage(outline - start, part, scale, window)
            yield part, (start[1], start[0]), alpha


def _coverage(outline: Outline, part: Part, scale: float, size: Size) -> Plane:
    mask = np.zeros(size, np.uint8)
    fixed = [np.rint(outline * 2**_SHIFT).astype(np.int32)]
    if part.stroke > 0:
        width = max(1, round(part.stroke * scale))
        cv2.polylines(mask, fixed, part.closed, 255, width, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, _SHIFT)
    return mask * np.float32(1 / 255)


def _lit(
    colour: Float[np.ndarray, "_h _w 3"], alpha: Plane, radius: float, gloss: float, light: Light
) -> Float[np.ndarray, "h w 3"]:
    """The colour under light from one side, on a surface that rises from its edge inwards."""
    kernel = (2 * round(radius / 2) + 1,) * 2
    height = alpha
    for _ in range(2):
        height = cv2.blur(height, kernel, borderType=cv2.BORDER_CONSTANT)
    steep = kernel[0] / 8
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=steep, borderType=cv2.BORDER_CONSTANT)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=steep, borderType=cv2.BORDER_CONSTANT)
    facing = across * np.float32(-light[0]) + down * np.float32(-light[1])
    shade = 0.80 + 0.22 * height + 0.42 * facing
    shine = gloss * np.clip(facing * 2.2 - 0.25, 0.0, 1.0) ** 2 * 2
    return colour * triple(shade) + triple(shine)
