"""Heads: probabilities of each class for itself, yes or no, and what is located by them."""

import numpy as np
import pytest
import torch
from examples import examples
from squares import SIDE, scene
from torch import nn

from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Selection
from gradbox.methods import METHODS
from gradbox.models.classifier import Classifier
from gradbox.models.heads import Head, HeadKind
from gradbox.pipeline import localize

SEEN = Preprocessing(size=(SIDE, SIDE), mean=(0.0,) * 3, std=(1.0,) * 3)
WEIGHTS = np.array([[40.0, 0.0, 0.0], [0.0, 40.0, 0.0], [0.0, 0.0, 40.0], [4.0, 4.0, 4.0]])
BIASES = np.array([-4.0, -4.0, -4.0, -9.0])
"""A class is there where more than a tenth of its colour is, the last one never."""


def network(weights: np.ndarray, biases: np.ndarray) -> nn.Sequential:
    """Logits that are known by hand: weights times the mean of each colour in 0..1, plus biases."""
    head = nn.Linear(3, len(biases)).double()
    head.weight.data[:] = torch.from_numpy(weights)
    head.bias.data[:] = torch.from_numpy(biases)
    first = nn.Conv2d(3, 3, 1, bias=False).double()
    first.weight.data[:] = torch.eye(3).view(3, 3, 1, 1)
    second = nn.Conv2d(3, 3, 2, stride=2, groups=3, bias=False).double()
    second.weight.data[:] = 0.25
    return nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head
    )


def classifier(head: Head | HeadKind, classes: int = 4, **options: object) -> Classifier:
    net = network(WEIGHTS[:classes], BIASES[:classes])
    return Classifier.wrap(
        net, preprocessing=SEEN, head=head, device="cpu", dtype="float64", **options
    )


def by_hand(image: np.ndarray, classes: int = 4) -> np.ndarray:
    means = image.reshape(-1, 3).mean(axis=0) / 255
    return WEIGHTS[:classes] @ means + BIASES[:classes]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("method", examples(METHODS))
def test_every_method_says_the_probability_of_each_class_for_itself(method: str):
    """The logits are known by hand, and so is what their sigmoid is; the classes are those above.

    Red is an eighth of the image, 40 / 8 - 4 = 1; green 40 * 3 / 16 - 4 = 3.5; blue -4.
    """
    image, network = scene(red=True, green=True), classifier("sigmoid")
    assert by_hand(image).round(9)[:3].tolist() == [1.0, 3.5, -4.0]
    found = localize(image, network, method=method, selection=Selection(above="thresholds"))
    assert tuple(dict.fromkeys(found.labels)) == (1, 0)  # best first
    expected = dict(enumerate(sigmoid(by_hand(image))))
    for label, probability in zip(found.labels, found.label_scores, strict=True):
        assert probability == pytest.approx(expected[label], abs=1e-6)
    assert found.top_labels == (1, 0, 2, 3)
    softmax = localize(image, classifier("softmax"), method=method, labels=["0"])
    logits = np.exp(by_hand(image))
    assert softmax.label_scores[0] == pytest.approx(logits[0] / logits.sum(), abs=1e-6)


@pytest.mark.parametrize("method", ["sensitivity", "gradcam", "occlusion"])
def test_a_class_that_is_there_is_found_where_it_is(method: str):
    """Red and green have a square each, and each class's box lies around its own."""
    selection = Selection(above="thresholds")
    of_pixels = "product(sensitivity, gradient_x_input)"  # alone it is flat: the network is linear
    method = of_pixels if method == "sensitivity" else method
    found = localize(
        scene(red=True, green=True), classifier("sigmoid"), method=method, selection=selection
    )
    middles = {
        label: ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        for label, box in zip(found.labels, found.boxes, strict=True)
    }
    assert middles[0] == pytest.approx((12, 6), abs=4)
    assert middles[1] == pytest.approx((22, 24), abs=4)


def test_where_each_class_is_for_itself_all_that_are_there_are_located_unless_said():
    network = classifier("sigmoid", class_names=["red", "green", "blue", "none"])
    images = [scene(True, True), scene(False, True), scene(False, False)]
    found = list(localize(images, network, method="gradient_x_input"))
    assert [one.names for one in found] == [("green", "red"), ("green",), ()]
    assert [len(one.boxes) for one in found] == [2, 1, 0]
    assert found[2].top_labels  # it was looked at, nothing was there
    (best,) = localize(images[2:], network, method="gradient_x_input", selection=Selection())
    assert best.names == ("red",)  # the first of three that are as improbable
    (asked,) = localize(images[2:], network, method="gradient_x_input", labels=["blue"])
    assert asked.names == ("blue",)


