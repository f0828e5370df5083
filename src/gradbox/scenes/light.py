"""What the camera adds: uneven light, tint, softness, grain."""

import cv2
import numpy as np

from gradbox.localization import RGB
from gradbox.scenes.backgrounds import Picture, grid
from gradbox.scenes.paints import triple

Rng = np.random.Generator

_WARM = np.array([1.0, 0.1, -1.0], np.float32)


def photograph(rng: Rng, picture: Picture) -> RGB:
    """The picture under a lamp and through a lens, as 8-bit RGB."""
    height, width = picture.shape[:2]
    x, y = grid((height, width))
    short = min(height, width)
    turn, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.35)
    across, down = x - 0.5 * width / short, y - 0.5 * height / short
    lamp = 1.06 + fall * (np.float32(np.cos(turn)) * across + np.float32(np.sin(turn)) * down)
    lamp -= rng.uniform(0.0, 0.35) * (across**2 + down**2)
    warmth = rng.normal(0, 0.035)
    lit = picture * cv2.merge([lamp * (255 * share) for share in 1 + warmth * _WARM])
    gamma = (np.arange(256) / 255) ** rng.uniform(0.7, 1.1) * 255
    out = cv2.LUT(np.clip(lit, 0, 255).astype(np.uint8), gamma.astype(np.float32))
    if (sigma := rng.uniform(-0.003, 0.004) * short) > 0.25:
        out = cv2.GaussianBlur(out, (0, 0), sigma)
    grain = rng.standard_normal((height, width), dtype=np.float32)
    return np.clip(out + triple(grain * rng.uniform(0, 5.5) + 0.5), 0, 255).astype(np.uint8)
