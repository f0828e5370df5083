"""What stays of the boxes of an image and its tiles, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gradbox.boxes import as_boxes
from gradbox.localization import Localization
from gradbox.tiles.merging import InTile, cut_off, merged

SIZE = (100, 200)
LEFT, RIGHT = np.array([0.0, 0, 100, 100]), np.array([80.0, 0, 180, 100])


def found(*boxes: tuple[object, ...]) -> Localization:
    """Boxes, each with its score, the probability of its class, and the class if it is not 3."""
    rows = [(*row, 3)[:4] for row in boxes]
    return Localization(
        image_id="a",
        size=SIZE,
        boxes=as_boxes([row[0] for row in rows]),
        scores=tuple(row[1] for row in rows),
        label_scores=tuple(row[2] for row in rows),
        labels=tuple(row[3] for row in rows),
        peaks=tuple((float(row[0][0]), float(row[0][1])) for row in rows),
        top_labels=(3, 1),
        heatmap=np.ones((2, 2)),
        mask=np.ones(SIZE, dtype=bool),
    )


def boxes_of(one: Localization) -> list[list[float]]:
    return one.boxes.tolist()


def test_only_inner_borders_of_a_tile_cut() -> None:
    at = [[0, 0, 30, 30], [70, 0, 100, 30], [70, 20, 98.5, 50], [70, 20, 97, 50], [0, 70, 9, 100]]
    # 2 % of the tile's side of 100 count as touching: 98 and more; the image ends at 0 and below.
    assert cut_off(as_boxes(at), np.tile(LEFT, (5, 1)), SIZE).tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_box_that_is_cut_off_goes_where_a_neighbour_has_it_whole() -> None:
    whole = found(([150, 50, 160, 60], 0.2, 0.9))
    cut = InTile(LEFT, found(([85, 10, 100, 40], 0.9, 0.9)))
    assert [85, 10, 100, 40] in boxes_of(merged(whole, [cut]))
    entire = InTile(RIGHT, found(([85, 10, 125, 40], 0.6, 0.9)))
    assert boxes_of(merged(whole, [cut, entire])) == [[85, 10, 125, 40], [150, 50, 160, 60]]
    # A box of more than this object has it, too, but does not show where the object ends.
    crowd = InTile(RIGHT, found(([81, 2, 178, 98], 0.6, 0.9)))
    assert [85, 10, 100, 40] in boxes_of(merged(whole, [cut, crowd]))


def test_of_two_boxes_on_one_object_the_surer_one_stays() -> None:
    coarse, fine = [20, 20, 60, 60], [22, 22, 60, 60]
    for score, stays in ((0.4, coarse), (0.6, fine)):
        one = merged(found((coarse, 0.5, 0.8)), [InTile(LEFT, found((fine, score, 0.8)))])
        assert boxes_of(one) == [stays]
        assert one.peaks == ((float(stays[0]), float(stays[1])),)
        assert (one.mask is None) == (stays is fine)
        assert one.heatmap is not None


def test_the_main_box_is_that_with_the_highest_score() -> None:
    whole = found(([0, 0, 20, 20], 0.3, 0.9), ([40, 40, 60, 60], 0.2, 0.9))
    one = merged(whole, [InTile(RIGHT, found(([120, 50, 140, 70], 0.9, 0.9)))])
    assert boxes_of(one) == [[120, 50, 140, 70], [0, 0, 20, 20], [40, 40, 60, 60]]
    assert one.scores == pytest.approx((0.81, 0.27, 0.18))


def test_classes_stand_together_and_do_not_hide_each_other() -> None:
    same = [20, 20, 60, 60]
    whole = found((same, 0.3, 0.5, 3), (same, 0.2, 0.4, 7))
    seen = found(([120, 20, 150, 60], 0.1, 0.5, 3), ([121, 20, 150, 60], 0.9, 0.4, 7))
    one = merged(whole, [InTile(RIGHT, seen)])
    assert one.labels == (3, 3, 7, 7)
    assert one.scores == pytest.approx((0.15, 0.05, 0.36, 0.08))


def test_a_box_of_score_0_says_nothing() -> None:
    blank = InTile(LEFT, found(([0, 0, 200, 100], 0.0, 0.5)))
    assert boxes_of(merged(found(([0, 0, 20, 20], 0.3, 0.5)), [blank])) == [[0, 0, 20, 20]]
    nothing = merged(found(([0, 0, 200, 100], 0.0, 0.5)), [blank])
    assert boxes_of(nothing) == [[0, 0, 200, 100]]
    assert nothing.mask is not None


def test_a_tile_without_the_class_comes_out_low() -> None:
    whole = found(([0, 0, 200, 100], 0.4, 0.4))
    tiles = [
        InTile(LEFT, found(([10, 10, 30, 30], 0.5, 0.8))),
        InTile(RIGHT, found(([120, 10, 150, 30], 0.9, 0.1))),
    ]
    one = merged(whole, tiles)
    assert boxes_of(one) == [[10, 10, 30, 30], [0, 0, 200, 100], [120, 10, 150, 30]]
    assert one.scores == pytest.approx((0.5 * 0.8, 0.4 * 0.4, 0.9 * 0.1))
    assert one.label_scores == (0.8, 0.4, 0.1)


def test_shares_of_maps_stay_with_their_boxes() -> None:
    """A method whose scores are something else has them; the second box of three is the best."""
    whole = replace(found(([0, 0, 30, 30], 0.5, 0.9)), map_shares=(0.1,))
    rest = found(([100, 10, 130, 40], 0.9, 0.9), ([140, 50, 160, 70], 0.2, 0.9))
    one = merged(whole, [InTile(RIGHT, replace(rest, map_shares=(0.2, 0.3)))])
    assert one.map_shares == (0.2, 0.1, 0.3)
