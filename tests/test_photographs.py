"""The first minute: the built-in classifier on photographs that installed packages carry."""

import numpy as np
import pytest
from PIL import Image

import gradbox
from gradbox.boxes import as_boxes, iou
from gradbox.demo.photographs import PHOTOGRAPHS
from gradbox.localization import Sample
from gradbox.models.load import load_classifier

CLASSES = {
    "chelsea.png": {"Egyptian cat", "tabby", "tiger cat"},
    "coffee.png": {"espresso"},
    "china.jpg": {"bell cote", "boathouse", "monastery", "castle", "palace"},
    "flower.jpg": {"daisy"},
    "rocket.jpg": {"drilling platform", "missile", "projectile", "space shuttle"},
}
# What the default's boxes have today: the cup without its saucer, the rocket with some of the sky.
AT_LEAST = {
    "chelsea.png": 0.85,
    "coffee.png": 0.55,
    "china.jpg": 0.8,
    "flower.jpg": 0.85,
    "rocket.jpg": 0.2,
}
pytestmark = [pytest.mark.foreground, pytest.mark.slow]
SAMPLES = {photograph.sample.image_id: photograph.sample for photograph in PHOTOGRAPHS}
BOXES = {photograph.sample.image_id: photograph.box for photograph in PHOTOGRAPHS}


@pytest.fixture(scope="module")
def network() -> gradbox.Classifier:
    return load_classifier(device="cpu")


@pytest.fixture(scope="module")
def found(network: gradbox.Classifier) -> dict[str, gradbox.Localization]:
    results = gradbox.localize(SAMPLES.values(), network)
    return {one.image_id: one for one in results if isinstance(one, gradbox.Localization)}


@pytest.mark.parametrize("name", AT_LEAST)
def test_class_and_box_of_each_photograph(
    name: str, found: dict[str, gradbox.Localization]
) -> None:
    assert found[name].names[0] in CLASSES[name]
    overlap = iou(found[name].boxes[:1], as_boxes([BOXES[name]]))
    assert np.max(overlap) >= AT_LEAST[name]


def test_one_photograph_gives_what_many_give(
    network: gradbox.Classifier, found: dict[str, gradbox.Localization]
) -> None:
    sample = SAMPLES["coffee.png"]
    assert not isinstance(sample.source, np.ndarray)
    alone = gradbox.localize(sample.source, network)  # type: ignore[arg-type]
    assert alone.names == found["coffee.png"].names
    np.testing.assert_allclose(alone.boxes, found["coffee.png"].boxes, atol=2)


def test_one_image_may_be_a_file_a_picture_or_pixels(network: gradbox.Classifier) -> None:
    path = SAMPLES["chelsea.png"].source
    pixels = np.asarray(Image.open(path))  # type: ignore[arg-type]
    ways = [str(path), path, Image.fromarray(pixels), pixels, lambda: pixels]
    boxes = [gradbox.localize(way, network, method="sensitivity").boxes for way in ways]  # type: ignore[arg-type]
    for other in boxes[1:]:
        np.testing.assert_array_equal(other, boxes[0])
    (many,) = gradbox.localize(pixels[None], network, method="sensitivity")
    assert isinstance(many, gradbox.Localization)
    named = [Sample(image_id="it", source=pixels)]
    (sample,) = gradbox.localize(named, network, method="sensitivity")
    assert sample.image_id == "it"  # type: ignore[union-attr]


def test_one_bad_image_is_raised_and_of_many_it_is_given(network: gradbox.Classifier) -> None:
    with pytest.raises(gradbox.ImageError, match="no such file"):
        gradbox.localize("nowhere.jpg", network)
    good = SAMPLES["chelsea.png"].source
    kinds = [type(one).__name__ for one in gradbox.localize(["nowhere.jpg", good], network)]  # type: ignore[list-item]
    assert kinds == ["ImageError", "Localization"]


def test_the_network_is_left_as_it_was(network: gradbox.Classifier) -> None:
    before = network.weights_hash
    gradbox.localize(SAMPLES["flower.jpg"].source, network)  # type: ignore[arg-type]
    assert load_classifier(device="cpu").weights_hash == before
    assert not any(parameter.requires_grad for parameter in network.module.parameters())
    assert not any(module._forward_hooks for module in network.module.modules())
