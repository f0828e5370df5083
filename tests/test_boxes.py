import numpy as np
import pytest

from gradbox import boxes as bx


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_iou_of_two_squares_by_hand():
    # Both have area 4, they share the one pixel [1, 2) x [1, 2): 1 / (4 + 4 - 1).
    assert bx.iou(boxes((0, 0, 2, 2)), boxes((1, 1, 3, 3)))[0, 0] == pytest.approx(1 / 7)


def test_iou_is_1_with_itself_and_0_where_boxes_only_touch():
    a = boxes((0, 0, 2, 2), (2, 0, 4, 2))
    assert bx.iou(a, a).tolist() == [[1, 0], [0, 1]]


def test_iou_of_boxes_without_area_is_0_and_does_not_warn():
    point = boxes((1, 1, 1, 1))
    assert bx.iou(point, boxes((1, 1, 1, 1), (0, 0, 2, 2))).tolist() == [[0, 0]]


def test_iou_of_no_boxes_has_no_rows():
    assert bx.iou(bx.as_boxes([]), boxes((0, 0, 1, 1))).shape == (0, 1)


def test_inclusive_iou_counts_the_last_pixel():
    # Inclusive, both hold 3 x 3 pixels and share 2 x 2: 4 / (9 + 9 - 4); a point is one pixel.
    assert bx.inclusive_iou(boxes((0, 0, 2, 2)), boxes((1, 1, 3, 3)))[0, 0] == pytest.approx(4 / 14)
    assert bx.inclusive_iou(boxes((5, 5, 5, 5)), boxes((5, 5, 5, 5)))[0, 0] == 1


def test_as_boxes_copies_and_makes_float64():
    given = np.array([[0, 1, 2, 3]], dtype=np.int32)
    made = bx.as_boxes(given)
    made += 1
    assert made.dtype == np.float64
    assert given.tolist() == [[0, 1, 2, 3]]
    assert bx.as_boxes([]).shape == (0, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3, 4], r"shape \(N, 4\), not \(4,\)"),
        ([[1, 2, 3]], r"shape \(N, 4\), not \(1, 3\)"),
        ([[0, 0, float("nan"), 1]], "not a finite number"),
        ([[0, 0, float("inf"), 1]], "not a finite number"),
        ([[2, 0, 1, 1]], "xmax < xmin"),
        ([[0, 2, 1, 1]], "ymax < ymin"),
    ],
)
def test_as_boxes_refuses(values: list[object], message: str):
    with pytest.raises(ValueError, match=message):
        bx.as_boxes(values)


def test_the_whole_of_a_10_by_20_image_from_every_convention():
    # By hand: VOC counts from 1 and includes the last pixel, COCO and CUB give width and height.
    whole = [[0, 0, 20, 10]]
    assert bx.from_inclusive(boxes((1, 1, 20, 10))).tolist() == whole
    assert bx.from_inclusive(boxes((0, 0, 19, 9)), first_pixel=0).tolist() == whole
    assert bx.from_xywh(boxes((0, 0, 20, 10))).tolist() == whole


def test_from_xywh_adds_the_corner():
    assert bx.from_xywh(boxes((3, 4, 10, 20))).tolist() == [[3, 4, 13, 24]]


def test_clip_keeps_the_part_inside_and_not_its_argument():
    outside = boxes((-5, -5, 5, 5), (15, 5, 30, 30), (40, 40, 50, 50))
    kept = outside.copy()
    assert bx.clip(outside, height=10, width=20).tolist() == [
        [0, 0, 5, 5],
        [15, 5, 20, 10],
        [20, 10, 20, 10],
    ]
    assert (outside == kept).all()


def test_area_largest_and_union_by_hand():
    three = boxes((0, 0, 2, 3), (1, 1, 4, 3), (9, 9, 10, 10))
    assert bx.area(three).tolist() == [6, 6, 1]
    assert bx.largest(three) == 0  # the first of equals
    assert bx.union(three).tolist() == [0, 0, 10, 10]
    with pytest.raises(ValueError, match="no boxes"):
        bx.union(bx.as_boxes([]))


def test_centered_is_in_the_middle_with_the_shares_of_height_and_width():
    assert bx.centered(10, 20, (0.5, 0.1)).tolist() == [9, 2.5, 11, 7.5]


def test_bounding_ends_one_past_the_last_true_pixel():
    mask = np.zeros((5, 7), dtype=bool)
    mask[1, 2] = mask[3, 5] = True
    assert bx.bounding(mask).tolist() == [2, 1, 6, 4]
    with pytest.raises(ValueError, match="no bounding box"):
        bx.bounding(np.zeros((2, 2), dtype=bool))


def test_centers_are_x_then_y():
    assert bx.centers(boxes((0, 0, 4, 2))).tolist() == [[2, 1]]
