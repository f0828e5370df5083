import pytest
import torch
from networks import batch, classifier, network, pixels

from gradbox.attribution.targets import (
    class_score,
    labels_to_locate,
    layer_mean,
    neuron,
    select_labels,
    top_labels,
)
from gradbox.errors import UsageError
from gradbox.localization import Selection

NETWORK = classifier(network(3))
LOGITS = torch.tensor([[0.0, 2.0, 1.0], [5.0, -5.0, 4.0]], dtype=torch.float64)


def test_class_score_is_the_logit_or_the_softmax_of_each_images_class():
    labels = torch.tensor([1, 2])
    assert class_score(LOGITS, labels).tolist() == [2, 4]
    probability = class_score(LOGITS, labels, "probability")
    e = torch.e
    assert probability[0].item() == pytest.approx(e**2 / (1 + e**2 + e))


def test_layer_mean_is_over_channels_and_space_without_prefix_tokens():
    # By hand: A2 over 2 x 2 x 2 numbers; a transformer's class token is left out.
    activation = torch.arange(8.0).view(1, 2, 2, 2)
    assert layer_mean(activation).tolist() == [3.5]
    tokens = torch.tensor([[[100.0, 100.0], [1.0, 2.0], [3.0, 4.0]]])
    assert layer_mean(tokens, prefix_tokens=1).tolist() == [2.5]


def test_neuron_reads_channel_row_column():
    activation = torch.arange(24.0).view(2, 3, 2, 2)
    assert neuron(activation, torch.tensor([[2, 1, 0], [0, 0, 1]])).tolist() == [10, 13]


def test_top_labels_are_best_first_and_in_order_where_equal():
    assert top_labels(torch.tensor([0.1, 0.4, 0.1, 0.4]), 3) == (1, 3, 0)
    assert len(top_labels(torch.linspace(0, 1, 9))) == 5


@pytest.mark.parametrize(
    ("selection", "labels"),
    [
        (Selection(), (2,)),
        (Selection(top=2), (2, 0)),
        (Selection(near_top=0.5), (2, 0)),  # 0.25 = 0.5 * 0.5 is near enough, 0.2 is not
        (Selection(top=3, near_top=0.5), (2, 0, 3)),
        (Selection(top=0, near_top=1.0), (2,)),
    ],
)
def test_select_labels_takes_the_top_and_all_near_it(selection: Selection, labels: tuple[int, ...]):
    assert select_labels(torch.tensor([0.25, 0.05, 0.5, 0.2]), selection) == labels


def test_a_network_that_returns_nan_still_has_a_class_to_report_on():
    assert len(select_labels(torch.full((3,), torch.nan), Selection(top=0, near_top=0.5))) == 1


def test_given_labels_win_and_the_rest_are_selected():
    given = batch(pixels(2), labels=[(0, 1), None], selection=Selection(top=2))
    assert labels_to_locate(NETWORK, LOGITS, given) == [(0, 1), (0, 2)]


def test_without_a_head_or_a_selection_no_class_is_chosen():
    none = batch(pixels(2), labels=[(1,), None], selection=Selection(top=0))
    assert (
        labels_to_locate(NETWORK, LOGITS, none)
        == labels_to_locate(NETWORK, None, none)
        == [(1,), (None,)]
    )


@pytest.mark.parametrize("selection", [Selection(), Selection(top=0)])
@pytest.mark.parametrize("label", [3, -1])
def test_a_class_that_the_network_does_not_have_is_refused(selection: Selection, label: int):
    with pytest.raises(UsageError, match=f"class {label}: the network has 3 classes"):
        labels_to_locate(
            NETWORK, LOGITS, batch(pixels(2), labels=[(1, label), None], selection=selection)
        )


def test_more_classes_than_the_network_has_are_refused_where_they_are_selected():
    most = Selection(top=3)
    assert labels_to_locate(NETWORK, LOGITS, batch(pixels(2), selection=most))[0] == (1, 2, 0)
    more = Selection(top=4)
    with pytest.raises(UsageError, match="top=4: the network has 3 classes"):
        labels_to_locate(NETWORK, LOGITS, batch(pixels(2), labels=[(0,), None], selection=more))
    given = [(0,), (1,)]  # nothing is selected
    assert (
        labels_to_locate(NETWORK, LOGITS, batch(pixels(2), labels=given, selection=more)) == given
    )


@pytest.mark.parametrize("options", [{"top": -1}, {"near_top": 0.0}, {"near_top": 1.5}])
def test_selections_that_mean_nothing_are_refused(options: dict[str, float]):
    with pytest.raises(UsageError, match=next(iter(options))):
        Selection(**options)
