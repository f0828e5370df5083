"""Intervals and tests against theory, a plain loop, and hand-worked p-values."""

import numpy as np
import pytest

from gradbox.scores import bootstrap
from gradbox.scores.bootstrap import Interval, bags, interval, mcnemar, paired_difference


def test_interval_of_a_mean_agrees_with_the_normal_theory() -> None:
    values = np.random.default_rng(1).random(400)
    found = interval(values, resamples=4000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=half / 10)
    assert found.high == pytest.approx(values.mean() + half, abs=half / 10)


def test_interval_over_groups_agrees_with_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    groups = [f"image {i}" for i in rng.integers(0, 40, 150)]
    values = np.array([hash_of(g) for g in groups]) + 0.1 * rng.random(150)
    members = [values[np.array(groups) == name] for name in sorted(set(groups))]
    means = [
        np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))]).mean()
        for _ in range(3000)
    ]
    low, high = np.quantile(means, [0.05, 0.95])
    found = interval(values, groups, level=0.9, resamples=3000)
    assert found.low == pytest.approx(low, abs=(high - low) / 15)
    assert found.high == pytest.approx(high, abs=(high - low) / 15)


def hash_of(name: str) -> float:
    """A level shared by the units of one image, so that they are far from independent."""
    return int(name.split()[1]) * 7 % 10 / 10


def test_units_of_one_image_are_drawn_together() -> None:
    values = np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 50)
    groups = np.repeat(["a", "b", "c", "d", "e"], 50).tolist()
    together, apart = interval(values, groups), interval(values)
    # each image repeats one number: the interval is that of 5 values, not of 250
    assert together == interval(values[::50])
    assert together.high - together.low > 5 * (apart.high - apart.low)


def test_same_seed_same_interval_and_memory_bound_batches_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(3).random(100)
    whole = interval(values, resamples=500)
    assert whole == interval(values, resamples=500)
    assert whole != interval(values, resamples=500, seed=1)
    monkeypatch.setattr("gradbox.scores.bootstrap._DRAWS_AT_ONCE", 1000)
    assert interval(values, resamples=500) == whole


def test_hits_that_never_vary_have_an_interval_of_no_width() -> None:
    assert interval(np.ones(10, dtype=bool)) == Interval(1.0, 1.0, 1.0)


def test_one_image_says_nothing_about_others() -> None:
    assert interval(np.array([0.25, 0.5]), ["a", "a"]) == Interval(0.375, None, None)


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        interval(np.zeros(0))
    with pytest.raises(ValueError, match="2 values but 1 groups"):
        interval(np.zeros(2), ["a"])


def test_a_constant_advantage_is_certain_though_both_methods_vary() -> None:
    b = np.random.default_rng(4).random(50)
    found = paired_difference(b + 0.1, b)
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_paired_difference_of_hits_counts_signs() -> None:
    a, b = np.array([True, True, False, True]), np.array([False, True, True, False])
    assert paired_difference(a, b).mean == 0.25


def test_mcnemar_by_hand() -> None:
    hits_a = np.array([True] * 9 + [False] * 1 + [True] * 5)
    hits_b = np.array([False] * 9 + [True] * 1 + [True] * 5)
    # 9 against 1: two-sided 2 * (C(10, 0) + C(10, 1)) / 2 ** 10
    assert mcnemar(hits_a, hits_b) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(hits_b, hits_a) == mcnemar(hits_a, hits_b)
    assert mcnemar(hits_a, hits_a) == 1.0


def test_groups_are_drawn_by_themselves_up_to_many_and_in_bags_of_as_many_beyond() -> None:
    assert bags(bootstrap.MANY).tolist() == list(range(bootstrap.MANY))
    counts = np.bincount(bags(bootstrap.MANY + 1))
    assert len(counts) == bootstrap.BAGS
    assert counts.max() - counts.min() == 1


def test_bags_give_the_interval_of_single_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of one image alike, and images that follow each other alike: bags are of any images.

    With 4096 bags a width is off by 1 / sqrt(8192), 1.1 %, and with 2000 draws an end by 2 to 3 %
    of the half width, so that 10 % is three times as much as chance does.
    """
    rng = np.random.default_rng(5)
    groups = np.sort(rng.integers(0, 30_000, 60_000))
    values = np.sin(groups / 3000) + rng.normal(0, 1, 30_000)[groups] + rng.random(60_000)
    by_bags = interval(values, groups, resamples=2000)
    monkeypatch.setattr(bootstrap, "MANY", 10**6)
    plain = interval(values, groups, resamples=2000)
    assert (plain.low, plain.high) != (by_bags.low, by_bags.high)
    assert plain.mean == by_bags.mean
    half = (plain.high - plain.low) / 2
    assert by_bags.low == pytest.approx(plain.low, abs=half / 10)
    assert by_bags.high == pytest.approx(plain.high, abs=half / 10)
