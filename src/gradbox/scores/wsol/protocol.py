"""The protocol of wsolevaluation, bit for bit: MaxBoxAcc, MaxBoxAccV2 and PxAP.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020. Its
conventions are its own and stay in this file: integer boxes (x0, y0, x1, y1) in a 224 x 224 frame
whose last pixel belongs to the box, maps quantized to uint8, a strict `>` threshold, IoU `>=`.

One threshold serves all images of a data set. The maximum over thresholds is still a choice made
on the images that are scored; the honest number is `test.accuracy_at(val.best_threshold())`.
A threshold for each image apart is a misuse of the protocol, and there is no function for it.
Shares are in [0, 1]; wsolevaluation prints percentages.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from gradbox.boxes import Boxes, inclusive_iou
from gradbox.errors import UsageError
from gradbox.geometry import Size

SIDE = 224
"""Side of the square frame, in pixels, in which everything is compared."""
ScoreMap = Float[np.ndarray, "h w"]


def scoremap_of(heatmap: ScoreMap) -> Float[np.ndarray, "224 224"]:
    """A heatmap over the whole image, resized (cubic) to the frame and min-max normalized.

    A constant map, or one with a NaN, becomes zero.
    """
    resized = cv2.resize(heatmap.astype(np.float64), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    if np.isnan(resized).any() or resized.min() == resized.max():
        return np.zeros_like(resized)
    raised = resized - resized.min()
    return raised / raised.max()


def check_scoremap(scoremap: ScoreMap) -> None:
    """Refuse a map with a value outside [0, 1], or a NaN, with a ValueError."""
    if not ((scoremap >= 0) & (scoremap <= 1)).all():
        raise ValueError("a value is not in [0, 1]: `scoremap_of` normalizes a map")


def resize_boxes(boxes: Boxes, size: Size, side: int = SIDE) -> Boxes:
    """Boxes in pixels of an image of `size` (h, w), in the frame, cut down to whole pixels."""
    height, width = size
    return np.trunc(boxes * side / np.array([width, height, width, height], dtype=np.float64))


@dataclass(frozen=True)
class Variant:
    """Which boxes count, and the IoUs that they must reach; the score is the mean over these."""

    all_contours: bool
    ious: tuple[float, ...]


MAX_BOX_ACC = Variant(all_contours=False, ious=(0.5,))
MAX_BOX_ACC_V2 = Variant(all_contours=True, ious=(0.3, 0.5, 0.7))


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The best IoU of one image's boxes with a true one at each threshold, for both variants.

    `largest` is that of the contour with the largest area, `any` the best of all contours.
    """

    largest: Float[np.ndarray, "t"]
    any: Float[np.ndarray, "t"]


def overlaps(
    scoremap: Float[np.ndarray, "224 224"], truth: Boxes, interval: float = 0.001
) -> Overlaps:
    """The boxes of a map in [0, 1] held against the true boxes in the frame.

    Raises:
        ValueError: a value of the map is not in [0, 1].
    """
    levels, image = _quantized(scoremap, _thresholds(interval))
    distinct, where = np.unique(levels, return_inverse=True)
    ious = [
        inclusive_iou(boxes.astype(np.float64), truth).max(axis=1)
        for boxes in _boxes_at_levels(distinct, image)
    ]
    return Overlaps(
        largest=np.array([of_level[0] for of_level in ious])[where],
        any=np.array([of_level.max() for of_level in ious])[where],
    )


@dataclass(frozen=True, eq=False)
class BoxAccuracy:
    """Hits for each IoU and each threshold; `a + b` is one pass over the images of both.

    `hits` is (ious, thresholds); the thresholds are 0, `interval`, ... up to below 1.
    """

    variant: Variant
    hits: Int[np.ndarray, "d t"]
    n: int = 0
    interval: float = 0.001

    @classmethod
    def empty(cls, variant: Variant, interval: float = 0.001) -> "BoxAccuracy":
        """The state before the first image."""
        shape = (len(variant.ious), len(_thresholds(interval)))
        return cls(variant, np.zeros(shape, dtype=np.int64), 0, interval)

    def add(self, scoremap: Float[np.ndarray, "224 224"], truth: Boxes) -> "BoxAccuracy":
        """The state after one more image: its map in [0, 1] and its true boxes in the frame.

        An image is a hit where any of its boxes reaches the IoU with any true box.

        Raises:
            ValueError: a value of the map is not in [0, 1].
        """
        return self.add_overlaps(overlaps(scoremap, truth, self.interval))

    def add_overlaps(self, best: "Overlaps") -> "BoxAccuracy":
        """The state after one more image, of which the boxes were found already."""
        ious = best.any if self.variant.all_contours else best.largest
        hits = ious >= np.array(self.variant.ious)[:, None]
        return replace(self, hits=self.hits + hits, n=self.n + 1)

    def __add__(self, other: "BoxAccuracy") -> "BoxAccuracy":
        if (self.variant, self.interval) != (other.variant, other.interval):
            raise ValueError("box accuracies of different variants or intervals do not add up")
        return replace(self, hits=self.hits + other.hits, n=self.n + other.n)

    @property
    def accuracies(self) -> Float[np.ndarray, "d t"]:
        """The share of images that are hit, for each IoU and each threshold; 0 without images."""
        return self.hits / max(self.n, 1)

    @property
    def maximum(self) -> float | None:
        """MaxBoxAcc or MaxBoxAccV2: the best over thresholds, each IoU for itself, then the mean.

        None without images.
        """
        return float(self.accuracies.max(axis=1).mean()) if self.n else None

    def best_threshold(self, iou: float = 0.5) -> float:
        """The lowest threshold with the highest accuracy, to be used on other images."""
        row = self.accuracies[self.variant.ious.index(iou)]
        return float(_thresholds(self.interval)[row.argmax()])

    def accuracy_at(self, threshold: float, iou: float = 0.5) -> float | None:
        """The accuracy at a threshold that was chosen elsewhere; None without images.

        Raises:
            UsageError: the threshold is not one of 0, `interval`, 2 * `interval`, ...
        """
        near = np.isclose(_thresholds(self.interval), threshold, rtol=0.0, atol=1e-9)
        if not near.any():
            raise UsageError(
                f"threshold={threshold}: not one of 0, {self.interval}, {2 * self.interval}, ... "
                "up to below 1"
            )
        row = self.accuracies[self.variant.ious.index(iou)]
        return float(row[near.argmax()]) if self.n else None


