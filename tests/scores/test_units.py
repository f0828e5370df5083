"""The scored units of an image, by hand."""

import numpy as np
import pytest

from gradbox.boxes import as_boxes
from gradbox.errors import UsageError
from gradbox.localization import Localization, Sample
from gradbox.scores.baselines import constant_units
from gradbox.scores.boxes import Scores
from gradbox.scores.units import true_units, units

NAMES = ("cat", "dog")


def index_of(name: str) -> int:
    if name not in NAMES:
        raise UsageError(f"no class {name}")
    return NAMES.index(name)


def sample(*labels: str) -> Sample:
    boxes = as_boxes([[10 * i, 0, 10 * i + 10, 10] for i in range(len(labels))])
    return Sample(image_id="a", source="a.png", boxes=boxes, labels=labels, size=(10, 40))


def test_for_truth_each_class_is_a_unit_with_its_boxes() -> None:
    cat, dog = true_units(sample("cat", "dog", "cat"), "truth", index_of)
    assert (cat.name, cat.index, cat.boxes[:, 0].tolist()) == ("cat", 0, [0, 20])
    assert (dog.name, dog.index, dog.boxes[:, 0].tolist()) == ("dog", 1, [10])


@pytest.mark.parametrize("class_from", ["predicted", "none"])
def test_otherwise_the_image_is_a_unit_with_every_box(class_from: str) -> None:
    (unit,) = true_units(sample("cat", "cow"), class_from, index_of)  # type: ignore[arg-type]
    assert (unit.name, unit.index, len(unit.boxes)) == (None, None, 2)
    (named,) = true_units(sample("cow"), class_from, index_of)  # type: ignore[arg-type]
    assert (named.name, named.index) == ("cow", None)
    assert true_units(sample(), class_from, index_of) == []  # type: ignore[arg-type]


def test_a_class_that_is_not_known_is_a_wrong_call_for_truth_only() -> None:
    with pytest.raises(UsageError, match="no class cow"):
        true_units(sample("cow"), "truth", index_of)


def answer(labels: tuple[int, ...]) -> Localization:
    boxes = as_boxes([[10 * label, 0, 10 * label + 10, 10] for label in labels])
    n = len(labels)
    return Localization(
        image_id="a",
        size=(10, 40),
        boxes=boxes,
        labels=labels,
        label_scores=(0.5,) * n,
        scores=(0.5,) * n,
        top_labels=(1, 0),
    )


def test_the_first_box_of_the_units_class_is_scored() -> None:
    truth = true_units(sample("cat", "dog"), "truth", index_of)
    found = list(units(7, truth, answer((1, 0)), "truth", NAMES.__getitem__))
    scores = Scores.of(found)
    assert scores.images.tolist() == [7, 7]
    assert scores.ious.tolist() == [1.0, 1.0]  # each class has its own box
    assert [unit.recognized for unit in found] == [False, True]
    missing = units(7, truth, answer((1,)), "truth", NAMES.__getitem__)
    assert Scores.of(missing).ious.tolist() == [0.0, 1.0]


def test_constant_boxes_are_scored_on_the_same_units() -> None:
    truth = true_units(sample("cat", "dog"), "predicted", index_of)
    scores = Scores.of(constant_units(0, truth, (10, 40), (1.0, 0.5)))
    # The middle 20 of 40 pixels against [0, 10) and [10, 20): the second lies inside, 100 of 200.
    np.testing.assert_allclose(scores.ious, [0.5])
