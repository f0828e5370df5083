"""What scores are worth: by hand, by plain loops, by scikit-learn and scipy, by properties."""

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import Scores, Unit
from gradbox.scores.calibration import (
    BINS,
    bin_numbers,
    brier,
    calibration,
    expected_calibration_error,
    mean_ranks,
    pearson,
    risks,
    spearman,
)


def drawn(n: int, *, tied: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and hits that happen as often as the square of the score."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, n) / 8 if tied else rng.random(n)
    return scores, rng.random(n) < scores**2


def unit(number: int, score: float | None, iou: float) -> Unit:
    return Unit(
        image=number,
        label=None,
        iou=iou,
        center_margin=0.0,
        object_share=0.5,
        n_objects=1,
        score=score,
    )


def units(scores: np.ndarray, hits: np.ndarray) -> Scores:
    rows = enumerate(zip(scores.tolist(), hits.tolist(), strict=True))
    return Scores.of(unit(i, score, 0.9 if hit else 0.2) for i, (score, hit) in rows)


def test_by_hand() -> None:
    """Four boxes in two bins.

    The lower bin: scores 0.1 and 0.3, mean 0.2, no hit; the upper one: 0.6 and 1.0, mean 0.8, one
    hit. ECE: (2 * 0.2 + 2 * 0.3) / 4. Brier: (0.01 + 0.09 + 0.36 + 0) / 4. The best box is a hit,
    the three others are misses: risks 0, 1/2, 2/3, 3/4.
    """
    scores, hits = np.array([0.3, 1.0, 0.1, 0.6]), np.array([False, True, False, False])
    assert bin_numbers(scores, 2).tolist() == [0, 1, 0, 1]
    assert expected_calibration_error(scores, hits, 2) == pytest.approx(0.25)
    assert brier(scores, hits) == pytest.approx(0.115)
    assert risks(scores, hits) == pytest.approx([0, 1 / 2, 2 / 3, 3 / 4])


def test_equal_scores_stay_together_and_share_their_misses() -> None:
    """By hand: of 0.9 twice, one hit, each counts half a miss, whichever comes first."""
    scores = np.array([0.9, 0.9, 0.2])
    for hits in ([True, False, False], [False, True, False]):
        assert risks(scores, np.array(hits)) == pytest.approx([1 / 2, 1 / 2, 2 / 3])
    assert mean_ranks(scores).tolist() == [2.5, 2.5, 1.0]
    assert len(set(bin_numbers(np.full(50, 0.4)).tolist())) == 1


def test_bins_hold_equally_many() -> None:
    for n in (15, 100, 1003):
        counts = np.bincount(bin_numbers(drawn(n)[0]), minlength=BINS)
        assert len(counts) == BINS
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("tied", [False, True])
def test_the_error_is_that_of_a_plain_loop_over_sorted_scores(tied: bool) -> None:
    """Sorted and cut by mean rank (scipy's); without ties the bins are those of scikit-learn."""
    scores, hits = drawn(600, tied=tied)
    total = 0.0
    ranks = stats.rankdata(scores)
    for number in range(BINS):
        low, high = number * len(scores) / BINS + 0.5, (number + 1) * len(scores) / BINS + 0.5
        members = [i for i, rank in enumerate(ranks) if low <= rank < high]
        if members:
            gap = abs(np.mean(hits[members]) - np.mean(scores[members]))
            total += len(members) / len(scores) * gap
    found = expected_calibration_error(scores, hits)
    assert found == pytest.approx(total)
    if not tied:
        shares, means = calibration_curve(hits, scores, n_bins=BINS, strategy="quantile")
        assert found == pytest.approx(np.abs(shares - means).mean(), abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_brier_and_correlations_are_those_of_other_libraries(tied: bool) -> None:
    scores, hits = drawn(300, tied=tied)
    ious = np.random.default_rng(1).random(300) * scores
    assert brier(scores, hits) == pytest.approx(brier_score_loss(hits, scores))
    assert pearson(scores, ious) == pytest.approx(stats.pearsonr(scores, ious).statistic)
    assert spearman(scores, ious) == pytest.approx(stats.spearmanr(scores, ious).statistic)


def test_the_risk_of_equal_scores_is_the_mean_over_random_orders() -> None:
    scores, hits = drawn(40, tied=True)
    rng, total = np.random.default_rng(2), np.zeros(40)
    for _ in range(4000):
        order = sorted(range(40), key=lambda i: (-scores[i], rng.random()))
        total += np.cumsum(~hits[order]) / np.arange(1, 41)
    assert risks(scores, hits) == pytest.approx(total / 4000, abs=0.03)


def test_true_probabilities_have_a_small_error_and_others_what_they_miss() -> None:
    """Hits as often as the score says; scores 0.2 too high are off by just that."""
    rng = np.random.default_rng(3)
    truth = 0.8 * rng.random(60_000)
    hits = rng.random(len(truth)) < truth
    assert expected_calibration_error(truth, hits) < 0.01
    assert expected_calibration_error(truth + 0.2, hits) == pytest.approx(0.2, abs=0.01)


def test_a_score_that_knows_all_ranks_best_and_one_that_knows_nothing_as_bad_as_chance() -> None:
    _, hits = drawn(500)
    misses = float((~hits).mean())
    ideal = calibration(units(hits.astype(float), hits), is_calibrated=True)
    blind = calibration(units(np.full(500, 0.5), hits), is_calibrated=True)
    assert ideal["aurc"] < blind["aurc"] == pytest.approx(misses)
    assert (ideal["ece"], ideal["brier"], ideal["pearson"]) == (0, 0, pytest.approx(1))
    assert blind["pearson"] is blind["spearman"] is None
    assert blind["ece"] == pytest.approx(abs(0.5 - hits.mean()))


def test_a_unit_without_a_box_lowers_the_coverage_alone() -> None:
    scores, hits = drawn(90)
    whole = units(scores, hits)
    fewer = whole + Scores.of(unit(1000 + i, None, 0.0) for i in range(10))
    a, b = (calibration(one, is_calibrated=True) for one in (whole, fewer))
    assert (a["coverage"], b["coverage"]) == (1.0, 0.9)
    assert a["aurc"] == b["aurc"]
    assert [risk for _, risk in a["risk_coverage"]] == [risk for _, risk in b["risk_coverage"]]
    assert (a["risk_coverage"][-1][0], b["risk_coverage"][-1][0]) == (1.0, 0.9)
    assert a["risk_coverage"][-1][1] == pytest.approx(1 - hits.mean())


def test_the_order_of_the_units_does_not_show_in_any_digit() -> None:
    scores, hits = drawn(200, tied=True)
    order = np.random.default_rng(4).permutation(200)
    whole = units(scores, hits)
    rows = [(i, scores[i], 0.9 if hits[i] else 0.2) for i in order.tolist()]
    mixed = Scores.of(unit(*row) for row in rows)
    assert calibration(whole, is_calibrated=True) == calibration(mixed, is_calibrated=True)


def test_the_bins_say_how_sure_they_are() -> None:
    """Each has the interval of its hits, over images; of bins that hold all boxes, all hits."""
    scores, hits = drawn(300)
    found = calibration(units(scores, hits), is_calibrated=True)
    rows = found["reliability"]
    assert sum(row["n"] for row in rows) == found["n_boxes"] == 300
    assert sum(row["n"] * row["hits"] for row in rows) == pytest.approx(hits.sum())
    assert sum(row["n"] * row["score"] for row in rows) == pytest.approx(scores.sum())
    first = hits[np.argsort(scores)[: rows[0]["n"]]]
    spread = interval(first)
    assert rows[0]["hits_interval"] == [spread.low, spread.high]


def test_what_claims_no_probability_has_only_what_ranks() -> None:
    found = calibration(units(*drawn(50)), is_calibrated=False)
    assert {"aurc", "pearson", "spearman"} <= set(found)
    assert not {"ece", "brier", "reliability"} & set(found)


def test_a_hit_is_that_of_corloc() -> None:
    half = Scores.of([unit(0, 0.9, 0.5), unit(1, 0.1, 0.4)])
    assert calibration(half, is_calibrated=False)["aurc"] == 1.0
    assert calibration(half, is_calibrated=False, strict=False)["aurc"] == 0.25


@pytest.mark.parametrize("known", [Scores(), Scores.of([unit(0, None, 0.0)])])
def test_without_a_box_there_is_nothing_to_tell(known: Scores) -> None:
    found = calibration(known, is_calibrated=True)
    assert (found["n_boxes"], found["aurc"], found["risk_coverage"]) == (0, None, [])
    assert found["coverage"] in (None, 0.0)
    assert "ece" not in found


def test_one_box_has_no_interval_and_no_correlation() -> None:
    found = calibration(Scores.of([unit(0, 0.75, 0.9)]), is_calibrated=True)
    assert found["pearson"] is None
    assert found["brier_interval"] == [None, None]
    assert (found["aurc"], found["ece"], found["brier"]) == (0.0, 0.25, 0.0625)
