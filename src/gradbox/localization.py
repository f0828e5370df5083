"""The contract: a `Sample` comes in, a `Localizer` turns a `Batch` into `Localization`s."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL.Image import Image

from gradbox.boxes import Boxes, as_boxes
from gradbox.errors import ImageError
from gradbox.geometry import Frame, Size

if TYPE_CHECKING:
    from torch import Tensor

RGB = UInt8[np.ndarray, "h w 3"]
ImageSource = str | Path | Image | np.ndarray | Callable[[], np.ndarray]
"""A file, a Pillow image, an (h, w), (h, w, 3) or (h, w, 4) array of uint8 or uint16, or a function
that makes one."""
Point = tuple[float, float]
"""(x, y) in pixels of the original image; the middle of pixel i is i + 0.5."""
MaskSource = Path | Callable[[], np.ndarray]
"""A file whose non-zero pixels are the object, or a function that returns an (h, w) bool array."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One image of a data set with what is known about it.

    `image_id` is the path relative to the input root, with `/`. `boxes` (n, 4) are ground truth in
    original pixels and `labels` their classes as the data set writes them; `label` is the class of
    the whole image. `size` is (height, width) of the upright image where the data set states it.
    """

    image_id: str
    source: ImageSource
    boxes: Boxes = field(default_factory=lambda: np.zeros((0, 4)))
    labels: tuple[str, ...] = ()
    label: str | None = None
    mask: MaskSource | None = None
    size: Size | None = None

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self.labels):
            raise ValueError(f"{self.image_id}: {len(self.boxes)} boxes, {len(self.labels)} labels")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which classes are located where none is given: the best `top`, and all near the best.

    `near_top` R adds every class with a probability of at least R times the best one's. `top=0`
    means no class at all: the head of the network is not run where the method can do without.
    """

    top: int = 1
    near_top: float | None = None

    def __post_init__(self) -> None:
        if self.top < 0:
            raise ValueError(f"top={self.top}: a number of classes is 0 or more")
        if self.near_top is not None and not 0 < self.near_top <= 1:
            raise ValueError(f"near_top={self.near_top}: a share, 0 < R <= 1")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images ready for the network, with the frames that lead back to the originals.

    `pixels` is (b, 3, h, w) uint8 RGB at input size, not yet normalized. `labels` gives the class
    indices to locate in each image, main class first; None leaves them to `selection`.
    """

    image_ids: tuple[str, ...]
    pixels: "Tensor"
    frames: tuple[Frame, ...]
    labels: tuple[tuple[int, ...] | None, ...]
    selection: Selection = Selection()

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """One part that a box was made of, and a proposal for a detector.

    `box` (4,) is in original pixels; `heatmap` (h, w) and `mask` (h, w) lie over the input and are
    kept for pictures only. `chosen` says whether the final box is made of it.
    """

    box: Float[np.ndarray, "4"]
    score: float
    label: int | None
    chosen: bool = True
    heatmap: Float[np.ndarray, "h w"] | None = None
    mask: Bool[np.ndarray, "h w"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Localization:
    """What was found in one image; box 0 is the main one.

    `boxes` (n, 4) are in original pixels. For each box: `labels` the class index or None,
    `label_scores` the probability of that class in [0, 1] (1.0 where no class was asked for),
    `scores` how much the method trusts the box, and, if there are heat maps, `peaks` where its map
    is highest (None for a map of zeros). `top_labels` are the five most probable classes,
    best first, empty where the head was not run. `heatmap` (h, w) lies over the network input,
    `mask` (H, W) over the original image; both belong to the main box, the heat map without one to
    the first class.
    """

    image_id: str
    size: Size
    boxes: Boxes
    labels: tuple[int | None, ...]
    label_scores: tuple[float, ...]
    scores: tuple[float, ...]
    peaks: tuple[Point | None, ...] = ()
    top_labels: tuple[int, ...] = ()
    blank: bool = False
    heatmap: Float[np.ndarray, "h w"] | None = None
    mask: Bool[np.ndarray, "H W"] | None = None
    regions: tuple[Region, ...] = ()

    def __post_init__(self) -> None:
        counts = [len(part) for part in (self.boxes, self.labels, self.label_scores, self.scores)]
        if len(set(counts)) != 1:
            raise ValueError(
                f"{self.image_id}: {counts} boxes, labels, label scores and scores: one each a box"
            )
        if len(self.peaks) not in (0, len(self.boxes)):
            raise ValueError(
                f"{self.image_id}: {len(self.peaks)} peaks, {len(self.boxes)} boxes: one each a box"
            )
        boxes = as_boxes(self.boxes)
        height, width = self.size
        if ((boxes < 0) | (boxes > np.array([width, height, width, height]))).any():
            raise ValueError(f"{self.image_id}: a box lies outside the {height}x{width} image")


@runtime_checkable
class Localizer(Protocol):
    """Turns images into localizations: the only thing that `pipeline` asks of a method."""

    def localize(
        self, batch: Batch, *, details: bool = False
    ) -> Sequence[Localization | ImageError]:
        """One `Localization` for each image, in order; an `ImageError` where it cannot be done.

        `details` also fills `heatmap`, `mask` and `regions`.
        """
        ...
