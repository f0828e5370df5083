"""Images of one or two coloured squares, whose means are known by hand."""

import numpy as np

SIDE = 32


def scene(red: bool, green: bool) -> np.ndarray:
    """Black with a red square of an eighth of the image, and a green one a little larger."""
    image = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    if red:
        image[2:10, 4:20, 0] = 255  # 128 of 1024 pixels
    if green:
        image[18:30, 14:30, 1] = 255  # 192 of 1024 pixels
    return image
