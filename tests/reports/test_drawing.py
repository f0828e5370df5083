from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from gradbox.boxes import as_boxes
from gradbox.errors import UsageError
from gradbox.geometry import Frame
from gradbox.localization import Localization, Region
from gradbox.reports.drawing import picture, save_picture

RED, GREEN, GREY = (232, 17, 45), (18, 179, 71), (128, 128, 128)
X, Y = 12, 32
"""Where the first panel begins: a margin of 12 pixels, and a caption of 20 above it."""


def localization(boxes, size=(120, 240), **details):
    boxes = as_boxes(boxes)
    n = len(boxes)
    return Localization(
        image_id="a.jpg",
        size=size,
        boxes=boxes,
        labels=(7,) * n,
        label_scores=(0.5,) * n,
        scores=(0.25,) * n,
        **details,
    )


def photo(height=120, width=240):
    return np.full((height, width, 3), 128, np.uint8)


def panel(sheet, column=0):
    """A panel of a photo that is twice as wide as high: 480 x 240, and a margin of 12 between."""
    left = X + column * 492
    return sheet[Y : Y + 240, left : left + 480]


def test_boxes_stand_where_they_were_found():
    # By hand: the 240 x 120 photo is doubled, so x = 50 stands at 100, y = 75 at 150.
    shown = panel(
        picture(photo(), localization([[50, 25, 100, 75]]), truth=as_boxes([[150, 5, 200, 55]]))
    )
    for y, x in [(100, 100), (100, 200), (150, 150)]:
        assert tuple(shown[y, x]) == RED
    for y, x in [(60, 300), (60, 400), (110, 350)]:
        assert tuple(shown[y, x]) == GREEN
    for y, x in [(100, 150), (60, 350), (200, 50)]:
        assert tuple(shown[y, x]) == GREY


def test_boxes_do_not_depend_on_the_resolution_of_the_photo():
    # Property: a draft of the photo gives the same picture where the photo has no detail.
    found = localization([[50, 25, 100, 75]])
    np.testing.assert_array_equal(picture(photo(), found), picture(photo(60, 120), found))


def test_labels_and_lines_stay_inside_the_panel():
    # A box as large as the photo has no room for its label above; the margin has to stay white.
    names = ("a name that is much too long for it", "käfer")
    found = replace(localization([[0, 0, 240, 120], [200, 0, 240, 10]]), names=names)
    sheet = picture(photo(), found)
    inside = np.zeros(sheet.shape[:2], bool)
    inside[Y : Y + 240, X : X + 480] = True
    inside[:Y] = True  # the caption
    assert (sheet[~inside] == 255).all()
    assert tuple(panel(sheet)[120, 1]) == RED  # the line at the edge is there


def test_several_boxes_have_colours_of_their_own():
    shown = panel(picture(photo(), localization([[10, 30, 60, 110], [120, 30, 200, 110]])))
    assert tuple(shown[140, 20]) == RED
    assert tuple(shown[140, 240]) not in (RED, GREY)


def test_a_heatmap_comes_back_through_the_frame():
    # By hand: a 120 x 240 image whose middle 120 x 120 is the input; the input's corner (0, 0) is
    # x = 60 of the original and 120 of the panel, and left of it nothing was seen.
    frame = Frame.resize_and_crop((120, 240), 120, (120, 120))
    heatmap = np.zeros((12, 12))
    heatmap[6:, :6] = 1.0
    found = localization([[50, 25, 100, 75]], heatmap=heatmap)
    shown = panel(picture(photo(), found, frame=frame), column=1).astype(int)
    glow = shown[..., 0] - shown[..., 2]  # inferno's upper half is red to yellow
    assert (glow[140:, 130:220] > 50).all()
    assert (glow[:, :118] <= 0).all()
    assert (glow[:100] <= 0).all()
    assert (glow[:, 260:] <= 0).all()


