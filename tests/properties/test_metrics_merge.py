"""Every metric state: merged parts equal one pass, however the images are dealt out."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbox.scores.boxes import Scores, Unit
from gradbox.scores.masks import MaskScore, MaskScores
from gradbox.scores.run_masks import summary
from gradbox.scores.wsol.protocol import MAX_BOX_ACC_V2, BoxAccuracy, PixelAveragePrecision

units = st.builds(
    Unit,
    image=st.integers(0, 2),
    label=st.sampled_from([None, "cat", "dog"]),
    iou=st.floats(0, 1),
    center_margin=st.sampled_from([-1.0, 0.0, 0.15, 0.5]),
    object_share=st.floats(0, 1),
    n_objects=st.integers(1, 5),
    recognized=st.sampled_from([None, True, False]),
    in_top5=st.sampled_from([True, False]),
)


@settings(max_examples=50)
@given(st.lists(units, max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_box_scores_merge_in_any_grouping(given_units: list[Unit], i: int, j: int) -> None:
    i, j = sorted((i, j))
    a, b, c = (Scores.of(part) for part in (given_units[:i], given_units[i:j], given_units[j:]))
    one_pass = Scores.of(given_units)
    parts = ((a + b) + c, a + (b + c), one_pass + Scores(), Scores() + one_pass)
    for merged in parts:
        assert merged.images.tolist() == one_pass.images.tolist()
        assert merged.ious.tolist() == one_pass.ious.tolist()
        assert merged.summary() == one_pass.summary()


@settings(max_examples=50)
@given(st.lists(units, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_units_does_not_show_in_the_summary(
    given_units: list[Unit], rng: random.Random
) -> None:
    shuffled = list(given_units)
    rng.shuffle(shuffled)
    assert Scores.of(shuffled).summary() == Scores.of(given_units).summary()


images = st.lists(st.integers(0, 2**32 - 1), max_size=5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), unique=True, min_size=1, max_size=5), st.integers(0, 5))
def test_mask_scores_merge_and_in_any_order_have_the_same_intervals(
    seeds: list[int], cut: int
) -> None:
    def scored(part: list[int]) -> MaskScores:
        pairs = [(seed, np.random.default_rng(seed).random((2, 4, 5)) < 0.5) for seed in part]
        return MaskScores.of(MaskScore.of(seed % 2**31, *pair) for seed, pair in pairs)

    merged = scored(seeds[:cut]) + scored(seeds[cut:])
    assert merged.values("iou").tolist() == scored(seeds).values("iou").tolist()
    assert summary(scored(seeds[cut:]) + scored(seeds[:cut])) == summary(scored(seeds))


@settings(max_examples=8, deadline=None)
@given(images, st.integers(0, 5))
def test_box_accuracies_merge(seeds: list[int], cut: int) -> None:
    def scored(part: list[int]) -> BoxAccuracy:
        state = BoxAccuracy.empty(MAX_BOX_ACC_V2, interval=0.1)
        for seed in part:
            rng = np.random.default_rng(seed)
            scoremap = np.kron(rng.random((4, 4)), np.ones((56, 56)))
            state = state.add(scoremap, np.array([[0.0, 0.0, 111.0, 111.0 + rng.integers(80)]]))
        return state

    merged, one_pass = scored(seeds[cut:]) + scored(seeds[:cut]), scored(seeds)
    assert np.array_equal(merged.hits, one_pass.hits)
    assert (merged.n, merged.maximum) == (one_pass.n, one_pass.maximum)


@settings(max_examples=15)
@given(images, st.integers(0, 5))
def test_pixel_average_precision_merges(seeds: list[int], cut: int) -> None:
    def scored(part: list[int]) -> PixelAveragePrecision:
        state = PixelAveragePrecision.empty(interval=0.1)
        for seed in part:
            scoremap, mask, ignore = np.random.default_rng(seed).random((3, 6, 6))
            state = state.add(scoremap, mask < 0.4, ignore < 0.2)
        return state

    merged, one_pass = scored(seeds[cut:]) + scored(seeds[:cut]), scored(seeds)
    assert np.array_equal(merged.inside, one_pass.inside)
    assert np.array_equal(merged.outside, one_pass.outside)
    assert merged.value == one_pass.value
