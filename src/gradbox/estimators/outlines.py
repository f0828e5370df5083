"""From a heat map, its box and the image to a mask: the outline of the main object."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from gradbox.boxes import Box
from gradbox.geometry import Frame, Mask, Size, filled_box
from gradbox.localization import RGB
from gradbox.parts import largest_part, without_holes


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """The object's colours, learned from the map and cut out of the image by GrabCut.

    The map, scaled to its highest value in the box, says what each pixel begins as: object from
    `share` on, for good from `sure` on; else background, for good where it is below `least` or
    outside the box enlarged by `margin` of its sides. `rounds` of GrabCut (Rother et al., SIGGRAPH
    2004), on an image of at most `side` pixels, learn the colours of both and cut anew. The mask is
    the largest part, its holes filled. Where its IoU with the mask of the map alone, from `share`
    on inside the box, is below `agreement`, the map's stands: the colours of object and ground were
    too alike.
    """

    share: float = 0.65
    sure: float = 0.95
    least: float = 0.1
    margin: float = 0.05
    rounds: int = 2
    side: int = 160
    agreement: float = 0.3

    def mask(
        self, rgb: RGB, heatmap: Float[np.ndarray, "rows columns"], frame: Frame, box: Box
    ) -> Mask:
        """The mask, of the size of the original image; equal calls give equal masks.

        A map without a value above 0 in the box is answered with the box, filled. GrabCut draws
        random numbers: OpenCV's of this thread are seeded anew.

        Args:
            rgb: the original, or a smaller copy of it.
            heatmap: the evidence, not negative, of any size; it covers the network input.
            frame: how the original became the input.
            box: the box (4,) of the object in pixels of the original.
        """
        size = _within(self.side, frame.original)
        image = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
        evidence = replace(frame, original=size).map_to_original(heatmap)
        scaled = box * np.tile(np.divide(size, frame.original)[::-1], 2)
        inside = filled_box(scaled, size)
        top = float(evidence[inside].max(initial=0.0))
        if top <= 0:
            return filled_box(box, frame.original)
        by_map = _whole(inside & (evidence >= self.share * top))
        near = filled_box(_grown(scaled, self.margin), size)
        kinds = np.full(size, cv2.GC_BGD, dtype=np.uint8)
        kinds[near & (evidence >= self.least * top)] = cv2.GC_PR_BGD
        kinds[near & (evidence >= self.share * top)] = cv2.GC_PR_FGD
        kinds[near & (evidence >= self.sure * top)] = cv2.GC_FGD
        cut = _cut(image, kinds, self.rounds)
        agrees = (cut & by_map).sum() >= self.agreement * (cut | by_map).sum()
        return _enlarged(cut if agrees else by_map, frame.original)


def _cut(image: RGB, kinds: UInt8[np.ndarray, "h w"], rounds: int) -> Mask:
    """The object that GrabCut makes of what each pixel begins as."""
    if not _is_object(kinds).all():  # else there is no background to learn
        cv2.setRNGSeed(0)
        colours = np.zeros((1, 65)), np.zeros((1, 65))
        nowhere = (0, 0, 0, 0)
        cv2.grabCut(image, kinds, nowhere, *colours, rounds, cv2.GC_INIT_WITH_MASK)
    return _whole(_is_object(kinds))


def _is_object(kinds: UInt8[np.ndarray, "h w"]) -> Mask:
    return (kinds == cv2.GC_FGD) | (kinds == cv2.GC_PR_FGD)


def _within(side: int, size: Size) -> Size:
    share = min(1.0, side / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _grown(box: Box, margin: float) -> Box:
    wider, higher = margin * (box[2:] - box[:2])
    return box + np.array([-wider, -higher, wider, higher])


def _whole(mask: Mask) -> Mask:
    return without_holes(largest_part(mask))


def _enlarged(mask: Bool[np.ndarray, "h w"], size: Size) -> Mask:
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5
