"""Texts and values made ready for a classifier, and texts of another version."""

import networks
import pytest
from examples import examples
from fakes import FakeBoxes, FakeLocalizer, FakeMaps, Plain

from gradbox.attribution.combinations import Product
from gradbox.attribution.method import Method
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.dam.localizer import Dam
from gradbox.errors import UsageError
from gradbox.estimators.untrained import Mass
from gradbox.localization import Localizer
from gradbox.methods import METHODS, ready, ready_maps, rebuilt, to_method

CLASSIFIER = networks.classifier()


@pytest.mark.parametrize("text", examples(METHODS))
def test_every_method_keeps_the_contract(text: str) -> None:
    method = to_method(text)
    assert isinstance(method, Method)
    chosen = ready(text, None, CLASSIFIER)
    assert isinstance(chosen.localizer, Localizer)
    assert (chosen.box is None) == method.makes_boxes
    assert rebuilt(chosen.text) == chosen.text
    assert chosen.is_comparable


def test_a_box_is_the_usual_one_where_none_is_given() -> None:
    assert (
        ready("sensitivity", None, CLASSIFIER).box_text == "mass(floor=0.5, trim=0.04, sigma=0.0)"
    )
    assert ready("dam", None, CLASSIFIER).box_text is None
    assert ready("dam", Mass(), CLASSIFIER).box_text == ready("dam", "mass", CLASSIFIER).box_text


@pytest.mark.parametrize(
    ("method", "box", "name"),
    [
        ("dam( k=3 )", None, "dam( k=3 )"),
        ("sensitivity", None, "sensitivity | mass"),
        ("sensitivity", "whole", "sensitivity | whole"),
        ("sensitivity", Mass(trim=0.1), "sensitivity | mass(floor=0.5, trim=0.1, sigma=0.0)"),
        (FakeMaps(((1.0,),)), "whole", "fakes:FakeMaps(rows=[[1.0]], label=0) | whole"),
    ],
)
def test_tables_name_a_text_as_it_was_typed(method: object, box: object, name: str) -> None:
    assert ready(method, box, CLASSIFIER).name(method, box) == name


def test_layers_are_named_for_run_json() -> None:
    assert ready("sensitivity", None, CLASSIFIER).layer is None
    layer = ready("sensitivity(target=layer_mean)", None, CLASSIFIER).layer
    assert layer == "features (4 x 7 x 5)"
    both = "product(sensitivity(target=layer_mean), sensitivity(target=layer_mean, reduce=max))"
    assert ready(both, None, CLASSIFIER).layer == layer  # each layer once


def test_a_text_of_another_version_is_built_again() -> None:
    old = "threshold(share=0.3, sigma=8.0)"
    assert rebuilt(old) == "threshold(share=0.3, sigma=8.0, boxes=largest, min_area=0.01)"
    assert rebuilt("gone(with=the wind)") == "gone(with=the wind)"
    assert rebuilt("fakes:FakeMaps(rows=[[1.0]])") == "fakes:FakeMaps(rows=[[1.0]])"


def test_only_dataclasses_can_be_told_to_be_equal() -> None:
    for method in (FakeLocalizer(), FakeMaps(((1.0,),)), Product((FakeMaps(((1.0,),)), Dam()))):
        assert ready(method, None, CLASSIFIER).is_comparable
    assert not ready(Plain(), None, CLASSIFIER).is_comparable
    assert ready(Sensitivity(), FakeBoxes(), CLASSIFIER).is_comparable


def test_a_method_of_boxes_has_no_maps_to_fit_on() -> None:
    with pytest.raises(UsageError, match="makes boxes, no heat maps"):
        ready_maps(FakeLocalizer(), CLASSIFIER)
