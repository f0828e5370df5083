"""Splits and limits: properties that must hold for any data set, shares and seed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbox.datasets import limit, parse_split, split
from gradbox.errors import UsageError
from gradbox.localization import Sample

whole_shares = st.lists(st.integers(1, 50), min_size=1, max_size=5).map(
    lambda weights: [w / sum(weights) for w in weights]
)
seeds = st.integers(0, 2**32)


def samples(n):
    return [Sample(image_id=f"{i:04d}.jpg", source="") for i in range(n)]


def ids(chosen):
    return [s.image_id for s in chosen]


@settings(max_examples=60)
@given(n=st.integers(0, 60), shares=whole_shares, seed=seeds)
def test_parts_are_disjoint_cover_everything_and_keep_the_order(n, shares, seed):
    everything = samples(n)
    parts = [ids(split(everything, shares, part, seed)) for part in range(1, len(shares) + 1)]
    assert sorted(itertools.chain(*parts)) == ids(everything)
    assert all(part == sorted(part) for part in parts)
    assert all(abs(len(p) - n * share) < 1 for p, share in zip(parts, shares, strict=True))


@settings(max_examples=30)
@given(n=st.integers(1, 60), seed=seeds, order=st.randoms(use_true_random=False))
def test_a_part_depends_on_the_ids_and_the_seed_and_not_on_the_order(n, seed, order):
    everything = samples(n)
    mixed = order.sample(everything, n)
    part = split(mixed, [0.5, 0.5], 2, seed)
    assert sorted(ids(part)) == ids(split(everything, [0.5, 0.5], 2, seed))
    assert ids(part) == [s.image_id for s in mixed if s.image_id in ids(part)]
    assert sorted(ids(limit(mixed, 7, seed))) == ids(limit(everything, 7, seed))


def test_sizes_by_largest_remainder_by_hand():
    # 10 images: 7.5, 1.25, 1.25 -> 7, 1, 1 and the missing one goes to the largest remainder, 0.5.
    assert [len(split(samples(10), (0.75, 0.125, 0.125), p, 0)) for p in (1, 2, 3)] == [8, 1, 1]


def test_what_is_missing_to_one_is_used_by_no_part():
    first, second = (ids(split(samples(10), (0.3, 0.2), part, 0)) for part in (1, 2))
    assert (len(first), len(second), len({*first, *second})) == (3, 2, 5)


def test_the_split_is_the_same_on_every_machine():
    # numpy's PCG64 permutation of 0..5 for seed 0, written down; a change would move published
    # splits without notice.
    assert np.random.default_rng(0).permutation(6).tolist() == [3, 2, 5, 4, 0, 1]
    assert ids(split(samples(6), (0.5, 0.5), 1, 0)) == ["0002.jpg", "0003.jpg", "0005.jpg"]


def test_another_seed_gives_another_split():
    first, second = (ids(split(samples(40), (0.5, 0.5), 1, seed)) for seed in (0, 1))
    assert first != second


def test_limit_takes_n_or_all():
    assert len(limit(samples(10), 3, 0)) == 3
    assert ids(limit(samples(10), 11, 0)) == ids(samples(10))


@pytest.mark.parametrize("text", ["", "half", "0.5/", "0/1", "-0.1/0.5", "0.6/0.5", "nan", "1/nan"])
def test_refuses_shares_that_are_not_positive_or_exceed_one(text):
    with pytest.raises(UsageError, match=r"0\.5/0\.5"):
        parse_split(text)


def test_shares_may_exceed_one_by_rounding_only():
    assert parse_split("0.1/0.2/0.7000000000001") == (0.1, 0.2, 0.7000000000001)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: split(samples(3), (0.5, 0.5), 0, 0), "part 0: the split has the parts 1 to 2"),
        (lambda: split(samples(3), (0.5, 0.5), 3, 0), "part 3: the split has the parts 1 to 2"),
        (lambda: split(samples(3), (0.5, 0.5), 1, -1), "seed -1"),
        (lambda: limit(samples(3), 0, 0), "limit 0"),
    ],
)
def test_refuses_a_part_seed_or_limit_out_of_range(call, reason):
    with pytest.raises(UsageError, match=reason):
        call()