def test_an_empty_heatmap_does_not_glow():
    found = localization([[0, 0, 240, 120]], heatmap=np.zeros((7, 7)))
    shown = panel(picture(photo(), found), column=1).astype(int)
    assert (shown.max(axis=2) - shown.min(axis=2) <= 4).all()


def test_the_photo_is_pale_outside_the_mask():
    mask = np.zeros((120, 240), bool)
    mask[20:100, 40:120] = True
    shown = panel(picture(photo(), localization([[40, 20, 120, 100]], mask=mask)), column=1)
    assert (shown[50:190, 90:230] == 128).all()
    assert (shown[:, 250:] > 200).all()


def regions(n, label=7):
    mask = np.zeros((224, 224), bool)
    mask[50:150, 60:160] = True
    box = np.array([60.0, 30.0, 160.0, 80.0])
    return tuple(
        Region(box=box, score=1.0, label=label, chosen=i < 2, heatmap=mask.astype(float), mask=mask)
        for i in range(n)
    )


def test_regions_stand_below_in_rows_of_maps_and_blobs():
    # By hand: 4 regions in rows of 3 are two rows of maps and two of blobs, each panel 480 x 240
    # at three columns, under a caption of 20 and over a margin of 12; other labels are left out.
    found = localization([[60, 30, 160, 80]], regions=regions(4) + regions(1, label=8))
    sheet = picture(photo(), found, region_columns=3)
    assert sheet.shape == (12 + 5 * (20 + 240 + 12), 12 + 3 * (480 + 12), 3)


def test_without_a_mask_the_union_of_the_chosen_regions_is_shown():
    found = localization([[60, 30, 160, 80]], regions=regions(3))
    shown = panel(picture(photo(), found), column=1)
    assert tuple(shown[100, 240]) == GREY
    assert (shown[:40] > 200).all()


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 900),
    width=st.integers(1, 900),
    shares=arrays.arrays(float, (3, 4), elements=st.floats(0, 1)),
)
def test_any_size_gives_a_bounded_picture_and_leaves_its_arguments(height, width, shares):
    # Property: longer side 480, three panels at most beside each other; nothing is changed.
    corners = np.sort(shares.reshape(3, 2, 2), axis=1).reshape(3, 4)
    boxes = corners * np.array([width, height, width, height])
    mask = np.arange(height * width).reshape(height, width) % 3 > 0
    found = localization(boxes, (height, width), heatmap=np.ones((14, 14)), mask=mask)
    rgb, truth = photo(height, width), as_boxes(boxes[:1])
    before = rgb.copy(), found.boxes.copy(), truth.copy(), mask.copy()
    sheet = picture(rgb, found, truth=truth)
    assert sheet.shape[0] <= 12 + 20 + 480 + 12
    assert sheet.shape[1] <= 12 + 3 * (480 + 12)
    for was, is_ in zip(before, (rgb, found.boxes, truth, mask), strict=True):
        np.testing.assert_array_equal(was, is_)


@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000)])
def test_a_line_of_pixels_is_widened(size):
    # By hand: 480 long and a sixth of it, 80, wide, in margins of 12 and under 20 of caption.
    sheet = picture(photo(*size), localization([[0, 0, 1, 1]], size))
    assert sorted((sheet.shape[0] - 44, sheet.shape[1] - 24)) == [80, 480]


def test_no_box_gives_the_photo():
    shown = panel(picture(photo(), localization(np.zeros((0, 4)))))
    assert (shown == 128).all()


def test_names_are_one_a_box():
    with pytest.raises(ValueError, match="2 names, 1 boxes"):
        replace(localization([[0, 0, 9, 9]]), names=("a", "b"))


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "PNG")]
)
def test_the_suffix_says_the_format(tmp_path, name, kind):
    save_picture(tmp_path / "deep" / name, photo())
    with Image.open(tmp_path / "deep" / name) as image:
        assert (image.format, image.size) == (kind, (240, 120))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [name]


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a\.gif: a picture ends in \.jpg"):
        save_picture(tmp_path / "a.gif", photo())
    assert not list(tmp_path.iterdir())
