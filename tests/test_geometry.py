import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import center_crop, resize

from gradbox.geometry import Frame

SIZES = [(375, 500), (500, 333), (64, 64), (40, 1000), (224, 225), (257, 256), (31, 30), (29, 30)]


@pytest.mark.parametrize("original", SIZES)
@pytest.mark.parametrize(("shorter", "size"), [(256, (224, 224)), (32, (30, 21)), (21, (24, 25))])
def test_resize_and_crop_rounds_as_torchvision_does(
    original: tuple[int, int], shorter: int, size: tuple[int, int]
):
    # A second implementation: the numbers of the rows and columns that torchvision's crop keeps.
    frame = Frame.resize_and_crop(original, shorter, size)
    empty = torch.zeros(1, *original)
    assert resize(empty, [shorter], antialias=False).shape[1:] == frame.resized
    rows, columns = torch.meshgrid(*(torch.arange(1, n + 1) for n in frame.resized), indexing="ij")
    kept = center_crop(torch.stack([rows, columns]), list(size))
    inside = kept[0].nonzero()[0]  # the first pixel that is not padding
    corner = kept[:, inside[0], inside[1]] - 1 - inside
    assert tuple(corner.tolist()) == frame.crop


def test_squash_scales_each_side_on_its_own():
    # By hand: 100 rows become 50, 400 columns become 100.
    frame = Frame.squash((100, 400), (50, 100))
    assert frame.to_input(np.array([[40.0, 10.0, 80.0, 20.0]])).tolist() == [[10, 5, 20, 10]]
    assert frame.to_original(np.array([[10.0, 5.0, 20.0, 10.0]])).tolist() == [[40, 10, 80, 20]]


def test_resize_and_crop_scales_then_subtracts_the_corner():
    # By hand: 100 x 200 becomes 50 x 100, of which the middle 40 x 40 starts at row 5, column 30.
    frame = Frame.resize_and_crop((100, 200), 50, (40, 40))
    assert (frame.resized, frame.crop) == ((50, 100), (5, 30))
    assert frame.to_input(np.array([[60.0, 10.0, 140.0, 90.0]])).tolist() == [[0, 0, 40, 40]]
    assert frame.to_original(np.array([[0.0, 0.0, 40.0, 40.0]])).tolist() == [[60, 10, 140, 90]]


def test_boxes_in_the_padding_are_clipped_to_the_original():
    frame = Frame.resize_and_crop((10, 20), 10, (30, 30))
    assert frame.to_original(np.array([[0.0, 0.0, 30.0, 30.0]])).tolist() == [[0, 0, 20, 10]]


def test_a_map_is_resampled_between_pixel_centres():
    # By hand: [0, 4] over four original pixels; their centres lie at -0.25, 0.25, 0.75, 1.25
    # map pixels, and what is outside [0, 1] repeats the edge.
    frame = Frame.squash((1, 4), (1, 2))
    assert frame.map_to_original(np.array([[0.0, 4.0]])).tolist() == [[0, 1, 3, 4]]


def test_a_map_of_any_size_covers_the_input():
    # 7 x 7 or 14 x 14 cells over the same input: a constant map is constant where the crop saw.
    frame = Frame.resize_and_crop((80, 160), 40, (32, 32))
    for cells in (1, 7, 32, 64):
        over = frame.map_to_original(np.ones((cells, cells)))
        assert over.shape == (80, 160)
        # The crop shows rows 4..36 and columns 24..56 of 40 x 80, at half the original's scale.
        assert (over[8:72, 48:112] == 1).all()
        assert over.sum() == 64 * 64


@pytest.mark.parametrize(
    "frame",
    [
        Frame.squash((300, 451), (224, 224)),
        Frame.squash((90, 70), (224, 224)),
        Frame.resize_and_crop((300, 451), 256, (224, 224)),
    ],
)
def test_a_map_keeps_its_mean_and_its_centre_on_the_way_back(frame: Frame):
    y, x = np.mgrid[:224, :224] + 0.5
    blob = np.exp(-((x - 90) ** 2 + (y - 130) ** 2) / (2 * 15**2))
    over = frame.map_to_original(blob)
    scale = np.divide(frame.resized, frame.original).prod()  # input pixels an original pixel
    assert over.sum() * scale == pytest.approx(blob.sum(), rel=0.01)
    rows, columns = np.indices(over.shape) + 0.5
    centre = np.array([[(columns * over).sum(), (rows * over).sum()] * 2]) / over.sum()
    assert frame.to_input(centre)[0, :2] == pytest.approx([90, 130], abs=0.2)


def test_a_map_comes_back_over_an_image_longer_than_opencvs_short_integers():
    over = Frame.squash((2, 40_000), (8, 8)).map_to_original(np.ones((8, 8)))
    assert over.shape == (2, 40_000)
    assert (over == 1).all()


def test_a_region_fills_the_input_on_its_own():
    # By hand: 40 x 20 pixels (width x height) from (60, 10) on become 80 x 80.
    frame = Frame.of_region((100, 200), np.array([60.0, 10.0, 100.0, 30.0]), (80, 80))
    assert frame.to_input(np.array([[60.0, 10.0, 100.0, 30.0]])).tolist() == [[0, 0, 80, 80]]
    assert frame.to_original(np.array([[0.0, 0.0, 40.0, 40.0]])).tolist() == [[60, 10, 80, 20]]
    assert not frame.shows_all
    assert Frame.squash((100, 200), (80, 80)).shows_all
    assert not Frame.resize_and_crop((100, 200), 80, (80, 80)).shows_all
