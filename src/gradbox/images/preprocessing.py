"""From an upright RGB image to the network's input, and the `Frame` that leads back."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gradbox.boxes import Box, clip
from gradbox.errors import UsageError
from gradbox.geometry import Frame, Size
from gradbox.localization import RGB

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

LARGEST_INPUT = 4096
"""Pixels of a side: one VGG layer on such an input takes 4 GB."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a classifier wants its input.

    `size` is (height, width) of the input. `resize` is "squash" (the whole image, aspect ratio not
    kept) or the length of the shorter side before a centre crop to `size`. Pixel values, scaled to
    [0, `scale`], have `mean` subtracted and are divided by `std`, both in the order of `color`.
    """

    size: Size = (224, 224)
    resize: int | Literal["squash"] = "squash"
    interpolation: Interpolation = "bilinear"
    color: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if min(self.size) < 1 or (self.resize != "squash" and self.resize < 1):
            raise ValueError(f"size {self.size} and resize {self.resize!r} must be positive")
        if max(self.size) > LARGEST_INPUT:
            raise UsageError(f"size {self.size}: a side has at most {LARGEST_INPUT} pixels")
        if not (self.scale > 0 and all(map(isfinite, (self.scale, *self.mean, *self.std)))):
            raise ValueError(f"scale {self.scale} must be positive, mean and std finite")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise ValueError(f"mean {self.mean} and std {self.std} are three numbers, std not 0")

    def frame(self, original: Size) -> Frame:
        """The frame of an image of this (height, width)."""
        if self.resize == "squash":
            return Frame.squash(original, self.size)
        return Frame.resize_and_crop(original, self.resize, self.size)

    def at(self, side: int) -> "Preprocessing":
        """The same for an input whose shorter side is `side`: all of it seen at another size."""
        scale = side / min(self.size)
        height, width = (round(length * scale) for length in self.size)
        resize = self.resize if self.resize == "squash" else round(self.resize * scale)
        return replace(self, size=(height, width), resize=resize)

    def resized(
        self, rgb: RGB, region: Box | None = None, original: Size | None = None
    ) -> tuple[UInt8[np.ndarray, "3 rows columns"], Frame]:
        """The image at input size, still uint8 RGB, and its frame; runs without torch.

        With `region`, a box in pixels of the original, that part alone fills the input. `original`
        is the size of the original where `rgb` is a smaller copy.
        """
        original = original or (rgb.shape[0], rgb.shape[1])
        if region is not None:
            return self._enlarged(rgb, region, original)
        frame = self.frame(original)
        (top, left), (height, width) = map(_whole, frame.crop), frame.input
        full_height, full_width = map(_whole, frame.resized)
        scale_y, scale_x = full_height / rgb.shape[0], full_width / rgb.shape[1]
        # Only the part under the crop is resized: 20,000 x 1 pixels shall not become 5,120,000.
        shown = (
            max(left, 0),
            max(top, 0),
            min(left + width, full_width),
            min(top + height, full_height),
        )
        source = (shown[0] / scale_x, shown[1] / scale_y, shown[2] / scale_x, shown[3] / scale_y)
        part = Image.fromarray(rgb).resize(
            (shown[2] - shown[0], shown[3] - shown[1]),
            Image.Resampling[self.interpolation.upper()],
            box=(*source[:2], min(source[2], rgb.shape[1]), min(source[3], rgb.shape[0])),
        )
        out = np.zeros((height, width, 3), dtype=np.uint8)
        out[shown[1] - top : shown[3] - top, shown[0] - left : shown[2] - left] = np.asarray(part)
        return np.ascontiguousarray(out.transpose(2, 0, 1)), frame

    def _enlarged(
        self, rgb: RGB, region: Box, original: Size
    ) -> tuple[UInt8[np.ndarray, "3 rows columns"], Frame]:
        (inside,) = clip(region[None], *original)
        frame = Frame.of_region(original, inside, self.size)
        height, width = rgb.shape[:2]
        xmin, ymin, xmax, ymax = inside / np.tile((original[1] / width, original[0] / height), 2)
        part = Image.fromarray(rgb).resize(
            self.size[::-1],
            Image.Resampling[self.interpolation.upper()],
            box=(xmin, ymin, min(xmax, width), min(ymax, height)),
        )
        return np.ascontiguousarray(np.asarray(part).transpose(2, 0, 1)), frame

    def normalize(
        self, pixels: UInt8[Tensor, "b 3 h w"], dtype: torch.dtype
    ) -> Float[Tensor, "b 3 h w"]:
        """The network's input values, on the device of `pixels`."""
        values = pixels.to(torch.float64 if dtype == torch.float64 else torch.float32)
        if self.color == "BGR":
            values = values.flip(1)
        mean = values.new_tensor(self.mean).view(1, 3, 1, 1)
        std = values.new_tensor(self.std).view(1, 3, 1, 1)
        return ((values * (self.scale / 255.0) - mean) / std).to(dtype)

    def mean_pixel(self) -> tuple[float, ...]:
        """The colour that the normalization maps to 0, as RGB in [0, 255]."""
        values = tuple(255.0 * mean / self.scale for mean in self.mean)
        return values[::-1] if self.color == "BGR" else values


def _whole(length: float) -> int:
    """A size or corner of a whole image's frame, which is a whole number."""
    return int(length)
