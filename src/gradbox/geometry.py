"""The one place where coordinates change frame: original image <-> network input."""

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gradbox.boxes import Box, Boxes, clip

Size = tuple[int, int]
"""(height, width) in pixels."""
Mask = Bool[np.ndarray, "H W"]
"""Which pixels belong to something."""


@dataclass(frozen=True)
class Frame:
    """How an upright original image became a network input: resized, then cropped.

    All sizes are (height, width). `crop` is the (top, left) corner of the input in the resized
    image; both are whole numbers unless the frame is that of a region. Coordinates are continuous:
    pixel i covers [i, i + 1).
    """

    original: Size
    resized: tuple[float, float]
    crop: tuple[float, float]
    input: Size

    @classmethod
    def squash(cls, original: Size, size: Size) -> "Frame":
        """The whole image resized to `size`; the aspect ratio is not kept."""
        return cls(original, size, (0, 0), size)

    @classmethod
    def of_region(cls, original: Size, region: Float[np.ndarray, "4"], size: Size) -> "Frame":
        """One box of the original, in its pixels, enlarged or reduced to `size` on its own."""
        xmin, ymin, xmax, ymax = region.tolist()
        scale_y, scale_x = size[0] / (ymax - ymin), size[1] / (xmax - xmin)
        resized = (original[0] * scale_y, original[1] * scale_x)
        return cls(original, resized, (ymin * scale_y, xmin * scale_x), size)

    @classmethod
    def resize_and_crop(cls, original: Size, shorter_side: int, size: Size) -> "Frame":
        """Torchvision's `Resize(shorter_side)` then `CenterCrop(size)`, with its rounding."""
        height, width = original
        if width <= height:
            resized = (int(shorter_side * height / width), shorter_side)
        else:
            resized = (shorter_side, int(shorter_side * width / height))
        top, left = (_corner(have, want) for have, want in zip(resized, size, strict=True))
        return cls(original, resized, (top, left), size)

    @property
    def shows_all(self) -> bool:
        """Whether the input is the whole image and nothing else."""
        lengths = zip((*self.resized, *self.crop), (*self.input, 0, 0), strict=True)
        return all(have == want for have, want in lengths)

    @property
    def _scale(self) -> Float[np.ndarray, "4"]:
        scale_y, scale_x = (r / o for r, o in zip(self.resized, self.original, strict=True))
        return np.array([scale_x, scale_y, scale_x, scale_y])

    @property
    def _offset(self) -> Float[np.ndarray, "4"]:
        top, left = self.crop
        return np.array([left, top, left, top], dtype=np.float64)

    def to_input(self, boxes: Boxes) -> Boxes:
        """Boxes from original pixels to input pixels, not clipped."""
        return boxes * self._scale - self._offset

    def to_original(self, boxes: Boxes) -> Boxes:
        """Boxes from input pixels to original pixels, clipped to the original image."""
        return clip((boxes + self._offset) / self._scale, *self.original)

    def map_to_original(self, heatmap: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "H W"]:
        """A map over the input, resampled bilinearly over the original; 0 where the crop cut away.

        The map may have any size; it is taken to cover the input.
        """
        height, width = self.original
        rows, columns = heatmap.shape
        scale_x, scale_y = self._scale[:2]
        top, left = self.crop
        per_y, per_x = rows / self.input[0], columns / self.input[1]
        # Pixel centres: map = ((original + 0.5) * scale - crop) * map pixels per input pixel - 0.5
        affine = np.array(
            [
                [scale_x * per_x, 0.0, (0.5 * scale_x - left) * per_x - 0.5],
                [0.0, scale_y * per_y, (0.5 * scale_y - top) * per_y - 0.5],
            ]
        )
        out = cv2.warpAffine(
            heatmap.astype(np.float32),
            affine,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        y = (np.arange(height) + 0.5) * scale_y - top
        x = (np.arange(width) + 0.5) * scale_x - left
        seen = np.outer((y >= 0) & (y <= self.input[0]), (x >= 0) & (x <= self.input[1]))
        return np.where(seen, out, np.float32(0.0))


def filled_box(box: Box, size: Size) -> Mask:
    """The mask, of `size` (h, w), of the pixels whose centre lies in a half-open box."""
    x0, y0, x1, y1 = (ceil(edge - 0.5) for edge in clip(box[None], *size)[0])
    mask = np.zeros(size, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _corner(have: int, want: int) -> int:
    """Where a centre crop starts; where it is larger it pads, the smaller half first."""
    gap = have - want
    return round(gap / 2) if gap >= 0 else -(-gap // 2)
