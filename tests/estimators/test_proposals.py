"""Proposals of a map: boxes known by hand, a second implementation, and what always holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbox.boxes import as_boxes, centers, clip, iou
from gradbox.errors import UsageError
from gradbox.estimators.estimator import BoxEstimator
from gradbox.estimators.proposals import RIM, Proposals, contrast, stretched
from gradbox.geometry import Frame

SIDE = 32


def bright(*boxes: tuple[int, int, int, int], side: int = SIDE) -> np.ndarray:
    heatmap = np.zeros((side, side), dtype=np.float32)
    for xmin, ymin, xmax, ymax in boxes:
        heatmap[ymin:ymax, xmin:xmax] = 1.0
    return heatmap


def proposed(heatmap: np.ndarray, original: tuple[int, int] = (SIDE, SIDE), **options: float):
    assert isinstance(Proposals(), BoxEstimator)
    frame = Frame.squash(original, heatmap.shape)
    (found,) = Proposals(**options).estimate(heatmap[None], [frame])
    return found


def test_a_bright_rectangle_comes_first_with_the_full_contrast() -> None:
    """Its mean is 1 and the rim's is 0; the image is twice as wide and high as the map."""
    found = proposed(bright((8, 4, 20, 12)), (2 * SIDE, 2 * SIDE))
    assert found.boxes[0].tolist() == [16, 8, 40, 24]
    assert found.scores[0] == 1.0
    assert found.scores[1] < 1.0


def test_each_of_several_objects_is_found_before_what_lies_between() -> None:
    objects = [(2, 2, 9, 10), (20, 3, 29, 9), (12, 18, 22, 30)]
    found = proposed(bright(*objects))
    assert {tuple(box) for box in found.boxes[:3].tolist()} == set(objects)


def test_an_object_that_another_outshines_is_found_too() -> None:
    """No threshold of the largest part alone gives the dim one."""
    heatmap = bright((2, 2, 10, 10))
    heatmap[16:28, 14:30] = 0.3
    assert [14, 16, 30, 28] in proposed(heatmap).boxes.tolist()


def test_the_contrast_is_what_counting_pixels_gives() -> None:
    rng = np.random.default_rng(0)
    heatmap = rng.random((20, 24))
    for x, y, half_w, half_h in rng.integers([4, 4, 1, 1], [20, 16, 5, 5], (30, 4)) * 1.0:
        box = np.array([[x - 2 * half_w, y - 2 * half_h, x + 2 * half_w, y + 2 * half_h]])
        box = box.clip(0, [24, 20, 24, 20])
        xmin, ymin, xmax, ymax = box[0]
        assert ((box * 2) % 2 == 0).all()
        grow = np.array([[xmin - xmax, ymin - ymax, xmax - xmin, ymax - ymin]]) * (RIM - 1) / 2
        (outer,) = clip(box + grow, 20, 24)
        # four sub-pixels a side: every edge of the rim lies between two of them
        fine = np.kron(heatmap, np.ones((4, 4)))
        rows, columns = (np.arange(4 * n) / 4 + 0.125 for n in heatmap.shape)
        inner, whole = (
            ((rows > b[1]) & (rows < b[3]))[:, None] & ((columns > b[0]) & (columns < b[2]))
            for b in (box[0], outer)
        )
        rim = whole & ~inner
        expected = fine[inner].mean() - (fine[rim].mean() if rim.any() else 0)
        assert contrast(heatmap, box)[0] == pytest.approx(expected)


def test_stretched_boxes_keep_their_middle_and_only_the_old_shape_is_wholly_alike() -> None:
    before = as_boxes([[3, 5, 9, 21], [0, 0, 2, 1]])
    boxes, likeness = stretched(before)
    np.testing.assert_allclose(centers(boxes), np.tile(centers(before), (25, 1)))
    np.testing.assert_array_equal(boxes[likeness == 1], before)
    # half as wide and twice as high: 1/2 of each
    (row,) = np.flatnonzero((boxes == [4.5, -3, 7.5, 29]).all(axis=1))
    assert likeness[row] == 0.25


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)).flatmap(
        lambda size: arrays(np.float32, size, elements=st.integers(0, 9))
    ),
    st.sampled_from([1, 7, 100]),
    st.sampled_from([0.3, 0.75]),
)
def test_boxes_differ_fall_in_score_and_lie_inside(
    heatmap: np.ndarray, count: int, overlap: float
) -> None:
    boxes, scores = proposed(heatmap, (60, 100), count=count, overlap=overlap)
    assert 1 <= len(boxes) <= count
    assert (np.diff(scores) <= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [100, 60]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    alike = iou(boxes, boxes)
    np.fill_diagonal(alike, 0)
    assert alike.max() <= overlap + 1e-9


def test_a_flat_map_says_nothing() -> None:
    for value in (0.0, 3.0):
        found = proposed(np.full((5, 5), value, dtype=np.float32), (40, 50))
        assert (found.boxes.tolist(), found.scores.tolist()) == ([[0, 0, 50, 40]], [0])


def test_no_box_at_all_is_no_number_to_ask_for() -> None:
    with pytest.raises(UsageError, match="proposals=0: a number of boxes an image, 1 or more"):
        Proposals(count=0)
    with pytest.raises(UsageError, match="overlap=2: an IoU"):
        Proposals(overlap=2)
