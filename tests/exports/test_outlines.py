import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbox.exports.coco import outlines


@settings(max_examples=10, deadline=None)
@given(
    rectangles=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(1, 20)),
        min_size=1,
        max_size=4,
    )
)
def test_an_outline_runs_along_the_borders_of_the_pixels(rectangles):
    # Property: every true pixel's centre lies inside a polygon, and no polygon leaves the bounds.
    mask = np.zeros((60, 60), bool)
    for x, y, width, height in rectangles:
        mask[y : y + height, x : x + width] = True
    polygons = [np.array(outline, np.float32).reshape(-1, 2) for outline in outlines(mask)]
    for y, x in np.argwhere(mask):
        centre = (float(x) + 0.5, float(y) + 0.5)
        assert max(cv2.pointPolygonTest(p, centre, measureDist=False) for p in polygons) >= 0
    corners = np.concatenate(polygons)
    rows, columns = np.nonzero(mask)
    assert corners.min(axis=0).tolist() == [columns.min(), rows.min()]
    assert corners.max(axis=0).tolist() == [columns.max() + 1, rows.max() + 1]


def test_the_outline_of_one_pixel_is_its_square():
    mask = np.zeros((3, 4), bool)
    mask[2, 3] = True  # the last pixel: its far corner is the image's
    assert outlines(mask) == [[3, 2, 3, 3, 4, 3, 4, 2]]
    assert outlines(np.zeros((3, 4), bool)) == []
