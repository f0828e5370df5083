"""A box for each object: by hand, against scikit-image's watershed, and by properties."""

import cv2
import numpy as np
import pytest
from skimage.segmentation import watershed

from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.objects import Objects, flooded
from gradbox.geometry import Frame
from gradbox.specs import build


def line(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


FRAME = Frame.squash((10, 80), (1, 8))


def boxes_of(objects: Objects, heatmap: np.ndarray) -> list[list[float]]:
    (found,) = objects.estimate(heatmap[None], [FRAME])
    return found.boxes[:, [0, 2]].tolist()


def test_two_peaks_are_two_objects_where_the_way_between_them_is_deep() -> None:
    # The lower peak is 0.8, the saddle 0.7: below 0.9 x 0.8, not below 0.6 x 0.8.
    heatmap = line(0.0, 0.9, 1.0, 0.7, 0.8, 0.75, 0.1, 0.0)
    assert boxes_of(Objects(split=0.9), heatmap) == [[10, 40], [40, 60]]
    assert boxes_of(Objects(split=0.6), heatmap) == [[10, 60]]
    assert boxes_of(Objects(split=0), heatmap) == [[10, 60]]
    apart = line(0.0, 0.9, 1.0, 0.3, 0.8, 0.7, 0.1, 0.0)  # 0.3 is below the share of 0.4
    assert boxes_of(Objects(split=0), apart) == [[10, 30], [40, 60]]


def test_the_order_is_by_area_times_the_fourth_power_of_the_peak() -> None:
    heatmap = line(1.0, 0.0, 0.9, 0.9, 0.0, 0.5, 0.5, 0.5)
    # 2 x 0.9^4 = 1.31, before 1, before 3 x 0.5^4 = 0.19, whose peak is below `peak`.
    assert boxes_of(Objects(), heatmap) == [[20, 40], [0, 10]]
    assert boxes_of(Objects(peak=0), heatmap) == [[20, 40], [0, 10], [50, 80]]
    assert boxes_of(Objects(peak=0, min_area=0.15), heatmap) == [[20, 40], [50, 80]]


def test_the_first_stays_whatever_its_size() -> None:
    heatmap = line(1.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0)
    assert boxes_of(Objects(peak=0, min_area=0.2), heatmap) == [[0, 10], [30, 60]]


def test_a_map_of_zeros_is_the_whole_image_with_score_0() -> None:
    (found,) = Objects().estimate(np.zeros((1, 1, 8), dtype=np.float32), [FRAME])
    assert found.boxes.tolist() == [[0, 0, 80, 10]]
    assert found.scores.tolist() == [0]


@pytest.mark.parametrize("seed", range(6))
def test_unmerged_basins_are_those_of_scikit_images_watershed(seed: int) -> None:
    """Each regional maximum has the pixels that lead up to it; borders may differ."""
    noise = np.random.default_rng(seed).random((40, 50))
    values = cv2.GaussianBlur(noise, (0, 0), 4.0)
    least = float(np.quantile(values, 0.4))
    ((basins, peaks),) = flooded(values, [least], 2.0)
    theirs = watershed(-values, connectivity=2, mask=values >= least)
    assert ((basins >= 0) == (theirs > 0)).all()
    assert len(peaks) == len(np.unique(theirs[theirs > 0]))
    for basin, peak in enumerate(peaks):
        at = tuple(np.argwhere(values == peak)[0])
        same = (basins == basin) == (theirs == theirs[at])
        assert same.mean() > 0.98


@pytest.mark.parametrize("seed", range(8))
def test_objects_share_no_pixel_and_together_are_the_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heatmap = rng.random((20, 30)).astype(np.float32)
    masks = Objects(split=rng.random(), peak=0.0, min_area=0.0).masks(heatmap)
    assert (masks.sum(axis=0) == (heatmap >= np.float32(0.4) * heatmap.max())).all()
    peaks = np.array([heatmap[mask].max() for mask in masks]) / heatmap.max()
    assert (np.diff(masks.sum(axis=(1, 2)) * peaks**4) <= 1e-4).all()
    fewer = Objects(split=0.0, peak=0.0, min_area=0.0).masks(heatmap)
    assert len(fewer) <= len(masks)


def test_a_large_map_gives_the_boxes_of_a_small_one() -> None:
    small = np.zeros((1, 32, 32), dtype=np.float32)
    small[0, 4:12, 4:12], small[0, 18:30, 16:28] = 1.0, 0.9
    frame = Frame.squash((320, 320), (320, 320))
    (a,) = Objects().estimate(small, [frame])
    (b,) = Objects().estimate(np.kron(small, np.ones((1, 10, 10), np.float32)), [frame])
    np.testing.assert_allclose(a.boxes, b.boxes, atol=5)
    assert a.boxes.tolist() == [[160, 180, 280, 300], [40, 40, 120, 120]]


@pytest.mark.parametrize(
    ("text", "message"),
    [("objects(share=1)", "share=1.0"), ("objects(split=2)", "split=2.0: a share, 0 to 1")],
)
def test_options_out_of_range_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(text, ESTIMATORS)
