"""Composition: what stands where in a scene, its masks, and its picture.

`compose` decides everything about a scene, in units of the image's shorter side; `alphas`, `masks`
and `picture` draw it at a size.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gradbox.geometry import Size
from gradbox.localization import RGB
from gradbox.scenes.backgrounds import BACKGROUNDS, Picture
from gradbox.scenes.classes import KINDS
from gradbox.scenes.clutter import distractor, foreground
from gradbox.scenes.colours import Colours, against, draw_colours, muted
from gradbox.scenes.light import photograph
from gradbox.scenes.paints import Plane, triple
from gradbox.scenes.sprites import (
    Affine,
    Light,
    Part,
    extent,
    rasterize,
    silhouette,
)

Rng = np.random.Generator
Sprite = Float[np.ndarray, "_h _w *_channels"]

SIDES = (0.28, 0.66)
"""Shortest and longest longer side of the main object, as shares of the image's shorter side."""
MOST_HIDDEN = 0.3
"""The largest share of an object that the foreground may hide."""
_MARGIN = 0.015


@dataclass(frozen=True, kw_only=True)
class Item:
    """Parts and where they go: `place` maps their points to shorter sides from the top left.

    They are drawn `finer` times larger than seen, then averaged.
    """

    parts: Sequence[Part]
    place: Affine
    finer: int = 1

    def box(self) -> Float[np.ndarray, "4"]:
        """xmin, ymin, xmax, ymax in shorter sides."""
        return extent(self.parts, self.place)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A scene before it is drawn. `objects` has the main object first and in front."""

    labels: tuple[str, ...]
    objects: tuple[Item, ...]
    distractors: tuple[Item, ...]
    foreground: tuple[Item, ...]
    background: str
    ground: Colours
    light: Light
    texture: int


def compose(rng: Rng, label: str, size: Size, objects: int) -> Plan:
    """A scene with a main object of class `label` and up to `objects` - 1 others."""
    frame = np.array([size[1], size[0]]) / min(size)
    ground = muted(rng, draw_colours(rng))
    seen = ground[:2]
    main = _object(rng, label, float(np.exp(rng.uniform(*np.log(SIDES)))), frame, seen)
    labels, placed = [label], [main]
    for _ in range(int(rng.integers(objects))):
        other = str(rng.choice(list(KINDS)))
        item = _object(rng, other, rng.uniform(0.2, 0.42), frame, seen)
        if all(_apart(item.box(), before.box()) for before in placed):
            labels.append(other)
            placed.append(item)
    behind = tuple(_distractor(rng, frame, seen) for _ in range(int(rng.integers(2, 8))))
    turn = rng.uniform(-2.4, -0.7)
    plan = Plan(
        labels=tuple(labels),
        objects=tuple(placed),
        distractors=behind,
        foreground=(_foreground(rng, frame, main, ground),) if rng.random() < 0.3 else (),
        background=str(rng.choice(list(BACKGROUNDS))),
        ground=ground,
        light=np.array([np.cos(turn), np.sin(turn)]),
        texture=int(rng.integers(2**32)),
    )
    hides_too_much = _hidden(plan, frame) > MOST_HIDDEN
    return dataclasses.replace(plan, foreground=()) if hides_too_much else plan


def alphas(plan: Plan, size: Size) -> Float[np.ndarray, "n h w"]:
    """How much of each pixel the foreground and then each object covers, in [0, 1]."""
    items = (*plan.foreground, *plan.objects)
    out = np.zeros((len(items), *size), np.float32)
    for alpha, item in zip(out, items, strict=True):
        window, to_pixels, finer = _canvas(item, size)
        alpha[window] = _average(silhouette(item.parts, to_pixels, finer), item.finer)
    return out


def masks(plan: Plan, covers: Float[np.ndarray, "n h w"]) -> Bool[np.ndarray, "_m h w"]:
    """The pixels of each object that nothing hides, from the scene's `alphas`."""
    free = np.cumprod(1 - covers, axis=0)
    seen = np.concatenate([covers[:1], covers[1:] * free[:-1]]) > 0.5
    return seen[len(plan.foreground) :]


def picture(plan: Plan, covers: Float[np.ndarray, "n h w"]) -> RGB:
    """The drawn scene, at the size of its `alphas`."""
    size = covers.shape[1:]
    rng = np.random.default_rng(plan.texture)
    canvas = np.clip(BACKGROUNDS[plan.background](rng, size, plan.ground), 0.0, 1.0)
    canvas = _over(canvas, plan.distractors, plan.light)
    if (sigma := rng.uniform(-0.006, 0.007) * min(size)) > 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), sigma)
    shadow = _shadow(covers.max(axis=0), plan.light)
    canvas = canvas * triple(1 - rng.uniform(0.3, 0.6) * shadow)
    canvas = _over(canvas, (*plan.objects[::-1], *plan.foreground), plan.light)
    return photograph(rng, canvas)


