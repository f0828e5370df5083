"""From a heat map to many scored boxes: proposals for a detector, or for whoever labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from jaxtyping import Float

from gradbox import boxes as bx
from gradbox.boxes import Boxes
from gradbox.errors import UsageError
from gradbox.estimators.estimator import Heatmaps, ScoredBoxes
from gradbox.estimators.objects import on_grid
from gradbox.estimators.placing import overlap, to_image
from gradbox.geometry import Frame

SIGMAS = (0.0, 1.5, 3.0)
"""How the map is smoothed, in pixels of the map of 64 x 64 at most that parts are looked for in."""
SHARES = tuple(np.linspace(0.05, 0.95, 19).tolist())
"""From which shares of the maximum on there are parts, the minimum taken off."""
MOST_PARTS = 400
"""How many boxes are stretched, those of the best contrast: noise has thousands of parts."""
STRETCHES = (0.5, 0.7, 1.0, 1.4, 2.0)
"""How each box is made narrower and wider, lower and higher, about its middle."""
RIM = 1.5
"""The size of the box whose outer part is the rim, as a multiple of the box inside."""


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Many boxes of a map, best first: a `BoxEstimator`.

    Boxes are drawn around the connected parts from many shares of the maximum on, which are the
    nodes of the tree in which flooding merges basins (`Objects`), after several smoothings; then
    each is stretched. A box scores the contrast of the map, its mean inside minus its mean in the
    rim around, times its `likeness` to the one that it was stretched from. Of boxes that overlap by
    more than `overlap` the best one stays (greedy non-maximum suppression), and of these the best
    `count`.

    Raises:
        UsageError: a count below 1, or an overlap that is no share.
    """

    count: int = 100
    overlap: float = 0.75

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"proposals={self.count}: a number of boxes an image, 1 or more")
        if not 0 <= self.overlap <= 1:
            raise UsageError(f"overlap={self.overlap}: an IoU, 0 to 1")

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """The boxes of each map; its range is taken as [0, 1], and a flat one says nothing."""
        return [self._of(*pair) for pair in zip(heatmaps, frames, strict=True)]

    def _of(self, heatmap: Float[np.ndarray, "h w"], frame: Frame) -> ScoredBoxes:
        small = on_grid(heatmap)
        high = small - small.min()
        if not high.any():
            height, width = frame.original
            return ScoredBoxes(np.array([[0.0, 0.0, width, height]]), np.zeros(1))
        high /= high.max()
        boxes, likeness = stretched(_best(high, drawn(high)))
        boxes = bx.clip(boxes, *high.shape)
        scores = np.clip(contrast(high, boxes), 0.0, 1.0) * likeness
        placed = to_image(boxes, (high.shape[0], high.shape[1]), frame)
        kept = _apart(placed, scores, self.overlap)[: self.count]
        return ScoredBoxes(placed[kept], scores[kept])


def drawn(heatmap: Float[np.ndarray, "h w"]) -> Boxes:
    """The boxes around all parts of a map that is not zero, in its pixels, each once."""
    found = [_around_parts(smooth, share) for smooth in _smoothed(heatmap) for share in SHARES]
    return np.unique(np.concatenate(found), axis=0)


def _best(heatmap: Float[np.ndarray, "h w"], boxes: Boxes) -> Float[np.ndarray, "m 4"]:
    return boxes[np.argsort(-contrast(heatmap, boxes), kind="stable")[:MOST_PARTS]]


def stretched(boxes: Boxes) -> tuple[Float[np.ndarray, "m 4"], Float[np.ndarray, "m"]]:
    """Each box in all `STRETCHES` of width and height, and its likeness to what it was.

    That is the shorter over the longer width, before and after, times the same of the height.
    """
    middle, half = bx.centers(boxes), (boxes[:, 2:] - boxes[:, :2]) / 2
    pairs = np.array(list(product(STRETCHES, STRETCHES)))
    halves = half * pairs[:, None]
    around = np.concatenate([middle - halves, middle + halves], axis=2)
    likeness = np.minimum(pairs, 1 / pairs).prod(axis=1)
    return around.reshape(-1, 4), np.repeat(likeness, len(boxes))


def contrast(heatmap: Float[np.ndarray, "h w"], boxes: Boxes) -> Float[np.ndarray, "n"]:
    """The mean of a map inside each box minus its mean in the rim around; boxes in its pixels.

    The rim is the rest of the box `RIM` times as wide and high, as far as the map goes; where there
    is no rest its mean is 0. Pixels count by the part of them that is covered.
    """
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * RIM
    middle = bx.centers(boxes)
    outer = bx.clip(np.concatenate([middle - half, middle + half], axis=1), *heatmap.shape)
    inside, whole = _sums(heatmap, boxes), _sums(heatmap, outer)
    area, rest = bx.area(boxes), bx.area(outer) - bx.area(boxes)
    in_rim = np.divide(whole - inside, rest, out=np.zeros_like(rest), where=rest > 1e-6)
    return inside / np.maximum(area, 1e-6) - in_rim


def _sums(heatmap: Float[np.ndarray, "h w"], boxes: Boxes) -> Float[np.ndarray, "n"]:
    height, width = heatmap.shape
    rows, columns = (
        overlap(boxes[:, axis], boxes[:, axis + 2], length)
        for axis, length in ((1, height), (0, width))
    )
    return np.sum((rows @ heatmap) * columns, axis=1)


def _smoothed(heatmap: Float[np.ndarray, "h w"]) -> Iterator[Float[np.ndarray, "h w"]]:
    for sigma in SIGMAS:
        if sigma == 0:
            yield heatmap
        else:
            yield cv2.GaussianBlur(heatmap, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def _around_parts(heatmap: Float[np.ndarray, "h w"], share: float) -> Boxes:
    mask = (heatmap >= share * heatmap.max()).astype(np.uint8)
    *_, stats, _ = cv2.connectedComponentsWithStats(mask)
    return bx.from_xywh(stats[1:, : cv2.CC_STAT_AREA].astype(np.float64))


def _apart(boxes: Boxes, scores: Float[np.ndarray, "n"], most: float) -> np.ndarray:
    """The boxes that overlap no better one by more than `most`, best first."""
    import torch
    from torchvision.ops import nms  # brings in torch._dynamo, 1.0 s

    return nms(torch.from_numpy(boxes), torch.from_numpy(scores), most).numpy()
