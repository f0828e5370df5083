"""Clips drawn by PyAV: a bright disc that moves to the right, its place in each frame known."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

SIZE = (120, 160)
RADIUS = 16


def place(number: int) -> tuple[int, int]:
    """The middle (x, y) of the disc in a frame."""
    return 30 + 2 * number, 60


def frame(number: int) -> np.ndarray:
    """The frame as it was drawn, before it was encoded."""
    image = np.full((*SIZE, 3), 25, np.uint8)
    cv2.circle(image, place(number), RADIUS, (230, 200, 170), -1)
    return image


def write_clip(
    path: Path,
    count: int = 30,
    *,
    rate: int = 10,
    codec: str = "libx264",
    ticks: list[int] | None = None,
) -> Path:
    """A clip with B-frames, so many frames a second, or at these times in milliseconds."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        if ticks is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            one = av.VideoFrame.from_ndarray(frame(number), format="rgb24")
            one.pts = number if ticks is None else ticks[number]
            one.time_base = Fraction(1, rate) if ticks is None else Fraction(1, 1000)
            for packet in stream.encode(one):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
