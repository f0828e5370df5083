"""Whether the probabilities of boxes are what they say."""

import numpy as np
import pytest

from gradbox.auto.confidence import learn, shipped
from gradbox.auto.evidence import FEATURES


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence, hits drawn by a known probability, and that probability."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(count, len(FEATURES)))
    true = 1 / (1 + np.exp(-(0.5 + 1.5 * evidence[:, 0] - evidence[:, 3])))
    return evidence, rng.random(count) < true, true


def test_it_finds_the_probability_that_hits_were_drawn_by() -> None:
    evidence, hits, _ = drawn(20_000, 0)
    other, _, true = drawn(2_000, 1)
    assert np.abs(learn(evidence, hits).of(other) - true).max() < 0.08


def test_boxes_that_count_twice_are_boxes_that_stand_there_twice() -> None:
    evidence, hits, _ = drawn(300, 2)
    weights = np.where(hits, 2.0, 1.0)
    twice = np.concatenate([evidence, evidence[hits]]), np.concatenate([hits, hits[hits]])
    other = drawn(50, 3)[0]
    weighed, repeated = learn(evidence, hits, weights), learn(*twice)
    # the mean and the scale, which the penalty is relative to, differ a little
    np.testing.assert_allclose(weighed.of(other), repeated.of(other), atol=0.02)


def test_boxes_that_all_hit_teach_nothing() -> None:
    evidence, _, _ = drawn(20, 4)
    with pytest.raises(ValueError, match="class"):
        learn(evidence, np.ones(20, dtype=bool))


@pytest.mark.parametrize("kind", ["foreground", "strict"])
def test_the_shipped_numbers_tell_a_clear_object_from_none(kind: str) -> None:
    """A sharp object of a sure class, and P that is the same all over of a class that is absent."""
    clear = dict(
        zip(FEATURES, (0.9, 0.95, 0.1, 1.0, 0.02, 0.85, 0.9, 0.9, 0.8, 0.6, 0, -0.05, 0, 0),
            strict=True)
    )  # fmt: skip
    none = clear | {
        "inside": 0.1, "on_object": 0.1, "rim": 0.1, "highest": 0.2, "outside": 0.1, "filled": 0.5,
        "share": 0.3, "wider": 0.3, "tighter": 0.2, "log_probability": -12.0,
    }  # fmt: skip
    sure, unsure = shipped(kind).of(np.array([list(clear.values()), list(none.values())]))
    assert sure > 0.7
    assert unsure < 0.15