def _hidden(plan: Plan, frame: Float[np.ndarray, "2"]) -> float:
    """The largest share of an object that the foreground hides, the same at every size."""
    if not plan.foreground:
        return 0.0
    width, height = np.round(96 * frame).astype(int).tolist()
    bare = dataclasses.replace(plan, foreground=())
    covers = alphas(plan, (height, width))
    seen, whole = masks(plan, covers), masks(bare, covers[len(plan.foreground) :])
    return float(1 - (seen.sum(axis=(1, 2)) / whole.sum(axis=(1, 2))).min())


def _object(
    rng: Rng, label: str, side: float, frame: Float[np.ndarray, "2"], seen: Float[np.ndarray, "n 3"]
) -> Item:
    kind = KINDS[label]
    parts = kind.draw(rng, against(rng, seen))
    linear = _turn(rng, np.deg2rad(kind.tilt)) * rng.choice([[-1.0, 1.0], [1.0, 1.0]])
    box = extent(parts, np.column_stack([linear, np.zeros(2)]))
    scale = side / (box[2:] - box[:2]).max()
    low = _MARGIN - scale * box[:2]
    corner = rng.uniform(low, frame - _MARGIN - scale * box[2:])
    return Item(parts=parts, place=np.column_stack([scale * linear, corner]), finer=2)


def _distractor(rng: Rng, frame: Float[np.ndarray, "2"], seen: Float[np.ndarray, "n 3"]) -> Item:
    parts = distractor(rng, against(rng, seen))
    linear = _turn(rng, np.pi) * rng.uniform(0.03, 0.11)
    return Item(parts=parts, place=np.column_stack([linear, rng.uniform(0, frame)]))


def _foreground(rng: Rng, frame: Float[np.ndarray, "2"], main: Item, ground: Colours) -> Item:
    """Something that reaches over the main object from a random side of the image."""
    box = main.box()
    turn = rng.integers(4) * np.pi / 2
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = (box[:2] + box[2:]) / 2
    reach = np.abs(spin @ np.array([0.0, 1.0])) @ np.where(spin[:, 1] > 0, frame - middle, middle)
    wide = max(0.25, 0.7 * (box[2:] - box[:2]).max())
    linear = spin * np.array([wide, max(wide, reach)])
    return Item(parts=foreground(rng, ground[::-1]), place=np.column_stack([linear, middle]))


def _turn(rng: Rng, tilt: float) -> Float[np.ndarray, "2 2"]:
    """A rotation by at most `tilt` radians after a slight stretch and shear."""
    angle, stretch, shear = (
        rng.uniform(-tilt, tilt),
        np.exp(rng.normal(0, 0.07)),
        rng.normal(0, 0.05),
    )
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return spin @ np.array([[stretch, shear], [0.0, 1 / stretch]])


def _apart(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> bool:
    """Whether two boxes share at most a tenth of the smaller one."""
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return bool(shared <= 0.1 * min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])))


def _window(item: Item, size: Size) -> tuple[slice, slice]:
    """The rows and columns of an image of this size that an item touches."""
    box = item.box() * min(size)
    limit = np.array(size[::-1])
    low = np.clip(np.floor(box[:2]) - 1, 0, limit - 1)
    high = np.clip(np.ceil(box[2:]) + 1, low + 1, limit)
    (left, top), (right, bottom) = low.astype(int).tolist(), high.astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _canvas(item: Item, size: Size) -> tuple[tuple[slice, slice], Affine, Size]:
    """The window of an item; the map to, and the size of, its canvas in OpenCV's pixel centres."""
    rows, columns = window = _window(item, size)
    place = item.place * min(size) - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    to_pixels = place * item.finer - np.array([[0, 0, 0.5], [0, 0, 0.5]])
    finer = ((rows.stop - rows.start) * item.finer, (columns.stop - columns.start) * item.finer)
    return window, to_pixels, finer


def _average(canvas: Sprite, finer: int) -> Sprite:
    height, width = canvas.shape[:2]
    return cv2.resize(canvas, (width // finer, height // finer), interpolation=cv2.INTER_AREA)


def _over(below: Picture, items: Sequence[Item], light: Light) -> Picture:
    """The items drawn over a picture, later ones in front."""
    out = below.copy()
    for item in items:
        window, to_pixels, finer = _canvas(item, below.shape[:2])
        sprite = _average(rasterize(item.parts, to_pixels, finer, light), item.finer)
        out[window] = out[window] * triple(1 - sprite[..., 3]) + sprite[..., :3]
    return out


def _shadow(cover: Plane, light: Light) -> Plane:
    """The soft shadow of what covers the background, thrown away from the light, in [0, 1]."""
    short = min(cover.shape)
    dx, dy = -0.035 * short * light
    shift = np.array([[1, 0, dx], [0, 1, dy]])
    kernel = (2 * round(0.016 * short) + 1,) * 2
    thrown = cv2.warpAffine(cover, shift, cover.shape[::-1])
    return cv2.blur(cv2.blur(thrown, kernel), kernel)
