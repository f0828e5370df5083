import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbox import boxes as bx

coordinates = st.integers(-50, 50).map(float)
box_arrays = st.integers(0, 4).flatmap(
    lambda n: arrays(np.float64, (n, 2, 2), elements=coordinates).map(
        lambda corners: np.sort(corners, axis=1).reshape(-1, 4)
    )
)


@given(box_arrays, box_arrays)
def test_iou_and_inclusive_iou_are_symmetric_and_between_0_and_1(a, b):
    for iou in (bx.iou, bx.inclusive_iou):
        values = iou(a, b)
        assert ((values >= 0) & (values <= 1)).all()
        assert (values == iou(b, a).T).all()


@given(box_arrays, box_arrays, st.integers(1, 16), st.integers(-9, 9))
def test_iou_knows_no_scale_and_no_place(a, b, scale, shift):
    # Integers stay exact, so equality is exact.
    assert (bx.iou(a, b) == bx.iou(a * scale + shift, b * scale + shift)).all()


@settings(max_examples=50)
@given(box_arrays, box_arrays)
def test_iou_equals_the_share_of_common_pixels(a, b):
    # A second implementation: paint both boxes on a grid of pixels and count.
    def painted(box: np.ndarray) -> np.ndarray:
        mask = np.zeros((100, 100), dtype=bool)
        xmin, ymin, xmax, ymax = (box + 50).astype(int)
        mask[ymin:ymax, xmin:xmax] = True
        return mask

    for i, one in enumerate(a):
        for j, other in enumerate(b):
            both, either = painted(one) & painted(other), painted(one) | painted(other)
            assert np.isclose(bx.iou(a, b)[i, j], both.sum() / max(either.sum(), 1))


@given(box_arrays, st.integers(1, 60), st.integers(1, 60))
def test_clip_and_union_do_not_lose_what_is_inside(boxes, height, width):
    clipped = bx.clip(boxes, height, width)
    assert (bx.clip(clipped, height, width) == clipped).all()
    assert (bx.area(clipped) <= bx.area(boxes)).all()
    if len(boxes):
        union = bx.union(boxes)
        assert (union[:2] <= boxes[:, :2]).all()
        assert (union[2:] >= boxes[:, 2:]).all()


@given(arrays(bool, (6, 9)).filter(np.any))
def test_nothing_true_lies_outside_the_bounding_box_and_each_side_touches_something(mask):
    xmin, ymin, xmax, ymax = bx.bounding(mask).astype(int)
    inside = mask[ymin:ymax, xmin:xmax]
    assert inside.sum() == mask.sum()
    assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
