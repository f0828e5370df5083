"""From an upright image to the network's input, and the `Frame` that leads back."""

import ast
import re
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from torch import Tensor

from gradbox.boxes import Box, clip
from gradbox.errors import UsageError
from gradbox.geometry import Frame, Size
from gradbox.images.reading import NOTHING_SAID, Reading
from gradbox.localization import Pixels

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

LARGEST_INPUT = 4096
"""Pixels of a side: one VGG layer on such an input takes 4 GB."""

_SPARE = 2
"""How many pixels of a reduced image stand for one of the input, at least."""

_REACH = 3
"""Pixels that the widest filter, Lanczos', looks at beyond its own."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a classifier wants its input.

    `size` is (height, width) of the input. `resize` is "squash" (the whole image, aspect ratio not
    kept) or the length of the shorter side before a centre crop to `size`. Pixel values, scaled to
    [0, `scale`], have `mean` subtracted and are divided by `std`, both in the order of `color`: one
    number for each channel, which also says how many `channels` the classifier takes. `reading` is
    what is said of the numbers of files. `reduced` lets JPEGs be decoded at a half, a quarter or an
    eighth of their size where at least two pixels stay for one of the input: faster, and boxes move
    a little (docs/performance.md). What is kept of an image for other views of it stays whole.
    """

    size: Size = (224, 224)
    resize: int | Literal["squash"] = "squash"
    interpolation: Interpolation = "bilinear"
    color: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    reading: Reading = field(default=NOTHING_SAID, repr=False)
    reduced: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if min(self.size) < 1 or (self.resize != "squash" and self.resize < 1):
            raise ValueError(f"size {self.size} and resize {self.resize!r} must be positive")
        if max(self.size) > LARGEST_INPUT:
            raise UsageError(f"size {self.size}: a side has at most {LARGEST_INPUT} pixels")
        if not (self.scale > 0 and all(map(isfinite, (self.scale, *self.mean, *self.std)))):
            raise ValueError(f"scale {self.scale} must be positive, mean and std finite")
        if not self.mean or len(self.mean) != len(self.std) or not all(self.std):
            raise ValueError(
                f"mean {self.mean} and std {self.std} are a number for each channel of the input, "
                "std not 0: three for RGB, one for grey"
            )
        if self.color == "BGR" and self.channels != 3:
            raise ValueError(f"color BGR is of three channels, and mean has {self.channels}")

        if (chosen := self.reading.channels) is not None and len(chosen) != self.channels:
            raise UsageError(
                f"--channels {','.join(map(str, chosen))} are {len(chosen)}, and the network takes "
                f"{self.channels}"
            )

    @property
    def about(self) -> dict[str, Any]:
        """What a model card says of it in [input]."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.repr}
        chosen = self.reading.channels
        more = {"reduced": True} if self.reduced else {}
        return own | more | self.reading.about | ({} if chosen is None else {"channels": chosen})

    def __str__(self) -> str:
        """All of it in one line."""
        said = [repr(self), *["reduced"] * self.reduced, *[str(self.reading)] * bool(self.reading)]
        return ", ".join(said)

    @classmethod
    def of_text(cls, text: str, reading: Reading = NOTHING_SAID) -> "Preprocessing":
        """What `str` has written, with what is said of the numbers of files.

        Raises:
            ValueError: another text.
        """
        written = re.match(rf"{cls.__name__}\(.*?std=\([^)]*\)\)", text)
        if written is None:
            raise ValueError(f"{text!r} says no preprocessing")
        call = ast.parse(written[0], mode="eval").body
        assert isinstance(call, ast.Call)
        own = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
        return cls(**own, reading=reading, reduced=text[written.end() :].startswith(", reduced"))

    @property
    def channels(self) -> int:
        """How many the classifier takes: 3 are RGB."""
        return len(self.mean)

    @property
    def enough(self) -> int | None:
        """The shorter side in pixels that a JPEG may be reduced to, None for none."""
        seen = max(self.size) if self.resize == "squash" else self.resize
        return _SPARE * seen if self.reduced else None

    def blank(self) -> UInt8[Tensor, "1 c h w"]:
        """Pixels of zeros of the size and the channels of one input, to try a network on."""
        return torch.zeros((1, self.channels, *self.size), dtype=torch.uint8)

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
        self, image: Pixels, region: Box | None = None, original: Size | None = None
    ) -> tuple[Shaped[np.ndarray, "c rows columns"], Frame]:
        """The image at input size, still in 0..255, and its frame; runs without torch.

        With `region`, a box in pixels of the original, that part alone fills the input. `original`
        is the size of the original where `image` is a smaller copy.
        """
        original = original or (image.shape[0], image.shape[1])
        if region is not None:
            return self._enlarged(image, region, original)
        frame = self.frame(original)
        (top, left), (height, width) = map(_whole, frame.crop), frame.input
        full_height, full_width = map(_whole, frame.resized)
        scale_y, scale_x = full_height / image.shape[0], full_width / image.shape[1]
        # Only the part under the crop is resized: 20,000 x 1 pixels shall not become 5,120,000.
        shown = (
            max(left, 0),
            max(top, 0),
            min(left + width, full_width),
            min(top + height, full_height),
        )
        source = (shown[0] / scale_x, shown[1] / scale_y, shown[2] / scale_x, shown[3] / scale_y)
        part = self._scaled(
            image,
            (shown[3] - shown[1], shown[2] - shown[0]),
            (*source[:2], min(source[2], image.shape[1]), min(source[3], image.shape[0])),
        )
        out = np.zeros((height, width, image.shape[2]), dtype=image.dtype)
        out[shown[1] - top : shown[3] - top, shown[0] - left : shown[2] - left] = part
        return np.ascontiguousarray(out.transpose(2, 0, 1)), frame

    def _enlarged(
        self, image: Pixels, region: Box, original: Size
    ) -> tuple[Shaped[np.ndarray, "c rows columns"], Frame]:
        (inside,) = clip(region[None], *original)
        frame = Frame.of_region(original, inside, self.size)
        height, width = image.shape[:2]
        box = inside / np.tile((original[1] / width, original[0] / height), 2)
        box = clip(box[None], height, width)[0]
        # Only what the filter reaches is copied: an image of 67 million pixels may have many parts.
        reach = _REACH * np.maximum((box[2:] - box[:2]) / self.size[::-1], 1.0) + 1
        left, top = np.maximum(np.floor(box[:2] - reach), 0).astype(int).tolist()
        right, bottom = np.ceil(box[2:] + reach).astype(int).tolist()
        xmin, ymin, xmax, ymax = (box - [left, top, left, top]).tolist()
        part = self._scaled(image[top:bottom, left:right], self.size, (xmin, ymin, xmax, ymax))
        return np.ascontiguousarray(part.transpose(2, 0, 1)), frame

    def _scaled(
        self, image: Pixels, size: Size, box: tuple[float, float, float, float]
    ) -> Shaped[np.ndarray, "rows columns c"]:
        """What lies in a box of the image, at another (height, width)."""

        def scaled(part: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "rows columns *c"]:
            how = Image.Resampling[self.interpolation.upper()]
            return np.asarray(Image.fromarray(part).resize(size[::-1], how, box=box))

        if image.shape[2] == 3 and image.dtype == np.uint8:
            return scaled(image)
        channels = map(np.ascontiguousarray, np.moveaxis(image, 2, 0))
        wide = np.stack([scaled(channel) for channel in channels], axis=2)
        return wide.clip(0, 255)  # a float may overshoot where 8 bits cannot

    def normalize(
        self, pixels: Shaped[Tensor, "b c h w"], dtype: torch.dtype
    ) -> Float[Tensor, "b c h w"]:
        """The network's input values, on the device of `pixels`."""
        values = pixels.to(torch.float64 if dtype == torch.float64 else torch.float32)
        if self.color == "BGR":
            values = values.flip(1)
        mean = values.new_tensor(self.mean).view(1, -1, 1, 1)
        std = values.new_tensor(self.std).view(1, -1, 1, 1)
        return ((values * (self.scale / 255.0) - mean) / std).to(dtype)

    def mean_pixel(self) -> tuple[float, ...]:
        """The colour that the normalization maps to 0, in [0, 255]; three are RGB."""
        values = tuple(255.0 * mean / self.scale for mean in self.mean)
        return values[::-1] if self.color == "BGR" else values


def _whole(length: float) -> int:
    """A size or corner of a whole image's frame, which is a whole number."""
    return int(length)
