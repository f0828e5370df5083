"""Radiographs of welds with a defect, 16-bit TIFF files of 12-bit numbers, boxes from labels alone.

    python benchmarks/welds.py --out runs/welds

Draws plates of 144 x 192 with a seam, by the outlines and textures of the generated scenes, and
in the seam a crack, pores, an inclusion or nothing: differences of two to six hundredths of the
12 bits. Then it trains on labels, chooses a map on half of the boxes, scores it on
the other half and exports, by gradbox's commands.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile
from domain import Drawn, from_labels_to_boxes, one_channel, write_dataset

from gradbox.scenes.backgrounds import grid, noise
from gradbox.scenes.colours import WHITE
from gradbox.scenes.outlines import Outline, ellipse, ribbon, smooth
from gradbox.scenes.paints import solid
from gradbox.scenes.sprites import Part, silhouette

SIZE = (144, 192)
DEFECTS = ("crack", "pores", "inclusion")
SOUND = "sound"
"""The class of radiographs without a defect."""
RANGE = "percentile(1, 99.8)"
HIGHEST = 4095


def crack(rng: np.random.Generator) -> list[Outline]:
    """A thin line that wanders along the seam."""
    along = np.linspace(-1, 1, 7)
    spine = smooth(np.stack([along, rng.normal(0, 0.12, 7)], axis=1), closed=False)
    return [ribbon(spine, 0.13, 0.05)]


def pores(rng: np.random.Generator) -> list[Outline]:
    """A group of small bubbles."""
    middles = rng.uniform(-0.8, 0.8, (int(rng.integers(6, 12)), 2)) * [1, 0.6]
    return [ellipse(x, y, r, r) for x, y in middles for r in [rng.uniform(0.09, 0.2)]]


def inclusion(rng: np.random.Generator) -> list[Outline]:
    """A lump with corners."""
    angles = np.linspace(0, 2 * np.pi, 8)[:-1]
    radii = rng.uniform(0.45, 0.9, 7)
    return [smooth(np.stack([radii * np.cos(angles), 0.6 * radii * np.sin(angles)], axis=1))]


DRAW = {"crack": crack, "pores": pores, "inclusion": inclusion, SOUND: lambda rng: []}


def plate(rng: np.random.Generator, middle: float) -> np.ndarray:
    """Numbers of a plate with a seam across it, uneven and grainy."""
    x, y = grid(SIZE)
    seam = np.exp(-(((y - middle) / 0.13) ** 2)) * (1 + 0.05 * np.sin(90 * x + 4 * (y - middle)))
    uneven = 250 * (noise(rng, SIZE, (2, 2)) - 0.5) + rng.normal(0, 200) * (x - 0.7)
    grain = cv2.GaussianBlur(rng.normal(0, 1, SIZE).astype(np.float32), (0, 0), 0.7)
    return rng.uniform(1300, 1900) + uneven - 500 * seam + 60 * grain


def radiographs(count: int, seed: int, classes: Sequence[str]) -> Iterator[Drawn]:
    """Radiographs of all classes in turn."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        label = classes[i % len(classes)]
        middle = rng.uniform(0.3, 0.7)
        outlines = DRAW[label](rng)
        scale = rng.uniform(16, 34)
        at = rng.uniform(scale + 2, SIZE[1] - scale - 2), middle * SIZE[0] + rng.normal(0, 3)
        to_pixels = np.array([[scale, 0, at[0]], [0, scale, at[1]]])
        cover = np.zeros(SIZE, np.float32)
        for outline in outlines:
            part = Part(outline=outline, paint=solid(WHITE))
            cover = np.maximum(cover, silhouette([part], to_pixels, SIZE))
        sign = -1 if label == "inclusion" else 1  # what is dense is dark
        numbers = plate(rng, middle) + sign * rng.uniform(90, 250) * cover
        yield Drawn(numbers.clip(0, HIGHEST).astype(np.uint16), label, cover > 0.5)


def write(path: Path, numbers: np.ndarray) -> None:
    tifffile.imwrite(path, numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=450, help="radiographs with a label")
    parser.add_argument("--test", type=int, default=150, help="radiographs with a box")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    out = options.out
    write_dataset(out / "labelled", radiographs(options.train, 0, (*DEFECTS, SOUND)), "tif", write)
    write_dataset(out / "boxed", radiographs(options.test, 1, DEFECTS), "tif", write)
    from_labels_to_boxes(out, one_channel(RANGE, options.size, options.epochs))


if __name__ == "__main__":
    main()