@pytest.mark.parametrize(
    ("thresholds", "above", "labels"),
    [
        ((), "thresholds", (1, 0)),
        ((0.9,), "thresholds", (1,)),  # sigmoid(1) is 0.73, sigmoid(3.5) is 0.97
        ((0.7, 0.99, 0.01, 0.5), "thresholds", (0, 2)),  # sigmoid(-4) is 0.018
        ((0.7, 0.99, 0.01, 0.5), 0.96, (1,)),
        ((), 0.01, (1, 0, 2)),
    ],
)
def test_thresholds(thresholds: tuple[float, ...], above: float | str, labels: tuple[int, ...]):
    network = classifier(Head("sigmoid", thresholds))
    found = localize(
        scene(True, True), network, method="gradient_x_input", selection=Selection(above=above)
    )
    assert found.labels == labels


def test_a_softmax_has_at_most_one_class_above_a_half():
    network = classifier("softmax")
    sure = localize(
        scene(False, True), network, method="sensitivity", selection=Selection(above=0.5)
    )
    unsure = localize(
        scene(False, False), network, method="sensitivity", selection=Selection(above=0.5)
    )
    assert (sure.labels, unsure.labels) == ((1,), ())


def test_one_output_says_yes_or_no():
    """Its probability is the sigmoid, that of no the rest; by itself only yes is located."""
    network = classifier("sigmoid", classes=1, class_names=["red"])
    assert network.class_names == ("no red", "red")
    there, absent = scene(True, True), scene(False, True)
    (yes, no) = localize([there, absent], network, method="gradient_x_input")
    assert (yes.names, no.names) == (("red",), ())
    assert yes.label_scores == pytest.approx([sigmoid(np.array(1.0))], abs=1e-6)
    assert (yes.top_labels, no.top_labels) == ((1, 0), (0, 1))
    (asked,) = localize([absent], network, method="gradient_x_input", labels=["no red"])
    assert asked.label_scores == pytest.approx([1 - sigmoid(np.array(-4.0))], abs=1e-6)
    (best,) = localize([absent], network, method="sensitivity", selection=Selection())
    assert best.names == ("no red",)


def test_the_absence_is_what_speaks_against_the_class():
    """The logit of the absence is -z, so what raises it is what lowers z: here, where green is."""
    net = network(np.array([[40.0, -40.0, 0.0]]), np.array([0.0]))
    one = Classifier.wrap(
        net,
        preprocessing=SEEN,
        head="sigmoid",
        class_names=["absent", "there"],
        device="cpu",
        dtype="float64",
    )
    found = localize(
        scene(True, True), one, method="gradcam", labels=["there", "absent"], box="threshold(0.5)"
    )
    assert found.boxes[0] == pytest.approx([4, 2, 20, 10], abs=2)
    assert found.boxes[1] == pytest.approx([14, 18, 30, 30], abs=2)


@pytest.mark.parametrize("name", ["Saliency", "InputXGradient", "LayerGradCam"])
def test_other_libraries_see_both_sides_of_one_output(name: str):
    network = classifier("sigmoid", classes=1, class_names=["red"])
    method = f"peer(name={name})"
    for label in ("red", "no red"):
        found = localize(scene(True, True), network, method=method, labels=[label])
        assert found.names == (label,)


def test_probabilities_of_a_black_box_that_are_each_for_itself_come_back():
    values = np.array([[0.9, 0.2, 0.6]], dtype=np.float32)
    box = Classifier.from_function(
        lambda images: values.repeat(len(images), axis=0),
        outputs="probabilities",
        head="sigmoid",
        preprocessing=SEEN,
    )
    found = localize(scene(True, True), box, method="rise(calls=10)")
    assert found.labels == (0, 2)
    np.testing.assert_allclose(found.label_scores, [0.9, 0.6], atol=1e-6)
    wrong = Classifier.from_function(
        lambda images: 2 * values.repeat(len(images), axis=0),
        outputs="probabilities",
        head="sigmoid",
        preprocessing=SEEN,
    )
    with pytest.raises(UsageError, match=r"are in 0\.\.1; if these are logits"):
        localize(scene(True, True), wrong, method="rise(calls=10)")


def test_names_that_are_paths():
    """A class is found by its path or its last part, and a path stands for all below it."""
    names = ["animal/dog", "animal/cat", "vehicle/cat", "plant"]
    network = classifier("sigmoid", class_names=names)
    assert network.class_index("Animal/Dog") == network.class_index("dog") == 0
    with pytest.raises(UsageError, match="stands for several classes: give 1 or 2"):
        network.class_index("cat")
    assert network.class_indices("animal") == network.class_indices("animal/") == (0, 1)
    assert network.class_indices("plant") == (3,)
    with pytest.raises(UsageError, match=r"has no class 'animals'"):
        network.class_indices("animals")
    found = localize(scene(True, True), network, method="gradient_x_input", labels=["animal"])
    assert found.names == ("animal/dog", "animal/cat")
    own = classifier("sigmoid", class_names=["animal", "animal/dog", "animal/cat", "plant"])
    assert own.class_indices("animal") == (0,)  # a class of its own
