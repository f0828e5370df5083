import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gradbox.dam import blobs
from gradbox.dam.blobs import Smoothing, above_percentile, blob, smooth, union
from gradbox.errors import UsageError
from gradbox.parts import parts

EIGHT = np.ones((3, 3))
"""Pixels that touch at a corner are connected."""


def masks(side: int = 12) -> st.SearchStrategy[np.ndarray]:
    """Noise masks of several densities, some of them empty or full."""
    return st.builds(
        lambda seed, share: np.random.default_rng(seed).random((side, side + 3)) < share,
        st.integers(0, 10_000),
        st.sampled_from([0.0, 0.1, 0.4, 0.7, 1.0]),
    )


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_the_percentile_is_taken_over_the_positive_pixels_or_all():
    # By hand: the 80th percentile of 1..10 is 8.2; with 10 zeros and -1s more, of 20, it is 6.2.
    heatmap = np.array([list(range(1, 11)), [0, -1] * 5], dtype=float)
    assert heatmap[above_percentile(heatmap, 80)].tolist() == [9, 10]
    assert heatmap[above_percentile(heatmap, 80, "all")].tolist() == [7, 8, 9, 10]


def test_pixels_that_are_not_positive_are_never_above():
    # The 20th percentile of all pixels is negative here.
    heatmap = np.array([[-3.0, -2.0, -1.0, 0.0, 2.0]])
    assert heatmap[above_percentile(heatmap, 20, "all")].tolist() == [2]


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_a_positive_pixel_has_an_empty_blob(value: float):
    assert not blob(np.full((9, 9), value)).any()


def test_of_equal_positive_pixels_all_are_kept():
    heatmap = np.zeros((3, 3))
    heatmap[1] = 5.0
    assert above_percentile(heatmap, 80).tolist() == (heatmap > 0).tolist()


@pytest.mark.parametrize(
    ("side", "gap", "joined"), [(224, 20, True), (224, 40, False), (448, 40, True)]
)
def test_parts_are_joined_over_gaps_relative_to_the_input(side: int, gap: int, joined: bool):
    # 15 rounds of a 3 x 3 element reach 15 pixels from either side at 224, 30 at 448.
    apart = np.zeros((side, side), dtype=bool)
    apart[90:110, 60:80] = apart[90:110, 80 + gap : 100 + gap] = True
    closed = smooth(apart, Smoothing(components="all"))
    assert len(parts(closed)) == (1 if joined else 2)
    assert smooth(apart, Smoothing()).sum() == (20 * (40 + gap) if joined else 400)


def test_the_edge_of_the_image_draws_nothing_to_it():
    near = np.zeros((224, 224), dtype=bool)
    near[5:50, 5:50] = True
    assert (smooth(near, Smoothing()) == near).all()


@given(masks())
@settings(max_examples=30, deadline=None)
def test_dilation_and_erosion_equal_scipys(mask: np.ndarray):
    # 33 and 17 rounds at 224 are 2 and 1 at a mean side of 13.5.
    padded = np.pad(mask, 2)
    expected = ndimage.binary_dilation(padded, EIGHT, iterations=2)
    expected = ndimage.binary_erosion(expected, EIGHT, border_value=1)[2:-2, 2:-2]
    smoothing = Smoothing(dilations=33, erosions=17, components="all")
    assert (smooth(mask, smoothing) == expected).all()


@given(masks())
@settings(max_examples=30, deadline=None)
def test_parts_and_holes_equal_scipys(mask: np.ndarray):
    numbered, count = ndimage.label(mask, EIGHT)
    found = parts(mask)
    assert len(found) == count
    assert (union(found) == mask).all()
    areas = found.sum(axis=(1, 2))
    assert sorted(areas, reverse=True) == areas.tolist()
    for part in found:
        assert len(np.unique(numbered[part])) == 1
        assert (blobs.without_holes(part) == ndimage.binary_fill_holes(part)).all()


@given(st.integers(0, 10_000), st.floats(0.5, 3), st.sampled_from([0, 4, 15]))
@settings(max_examples=20, deadline=None)
def test_a_blob_is_connected_without_islands_or_holes(seed: int, sigma: float, repeats: int):
    noise = np.random.default_rng(seed).normal(size=(70, 60))
    heatmap = ndimage.gaussian_filter(noise, sigma)
    found = blob(heatmap, smoothing=Smoothing(dilations=repeats, erosions=repeats))
    assert ndimage.label(found, EIGHT)[1] == 1
    assert (ndimage.binary_fill_holes(found) == found).all()


def test_a_hole_is_filled_and_an_island_left_out_unless_all_is_asked_for():
    ring = mask_of("###..", "#.#..", "###.#")
    without = mask_of("###..", "###..", "###..")
    as_it_is = {"dilations": 0, "erosions": 0}
    assert (smooth(ring, Smoothing(**as_it_is)) == without).all()
    assert (smooth(ring, Smoothing(**as_it_is, components="all")) == ring).all()


def test_no_masks_have_an_empty_union():
    assert union(np.zeros((0, 2, 3), dtype=bool)).tolist() == [[False] * 3] * 2


@pytest.mark.parametrize(
    "wrong", [{"element": 4}, {"element": 0}, {"dilations": -1}, {"erosions": -1}]
)
def test_smoothing_out_of_range_is_refused(wrong: dict[str, int]):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Smoothing(**wrong)
