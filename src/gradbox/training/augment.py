"""Random crops, flips and colours, others for each image of a batch.

torchvision's transforms draw one set of numbers for a whole batch, and applied to one image at a
time they take longer than a step of a small network.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much an image is changed at most.

    The crop has `zoom` to 1 of the width and of the height, its aspect ratio off by a factor of at
    most 1 + `stretch`; half of the images are mirrored. Brightness, contrast and saturation are
    multiplied by 1 - `colour` to 1 + `colour`.
    """

    zoom: float = 0.7
    stretch: float = 0.15
    colour: float = 0.3

    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
        """Changed copies of the same size, drawn from torch's random numbers on the CPU."""
        changed = self._recolour(self._crop(pixels.float()))
        return changed.clamp(0, 255).round().to(torch.uint8)

    def _crop(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        count = len(pixels)
        stretch = _uniform(count, 2, 1.0, 1.0 + self.stretch)
        sides = (_uniform(count, 1, self.zoom, 1.0) * stretch).clamp(max=1.0)  # (b, 2)
        affine = torch.zeros(count, 2, 3)
        affine[:, 0, 0] = sides[:, 0] * torch.randint(2, (count,)).mul(2).sub(1)
        affine[:, 1, 1] = sides[:, 1]
        affine[:, :, 2] = _uniform(count, 2, -1.0, 1.0) * (1.0 - sides)
        grid = F.affine_grid(affine.to(pixels.device), list(pixels.shape), align_corners=False)
        return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)

    def _recolour(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        factors = _uniform(len(pixels), 3, 1 - self.colour, 1 + self.colour).to(pixels.device)
        brightness, contrast, saturation = factors[..., None, None, None].unbind(dim=1)
        luma = pixels.new_tensor(_LUMA).view(1, 3, 1, 1)
        bright = pixels * brightness
        middle = (bright * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
        contrasted = middle + contrast * (bright - middle)
        grey = (contrasted * luma).sum(dim=1, keepdim=True)
        return grey + saturation * (contrasted - grey)


def _uniform(rows: int, columns: int, low: float, high: float) -> Float[Tensor, "{rows} {columns}"]:
    return low + (high - low) * torch.rand(rows, columns)
