"""What a fit learns from maps whose right settings are known, and from noise: nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from map_examples import ORIGINAL, SIDE, cones, noise, undecided, usual

from gradbox.auto.confidence import shipped
from gradbox.auto.evidence import FEATURES
from gradbox.auto.fitting import AS_IT_IS, Learned, learn
from gradbox.auto.looks import SHARES, Example
from gradbox.auto.search import Search
from gradbox.boxes import bounding
from gradbox.errors import UsageError
from gradbox.foreground.spool import Spool
from gradbox.scores.bootstrap import standard_error
from gradbox.scores.boxes import best_iou


def learned(examples: list[Example], folder: Path) -> Learned:
    return learn(examples, usual(), closer=0.0, spool=Spool(folder, ()), layer=None)


def mean_iou(examples: list[Example], tuned: Learned | None) -> float:
    used = usual() if tuned is None else tuned.tuned
    search = Search(examples, usual(), 0.0)
    boxes = [search.found(used, row).boxes[0] for row in range(len(examples))]
    pairs = zip(boxes, examples, strict=True)
    return float(np.mean([best_iou(box, one.truth) for box, one in pairs]))


@pytest.mark.parametrize("share", [pytest.param(0.2, marks=pytest.mark.slow), 0.7])
def test_the_share_that_the_boxes_were_drawn_by_is_found(tmp_path: Path, share: float) -> None:
    """Above this share of a cone lies the true box, so with it every box is exact."""
    found = learned(cones(12, share), tmp_path)
    taken = [one.name for one in found.rungs if one.taken]
    assert taken[:2] == [AS_IT_IS, "settings"]
    assert found.tuned.settings[0].share == share
    assert found.rungs[1].mean_iou == pytest.approx(1.0)
    others = cones(12, share, seed=9)
    assert mean_iou(others, found) == pytest.approx(1.0)
    assert mean_iou(others, None) < 0.8


@pytest.mark.slow
def test_a_power_is_found_where_only_the_class_tells_boxes(tmp_path: Path) -> None:
    """c^0.6 >= 0.7 is c >= 0.55; no other power that is tried gets there by a share up to 0.7."""
    power, share = 0.6, 0.7
    found = learned(cones(12, share, power=power), tmp_path)
    assert found.tuned.settings[0].power == power
    assert mean_iou(cones(12, share, seed=9, power=power), found) == pytest.approx(1.0)


@pytest.mark.slow
def test_boxes_that_have_nothing_to_do_with_the_maps_teach_nothing_that_harms(
    tmp_path: Path,
) -> None:
    """On average: a step of no use passes its standard error by chance in one of six sets."""
    harm = []
    for seed in range(8):
        found = learned(noise(12, seed), tmp_path / str(seed))
        others = noise(60, 100 + seed)
        harm.append(mean_iou(others, None) - mean_iou(others, found))
    assert np.mean(harm) < 0.02


def test_what_is_right_already_stays_as_it_is(tmp_path: Path) -> None:
    found = learned(cones(12, usual().settings[0].share), tmp_path)
    assert found.rungs[0].mean_iou == pytest.approx(1.0)
    assert found.tuned.settings == usual().settings
    assert [one.name for one in found.rungs[1:] if one.taken] == ["calibration"]


def test_a_step_is_taken_only_above_its_standard_error(tmp_path: Path) -> None:
    """A property of every table, whatever the data."""
    for one in learned(noise(12, 7), tmp_path).rungs[1:]:
        assert one.gain is not None
        assert one.error is not None
        assert one.taken == (one.gain > one.error)


def test_the_same_examples_give_the_same_fit(tmp_path: Path) -> None:
    first, again = (learned(cones(10, 0.6, seed=2), tmp_path) for _ in range(2))
    assert first.tuned == again.tuned
    assert first.rungs == again.rungs


def test_too_few_images_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="9 images with a box and a map are too few"):
        learned(cones(9, 0.5), tmp_path)


def test_all_tried_shares_are_found_by_one_flooding() -> None:
    """As `Objects` finds each of them alone."""
    (one, *_) = cones(1, 0.5)
    for share in SHARES:
        (settings,) = usual().settings
        settings = type(settings)(share=share)
        alone = settings.objects.masks(one.first.heatmap(settings))
        expected = bounding(alone[0]) * ORIGINAL / SIDE
        assert one.first.main(settings) == pytest.approx(expected)


def evidence(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, len(FEATURES)))


def test_a_calibration_is_moved_to_the_share_of_hits_and_few_boxes_move_it_less() -> None:
    """Of a calibration that says 1/2, only the bias can move by `rescaled`: its penalized root.

    With n boxes, all hits, the bias b solves n (1 - s(b)) = b, s the logistic function.
    """
    for count in (5, 50):
        found = undecided().rescaled(evidence(count), np.ones(count))
        assert count * (1 - 1 / (1 + np.exp(-found.bias))) == pytest.approx(found.bias, abs=1e-3)


def test_rescaling_keeps_the_order_of_boxes() -> None:
    rng = np.random.default_rng(0)
    weights = tuple(rng.normal(size=2 * len(FEATURES)).tolist())
    one = replace(undecided(), weights=weights)
    rows = evidence(60)
    contrary = (one.of(rows) < 0.5).astype(float)
    moved = one.rescaled(rows, contrary)
    assert (np.argsort(moved.logits(rows)) == np.argsort(one.logits(rows))).all()


def test_adapting_is_scikit_learns_logistic_regression_where_nothing_was_known() -> None:
    """From weights of zero, and with a bias that is a column of ones, penalized as all are."""
    from sklearn.linear_model import LogisticRegression

    rows = evidence(80)
    hits = rows[:, 0] + 0.3 * evidence(80, 1)[:, 1] > 0.6
    columns = np.column_stack([rows, rows**2, np.ones(len(rows))])
    theirs = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-8, max_iter=5000)
    theirs.fit(columns, hits)
    mine = undecided().adapted(rows, hits.astype(float))
    expected = theirs.predict_proba(columns)[:, 1]
    assert mine.of(rows) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("kind", ["foreground", "strict"])
def test_the_shipped_calibrations_are_rescaled_to_what_fits_better(kind: str) -> None:
    """Boxes that all hit: the likelihood rises, since nothing moved is one of the answers."""
    rows, usual = evidence(20), shipped(kind)
    moved = usual.rescaled(rows, np.ones(20))
    assert np.log(moved.of(rows)).sum() > np.log(usual.of(rows)).sum()
    assert np.argsort(moved.of(rows)).tolist() == np.argsort(usual.of(rows)).tolist()


def test_standard_error_is_that_of_the_mean_of_groups() -> None:
    """Of single values s / sqrt(n); of values that stand in pairs of equals, of n / 2 values."""
    values = np.random.default_rng(0).normal(size=200)
    names = [str(i) for i in range(200)]
    alone = standard_error(values, names)
    assert alone == pytest.approx(values.std() / np.sqrt(200), rel=0.05)
    assert standard_error(np.repeat(values, 2), [n for n in names for _ in "ab"]) == pytest.approx(
        alone, rel=0.05
    )
    assert standard_error(values[:3], ["a", "a", "a"]) == float("inf")
