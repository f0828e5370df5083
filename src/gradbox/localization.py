"""The contract: a `Sample` comes in, a `Localizer` turns a `Batch` into `Localization`s."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL.Image import Image

from gradbox.boxes import Box, Boxes, as_boxes
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Frame, Mask, Size
from gradbox.memo import Memo
from gradbox.stores import StoredFile

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
_HALVES = re.compile("[\ud800-\udfff]")  # of characters, which no file has in its name
RGB = UInt8[np.ndarray, "h w 3"]
Pixels = UInt8[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"]
"""An image with the channels that a network takes, in 0..255; three are RGB."""
ImageFile = str | Path | StoredFile
"""An image file: a path, a URL, or the text of a part of a file, as `photos.tar#1536+20480`."""
ImageSource = ImageFile | Image | np.ndarray | Callable[[], np.ndarray]
"""A file, a Pillow image, an array (h, w) or (h, w, c), or a function that makes one."""
Point = tuple[float, float]
"""(x, y) in pixels of the original image; the middle of pixel i is i + 0.5."""
ClassFrom = Literal["truth", "predicted", "none"]
"""Where the class that is looked for comes from: it is given, recognized, or there is none."""
MaskSource = Path | Callable[[], np.ndarray]
"""A file whose non-zero pixels are the object, or a function that returns an (h, w) bool array."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One image of a data set with what is known about it.

    `image_id` is the path relative to the input root, with `/`; it names what is written of the
    image. `boxes` (n, 4) are ground truth in original pixels and `labels` their classes as the data
    set writes them; `label` is the class of the whole image. `size` is (height, width) of the
    upright image where the data set states it.

    Raises:
        UsageError: an id that leads out of a folder, or that can name no file.
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
        if self.image_id.startswith("/") or ".." in self.image_id.split("/"):
            raise UsageError(
                f"the image {self.image_id!r} lies outside the images: give its path below their "
                "folder, by which its results are named"
            )
        if "\0" in self.image_id or _HALVES.search(self.image_id):
            raise UsageError(f"the image id {self.image_id!r} can name no file: give another one")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which classes are located where none is given: the best `top`, and all near the best.

    `near_top` R adds every class with a probability of at least R times the best one's. `above`
    takes instead of them all those with at least this probability, or with the threshold that the
    classifier has for each; an image may have none. `top=0` means no class at all: the head of the
    network is not run where the method can do without.
    """

    top: int = 1
    near_top: float | None = None
    above: float | Literal["thresholds"] | None = None

    def __post_init__(self) -> None:
        if self.top < 0:
            raise UsageError(f"top={self.top}: a number of classes is 0 or more")
        if self.near_top is not None and not 0 < self.near_top <= 1:
            raise UsageError(f"near_top={self.near_top}: a share, 0 < R <= 1")
        if self.above is None:
            return
        if self.above != "thresholds" and not 0 < self.above < 1:
            raise UsageError(f"above={self.above}: a probability, 0 < P < 1, or thresholds")
        if self.top != 1 or self.near_top is not None:
            raise UsageError("above takes all classes that are there: leave out top and near_top")

    @property
    def least(self) -> float | None:
        """The probability that `above` says for all classes, if it does."""
        return None if self.above == "thresholds" else self.above

    @classmethod
    def usual(cls, class_from: ClassFrom) -> "Selection":
        """The recognized class, or no class at all."""
        return cls(top=0 if class_from == "none" else 1)


@runtime_checkable
class Resizer(Protocol):
    """Brings an image, or one box of it, to input size: `images.preprocessing.Preprocessing`."""

    def resized(
        self, image: Pixels, region: Box | None = None, original: Size | None = None
    ) -> tuple[np.ndarray, Frame]:
        """The pixels (c, h, w), in 0..255, and how they came about.

        `original` is the size of the original, in whose pixels the box is, where `image` is a
        smaller copy.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images ready for the network, with the frames that lead back to the originals.

    `pixels` is (b, c, h, w) in 0..255 at input size, not yet normalized; three channels are RGB.
    `labels` gives the class indices to locate in each image, main class first; None leaves them to
    `selection`. `originals` are the decoded images, (H, W, c) each, where the method has said
    that it needs them; of an image of more than 67 million pixels, a smaller copy. `regions` are
    the parts of the originals that the pixels show, a box (4,) in original pixels each, where they
    do not show all.
    `memo` belongs to the pixels: batches that only ask for other classes share it.
    """

    image_ids: tuple[str, ...]
    pixels: "Tensor"
    frames: tuple[Frame, ...]
    labels: tuple[tuple[int, ...] | None, ...]
    selection: Selection = Selection()
    originals: tuple[np.ndarray, ...] = ()
    regions: tuple[Box, ...] | None = None
    memo: Memo = field(default_factory=Memo, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.image_ids)

    def known(self, key: Any) -> Any:
        """What was kept with this key for the classes asked for here, None where nothing was."""
        return self.memo.known((key, self.labels, self.selection))

    def keep(self, key: Any, made: T, *, since: float) -> T:
        """Keep what was made for the classes asked for here since this time of the memo's clock."""
        return self.memo.keep((key, self.labels, self.selection), made, since=since)

    def asking(
        self, labels: Sequence[tuple[int, ...] | None], selection: Selection | None = None
    ) -> "Batch":
        """The same pixels, asked for other classes."""
        return replace(self, labels=tuple(labels), selection=selection or self.selection)

    def only(self, indices: Sequence[int]) -> "Batch":
        """These images of it, in this order."""

        def some(values: Sequence[T]) -> tuple[T, ...]:
            return tuple(values[i] for i in indices)

        return replace(
            self,
            image_ids=some(self.image_ids),
            pixels=self.pixels[list(indices)],
            frames=some(self.frames),
            labels=some(self.labels),
            originals=some(self.originals) if self.originals else (),
            regions=self.regions and some(self.regions),
            memo=Memo(),
        )

    def mirrored(self) -> "Batch":
        """Left and right exchanged, also in the originals; the frames stay: turn maps back."""
        regions = self.regions and tuple(
            np.array([frame.original[1] - xmax, ymin, frame.original[1] - xmin, ymax])
            for (xmin, ymin, xmax, ymax), frame in zip(self.regions, self.frames, strict=True)
        )
        originals = tuple(np.ascontiguousarray(image[:, ::-1]) for image in self.originals)
        pixels = self.pixels.flip(3)
        return replace(self, pixels=pixels, originals=originals, regions=regions, memo=Memo())

    def view(self, resizer: Resizer, regions: Sequence[Box] | None = None) -> "Batch":
        """The same originals at another size, another preprocessing, or one region of each.

        Args:
            resizer: for instance a `Preprocessing`.
            regions: one box (4,) in original pixels for each image, which then fills the input;
                without them the regions of this batch.

        Raises:
            ValueError: the originals were not kept: the method has to say `needs_originals`.
        """
        import torch

        if len(self.originals) != len(self):
            raise ValueError("the originals were not kept: the method says needs_originals = True")
        regions = self.regions if regions is None else tuple(regions)
        boxes = regions or [None] * len(self)
        pairs = [
            resizer.resized(image, box, frame.original)
            for image, box, frame in zip(self.originals, boxes, self.frames, strict=True)
        ]
        return replace(
            self,
            pixels=torch.from_numpy(np.stack([pixels for pixels, _ in pairs])),
            frames=tuple(frame for _, frame in pairs),
            regions=regions,
            memo=Memo(),
        )


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Which frame of a clip an image is, from 0, and its time in seconds, as the clip says it."""

    frame: int
    time: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """One part that a box could be made of, and a proposal for a detector.

    `box` (4,) is in original pixels; `heatmap` (h, w) and `mask` (h, w) lie over the input and are
    kept for pictures only. `chosen` says whether the final box is made of it. Scores are comparable
    within an image.
    """

    box: Float[np.ndarray, "4"]
    score: float
    label: int | None
    chosen: bool = True
    heatmap: Float[np.ndarray, "h w"] | None = None
    mask: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Localization:
    """What was found in one image; box 0 is the main one.

    `boxes` (n, 4) are in original pixels; a class may have several, which then stand together, the
    main one first. For each box: `labels` the class index or None, `names` the class name where it
    is known, `label_scores` the probability of that class in [0, 1] (1.0 where no class was asked
    for), `scores` how much the method trusts the box, and, if there are heat maps, `peaks` where
    its map is highest (None for a map of zeros; for a further box of the same map, where it is
    highest inside the box) and `map_shares` the share of its map's total inside, in [0, 1], where
    `scores` are something else. `top_labels` are the five most probable classes, best first, empty
    where the head was not run. `heatmap` (h, w), of any size, lies over the network input, `mask`
    (H, W) over the original image; both belong to the main box, the heat map without one to the
    first class. `source` is the image that was looked at and `frame` how it became the input, where
    they are known: for a picture of it all, `gradbox.plot`. `moment` says which frame of a clip it
    is.
    """

    image_id: str
    size: Size
    boxes: Boxes
    labels: tuple[int | None, ...]
    label_scores: tuple[float, ...]
    scores: tuple[float, ...]
    names: tuple[str | None, ...] = ()
    peaks: tuple[Point | None, ...] = ()
    map_shares: tuple[float, ...] = ()
    top_labels: tuple[int, ...] = ()
    blank: bool = False
    heatmap: Float[np.ndarray, "h w"] | None = None
    mask: Mask | None = None
    regions: tuple[Region, ...] = ()
    source: ImageSource | None = None
    frame: Frame | None = None
    moment: Moment | None = None

    def __repr__(self) -> str:
        """One line: the image, and of each box its class, probability, edges and score."""
        boxes = [
            f"{name or 'object'} {probability:.2f} at [{', '.join(f'{edge:.0f}' for edge in box)}]"
            f" score {score:.2f}"
            for name, probability, box, score in zip(
                self.names or self.labels, self.label_scores, self.boxes, self.scores, strict=True
            )
        ]
        height, width = self.size
        found = "; ".join(boxes) or "no box"
        return f"<Localization {self.image_id!r}, {width} x {height}: {found}>"

    def __post_init__(self) -> None:
        counts = [len(part) for part in (self.boxes, self.labels, self.label_scores, self.scores)]
        if len(set(counts)) != 1:
            raise ValueError(
                f"{self.image_id}: {counts} boxes, labels, label scores and scores: one each a box"
            )
        for kind in ("names", "peaks", "map_shares"):
            given = getattr(self, kind)
            if len(given) not in (0, len(self.boxes)):
                raise ValueError(
                    f"{self.image_id}: {len(given)} {kind}, {len(self.boxes)} boxes: one each a box"
                )
        boxes = as_boxes(self.boxes)
        height, width = self.size
        if ((boxes < 0) | (boxes > np.array([width, height, width, height]))).any():
            raise ValueError(f"{self.image_id}: a box lies outside the {height}x{width} image")


Found = Localization | ImageError
"""What came of one image."""


@runtime_checkable
class Localizer(Protocol):
    """Turns images into localizations: the only thing that `pipeline` asks of a method."""

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image, in order; an `ImageError` where it cannot be done.

        `details` also fills `heatmap` and `mask`, and the regions' own.
        """
        ...


@runtime_checkable
class HasRegions(Protocol):
    """A localizer or map maker that says whether its answers have `regions`."""

    @property
    def has_regions(self) -> bool:
        """Whether they do, also where no details are asked for."""
        ...
