"""A synthetic sky: galaxies and stars in FITS files of one channel, boxes from labels alone.

    python benchmarks/sky.py --out runs/sky

Draws frames of 128 x 128 float32 counts with a galaxy, a bright star or neither among faint stars,
noise of photons, bad pixels that are NaN, and exact boxes: where the object alone is brighter than
1.5 standard deviations of the sky. Then it trains on labels, chooses a map on half of the boxes,
scores it on the other half and exports, by gradbox's commands. With `--without-field` no labelled
frame is without an object.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from domain import Drawn, from_labels_to_boxes, one_channel, write_dataset

SIDE = 128
SKY = 100.0
"""Counts of a pixel without any object; its noise is the square root."""
ISOPHOTE = 1.5
OBJECTS = ("galaxy", "star")
FIELD = "field"
"""The class of frames without an object: what a galaxy is seen by has to be the galaxy."""
RANGE = "asinh(0.001, low=1, high=100, over=dataset)"
"""Of all frames: of each alone, a bright star makes the sky black, and the sky tells the class."""


def place(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns from a random middle."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    middle = rng.uniform(0.25 * SIDE, 0.75 * SIDE, 2)
    return rows - middle[0], columns - middle[1]


def galaxy(rng: np.random.Generator) -> np.ndarray:
    """Sérsic's profile, an ellipse of any direction: exp(-b (r / R)^(1 / n))."""
    rows, columns = place(rng)
    angle, axis = rng.uniform(0, np.pi), rng.uniform(0.35, 0.9)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = (np.cos(angle) * rows - np.sin(angle) * columns) / axis
    n, radius = rng.uniform(0.8, 2.5), rng.uniform(6, 14)
    shape = np.exp(-(2 * n - 1 / 3) * (np.hypot(along, across) / radius) ** (1 / n))
    return rng.uniform(400, 1500) * shape


def star(rng: np.random.Generator, peak: float | None = None) -> np.ndarray:
    """Moffat's profile, and for a bright one the spikes of the telescope."""
    rows, columns = place(rng)
    distance = np.hypot(rows, columns)
    light = (1 + (distance / 2.5) ** 2) ** -2.2
    if peak is not None:
        return peak * light
    ways = ((rows, columns), (columns, rows))
    spikes = sum(np.exp(-np.abs(a) / 0.8 - np.abs(b) / 6) for a, b in ways)
    return rng.uniform(10_000, 60_000) * (light + 0.003 * spikes)


DRAW = {"galaxy": galaxy, "star": star, FIELD: lambda rng: np.zeros((SIDE, SIDE))}


def frames(count: int, seed: int, classes: Sequence[str]) -> Iterator[Drawn]:
    """Frames of all classes in turn."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        label = classes[i % len(classes)]
        light = DRAW[label](rng)
        faint = sum(star(rng, rng.uniform(30, 300)) for _ in range(rng.integers(3, 9)))
        numbers = rng.poisson(SKY + light + faint).astype(np.float32)
        numbers[tuple(rng.integers(0, SIDE, (2, 20)))] = np.nan
        yield Drawn(numbers, label, light > ISOPHOTE * np.sqrt(SKY))


def write(path: Path, numbers: np.ndarray) -> None:
    header = fits.Header({"BUNIT": "count", "FILTER": "synthetic"})
    fits.writeto(path, numbers, header, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=450, help="frames with a label")
    parser.add_argument("--test", type=int, default=160, help="frames with a box")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--without-field", action="store_true", help="no labelled frame is empty")
    options = parser.parse_args()
    out = options.out
    labelled = OBJECTS if options.without_field else (*OBJECTS, FIELD)
    write_dataset(out / "labelled", frames(options.train, 0, labelled), "fits", write)
    write_dataset(out / "boxed", frames(options.test, 3, OBJECTS), "fits", write)
    from_labels_to_boxes(out, one_channel(RANGE, options.size, options.epochs))


if __name__ == "__main__":
    main()
