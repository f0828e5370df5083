"""What a foreground head is taught by boxes, and how far its answer is from that."""

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gradbox.boxes import Boxes


def inside_boxes(boxes: Boxes, rows: int, columns: int) -> Float[np.ndarray, "rows columns"]:
    """1 where a cell's middle lies in a box, else 0; boxes (n, 4) in shares of width and height."""
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    xmin, ymin, xmax, ymax = boxes.T[..., None]
    in_rows, in_columns = (ymin <= y) & (y < ymax), (xmin <= x) & (x < xmax)
    return (in_rows[:, :, None] & in_columns[:, None]).any(axis=0).astype(np.float32)


def distance(
    logits: Float[Tensor, "b h w"], inside: Float[Tensor, "b h w"], dice: float
) -> Float[Tensor, ""]:
    """Binary cross-entropy, and `dice` times one less the soft Dice coefficient of each image.

    With p the probabilities and t what is `inside`, Dice is (2 Σ pt + 1) / (Σ p + Σ t + 1), summed
    over an image's cells (Milletari et al., 3DV 2016, without the squares). In the first part every
    cell counts alike, in the second every image, however small its objects.
    """
    p = logits.sigmoid()
    common, both = (p * inside).sum(dim=(1, 2)), (p + inside).sum(dim=(1, 2))
    unlike = 1 - (2 * common + 1) / (both + 1)
    return F.binary_cross_entropy_with_logits(logits, inside) + dice * unlike.mean()
