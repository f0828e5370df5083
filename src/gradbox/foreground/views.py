"""What a head says of an image at several sizes, made one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def mean_of_views(
    views: Sequence[Float[Tensor, "b _ _"]], size: Sequence[int]
) -> Float[Tensor, "b h w"]:
    """The mean of P over views, at the largest height and width of them and of `size`."""
    sizes = (size, *(one.shape[1:] for one in views))
    meeting = [max(size[axis] for size in sizes) for axis in (0, 1)]
    upsampled = [F.interpolate(one[:, None], meeting, mode="bilinear")[:, 0] for one in views]
    return torch.stack(upsampled).mean(dim=0)
