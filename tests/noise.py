"""Images of noise, each seed another one."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
