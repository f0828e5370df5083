"""Losses, accuracies, weights and sampling, by hand and against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from gradbox.training.objectives import OBJECTIVES, AnyClasses, OneClass, no_counts, rarity

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0], [1.0, 0.5, 0.0], [-1.0, -2.0, 4.0]])
ONE_EACH = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]).bool()
ANY = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]]).bool()


def test_the_softmax_loss_is_minus_the_logarithm_of_the_probability() -> None:
    shares = LOGITS.exp() / LOGITS.exp().sum(dim=1, keepdim=True)
    expected = [-math.log(float(shares[i, c])) for i, c in enumerate((0, 1, 1, 2))]
    assert OneClass().losses(LOGITS, ONE_EACH).tolist() == pytest.approx(expected, rel=1e-4)


def test_the_sigmoid_loss_is_the_mean_over_yes_and_no() -> None:
    """-log p where the class is there, -log (1 - p) where it is not, p = 1 / (1 + exp(-x))."""
    p = 1 / (1 + np.exp(-LOGITS.numpy().astype(float)))
    expected = -np.where(ANY.numpy(), np.log(p), np.log(1 - p)).mean(axis=1)
    assert AnyClasses().losses(LOGITS, ANY).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES.values())
def test_smoothing_is_a_mixture_with_the_loss_of_all_answers(objective: type) -> None:
    """The loss is linear in its target: 1 - s of the hard one, s of the mean over all answers."""
    if objective is OneClass:
        targets = ONE_EACH
        answers = [torch.eye(3)[c].bool().expand(4, 3) for c in range(3)]
    else:
        targets = ANY
        answers = [torch.full((4, 3), fill_value=yes) for yes in (False, True)]
    every = torch.stack([objective().losses(LOGITS, one) for one in answers]).mean(dim=0)
    expected = 0.9 * objective().losses(LOGITS, targets) + 0.1 * every
    torch.testing.assert_close(objective(smoothing=0.1).losses(LOGITS, targets), expected)


def test_counts_add_up_and_give_scikit_learns_balanced_accuracy() -> None:
    """Of random answers, counted in two batches; a class's accuracy is that of its own column."""
    seeded = torch.Generator().manual_seed(3)
    logits, targets = (
        torch.randn(50, 4, generator=seeded),
        torch.rand(50, 4, generator=seeded) < 0.3,
    )
    objective = AnyClasses()
    counts = no_counts(targets)
    for part in (slice(0, 20), slice(20, 50)):
        counts = counts + objective.count(logits[part], targets[part])
    assert counts.sum(dim=(0, 1)).tolist() == [50] * 4
    expected = [balanced_accuracy_score(targets[:, i], logits[:, i] > 0) for i in range(4)]
    assert objective.accuracies(counts).tolist() == pytest.approx(expected, rel=1e-4)
    assert objective.accuracy(counts) == pytest.approx(np.mean(expected))


def test_a_class_in_every_image_is_scored_by_those_it_has() -> None:
    """Named in three of four images that all have it: 3/4, and no share of none."""
    targets = torch.ones(4, 1, dtype=torch.bool)
    counts = AnyClasses().count(torch.tensor([[1.0], [2.0], [-1.0], [0.5]]), targets)
    assert AnyClasses().accuracies(counts).tolist() == [0.75]


def test_the_softmax_accuracy_is_the_share_of_right_images() -> None:
    """Right are images 0, 1 and 3; of the second class one of two."""
    counts = OneClass().count(LOGITS, ONE_EACH)
    assert OneClass().accuracy(counts) == 0.75
    assert OneClass().accuracies(counts).tolist() == [1.0, 0.5, 1.0]


def test_balanced_weights_are_scikit_learns() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    targets = torch.eye(3)[labels].bool()
    assert OneClass.balanced(targets)[1].tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    sides = [
        compute_class_weight("balanced", classes=np.array([False, True]), y=labels == c)
        for c in range(3)
    ]
    np.testing.assert_allclose(AnyClasses.balanced(targets), np.transpose(sides), rtol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES.values())
def test_with_balanced_weights_the_sides_of_a_class_weigh_the_same(objective: type) -> None:
    """Of a network that knows nothing, the loss of each class's images sums to the same."""
    targets = torch.eye(3)[[0] * 7 + [1] * 2 + [2]].bool()
    losses = objective(weights=objective.balanced(targets)).losses(torch.zeros(10, 3), targets)
    if objective is OneClass:
        sums = [float(losses[targets[:, c]].sum()) for c in range(3)]
        assert sums == pytest.approx([sums[0]] * 3)
    else:
        plain = AnyClasses().losses(torch.zeros(10, 3), targets)
        assert float(losses.sum()) == pytest.approx(float(plain.sum()))  # n / 2 on each side


def test_each_class_is_drawn_as_often() -> None:
    """Drawn with probability 1 / n', the images of a class sum to 1; those of none to 1, too."""
    targets = torch.eye(3)[[0] * 7 + [1] * 2 + [2]].bool()
    weights = rarity(torch.cat([targets, torch.zeros(5, 3, dtype=torch.bool)]))
    sums = [float(weights[:10][targets[:, c]].sum()) for c in range(3)]
    assert [*sums, float(weights[10:].sum())] == pytest.approx([1.0] * 4)
    both = torch.tensor([[True, True], [True, False], [True, False]])
    assert rarity(both).tolist() == pytest.approx([1.0, 1 / 3, 1 / 3])  # by the rarer class
