"""Masks of heat map and image: on drawings whose masks are known, on odd input, and twice."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from gradbox.boxes import bounding
from gradbox.estimators.outlines import Outlines
from gradbox.geometry import Frame, Mask, filled_box
from gradbox.scores.masks import mask_iou


def disc(size: tuple[int, int], x: float, y: float, radius: float) -> Mask:
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    return np.hypot(rows - y, columns - x) <= radius


def textured(mask: Mask, *, contrast: int = 90) -> np.ndarray:
    """Reddish noise where the mask is, greenish noise elsewhere; equal means for no contrast."""
    noise = np.random.default_rng(0).integers(-40, 41, (*mask.shape, 3))
    shift = np.where(
        mask[..., None], [contrast // 2, -contrast // 2, 0], [-contrast // 2, contrast // 2, 0]
    )
    return np.clip(128 + shift + noise, 0, 255).astype(np.uint8)


def coarse(mask: Mask, side: int = 14) -> np.ndarray:
    """What a network sees of a mask: a blurred map of 14 x 14."""
    small = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.5)


def frame_of(mask: Mask) -> Frame:
    return Frame.squash(mask.shape, (224, 224))


DISC = disc((200, 300), 120, 90, 60)
WIDE = np.array([40.0, 10.0, 200.0, 170.0])  # 20 pixels beside the disc on each side


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0], ids=["small", "as drawn", "large"])
def test_a_disc_is_cut_out_by_its_colours_where_the_map_is_coarse(scale: float) -> None:
    size = (int(200 * scale), int(300 * scale))
    truth = disc(size, 120 * scale, 90 * scale, 60 * scale)
    rgb, heatmap, frame = textured(truth), coarse(truth), frame_of(truth)
    found = Outlines().mask(rgb, heatmap, frame, WIDE * scale)
    assert found.shape == size
    assert mask_iou(found, truth) > 0.95
    box = filled_box(bounding(truth), size)  # no box can do better than pi / 4
    assert mask_iou(found, truth) > mask_iou(box, truth) + 0.1


def test_where_colours_say_nothing_the_map_does() -> None:
    rgb, heatmap = textured(DISC, contrast=0), coarse(DISC)
    found = Outlines(agreement=1.1).mask(rgb, heatmap, frame_of(DISC), WIDE)
    own = frame_of(DISC).map_to_original(heatmap)
    assert mask_iou(found, own >= 0.65 * own.max()) > 0.97
    assert mask_iou(Outlines().mask(rgb, heatmap, frame_of(DISC), WIDE), found) >= 0.3


def test_it_lies_in_the_box_and_its_margin() -> None:
    both = DISC | disc(DISC.shape, 250, 90, 40)
    found = Outlines().mask(textured(both), coarse(both), frame_of(both), WIDE)
    outer = filled_box(WIDE + np.array([-1, -1, 1, 1]) * (0.05 * 160 + 2), DISC.shape)
    assert not (found & ~outer).any()
    assert mask_iou(found, DISC) > 0.9


def test_a_crop_and_a_smaller_copy_are_led_back_to_the_original() -> None:
    frame = Frame.resize_and_crop(DISC.shape, 256, (224, 224))
    corners = frame.to_original(np.array([[0.0, 0.0, 224.0, 224.0]]))[0].round().astype(int)
    x0, y0, x1, y1 = corners
    truth = disc(DISC.shape, 150, 100, 50)
    heatmap = coarse(truth[y0:y1, x0:x1])
    box = np.array([85.0, 35.0, 215.0, 165.0])
    rgb = textured(truth)
    half = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for image in (rgb, half):
        assert mask_iou(Outlines().mask(image, heatmap, frame, box), truth) > 0.95


def test_equal_calls_give_equal_masks_also_in_threads() -> None:
    rgb, heatmap, frame = textured(DISC, contrast=30), coarse(DISC), frame_of(DISC)
    first = Outlines().mask(rgb, heatmap, frame, WIDE)
    cv2.setRNGSeed(7)
    with ThreadPoolExecutor(4) as pool:
        masks = list(pool.map(lambda _: Outlines().mask(rgb, heatmap, frame, WIDE), range(8)))
    assert all(np.array_equal(first, mask) for mask in masks)


def test_a_blank_map_is_answered_with_the_box() -> None:
    blank = np.zeros((14, 14), dtype=np.float32)
    found = Outlines().mask(textured(DISC), blank, frame_of(DISC), WIDE)
    assert np.array_equal(found, filled_box(WIDE, DISC.shape))


@pytest.mark.parametrize("heatmap", [np.ones((1, 1)), np.eye(2), np.ones((3, 500)), coarse(DISC)])
@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 2), (30, 3000), (61, 47)])
@pytest.mark.parametrize("plain", [True, False])
def test_odd_input_is_answered(heatmap: np.ndarray, size: tuple[int, int], plain: bool) -> None:
    height, width = size
    rgb = textured(np.zeros(size, dtype=bool))
    if plain:
        rgb[:] = 17
    frame = Frame.squash(size, (224, 224))
    corner = [width - min(1, width) / 2, height - min(1, height) / 2, width, height]
    for box in ([0, 0, width, height], [0, 0, 0, 0], corner, [0, 0, width / 2, height]):
        found = Outlines().mask(rgb, heatmap.astype(np.float32), frame, np.array(box, dtype=float))
        assert found.shape == size
        assert found.dtype == bool