@dataclass(frozen=True, eq=False)
class PixelAveragePrecision:
    """PxAP: map values of true and of other pixels, in bins; `a + b` is one pass over both."""

    inside: Int[np.ndarray, "bins"]
    outside: Int[np.ndarray, "bins"]
    interval: float = 0.001

    @classmethod
    def empty(cls, interval: float = 0.001) -> "PixelAveragePrecision":
        """The state before the first image."""
        none = np.zeros(len(_bin_edges(interval)) - 1, dtype=np.int64)
        return cls(none, none, interval)

    def add(
        self,
        scoremap: Float[np.ndarray, "h w"],
        mask: Bool[np.ndarray, "h w"],
        ignore: Bool[np.ndarray, "h w"],
    ) -> "PixelAveragePrecision":
        """The state after one more image; ignored pixels count only where the mask is true.

        Raises:
            ValueError: a value of the map is not in [0, 1].
        """
        check_scoremap(scoremap)
        edges = _bin_edges(self.interval)
        values = scoremap.astype(np.float64)
        inside = np.histogram(values[mask], bins=edges)[0]
        outside = np.histogram(values[~mask & ~ignore], bins=edges)[0]
        return replace(self, inside=self.inside + inside, outside=self.outside + outside)

    def __add__(self, other: "PixelAveragePrecision") -> "PixelAveragePrecision":
        if self.interval != other.interval:
            raise ValueError("pixel histograms of different intervals do not add up")
        return replace(
            self, inside=self.inside + other.inside, outside=self.outside + other.outside
        )

    def curve(self) -> tuple[Float[np.ndarray, "p"], Float[np.ndarray, "p"]]:
        """Pixel precision and recall as the threshold falls, from the first pixel predicted on."""
        true, other = self.inside[::-1].cumsum(), self.outside[::-1].cumsum()
        predicted = true + other > 0
        recall = true / max(int(true[-1]), 1)
        return true[predicted] / (true + other)[predicted], recall[predicted]

    @property
    def value(self) -> float | None:
        """The area under the precision-recall curve, as a sum of steps; None without true pixels.

        (Choe et al. 2020, section 4.1.)
        """
        precision, recall = self.curve()
        steps = precision * np.diff(recall, prepend=0.0)
        return float(steps.sum()) if self.inside.any() else None


def _thresholds(interval: float) -> Float[np.ndarray, "t"]:
    return np.arange(0, 1, interval)


def _bin_edges(interval: float) -> Float[np.ndarray, "edges"]:
    return np.append(_thresholds(interval), [1.0, 2.0, 3.0])


def _quantized(
    scoremap: ScoreMap, thresholds: Float[np.ndarray, "t"]
) -> tuple[Int[np.ndarray, "t"], UInt8[np.ndarray, "h w"]]:
    """The thresholds as grey levels of the quantized map, and this map."""
    check_scoremap(scoremap)
    image = (scoremap.astype(np.float64) * 255).astype(np.uint8)
    return (thresholds * int(image.max())).astype(np.int64), image


def _boxes_at_levels(
    levels: Int[np.ndarray, "t"], image: UInt8[np.ndarray, "h w"]
) -> list[Int[np.ndarray, "boxes 4"]]:
    """The boxes of all contours at each level, the one of the largest area first.

    Many thresholds are one level: callers pass each level once, at most 255 of them.
    """
    last = np.array([image.shape[1] - 1, image.shape[0] - 1])
    boxes = []
    for level in levels.tolist():
        binary = cv2.threshold(image, level, 255, cv2.THRESH_BINARY)[1]
        contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        rects = np.array([cv2.boundingRect(c) for c in contours] or [(0, 0, 0, 0)], dtype=np.int64)
        if contours:
            first = int(np.argmax([cv2.contourArea(contour) for contour in contours]))
            rects[[0, first]] = rects[[first, 0]]
        ends = np.minimum(rects[:, :2] + rects[:, 2:], last)
        boxes.append(np.concatenate([rects[:, :2], ends], axis=1))
    return boxes
