"""Every map against the same map of other libraries, on networks of every kind, in float64."""

import pytest
from equalities import NETWORKS, REFERENCES, Case, difference, is_defined

from gradbox.attribution.class_maps import ClassMapMethod
from gradbox.methods import METHODS

LARGE = {"efficientnet_b0", "mobilenet_v2"}
CELLS = [
    pytest.param(text, library, network, marks=[pytest.mark.slow] * (network in LARGE))
    for text, library in REFERENCES
    for network in NETWORKS
    if is_defined(text, library, network)
]
ELSEWHERE = {"sensitivity"}  # test_peers.py holds it against captum's Saliency


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.parametrize(("text", "library", "network"), CELLS)
def test_our_map_is_the_peers(text: str, library: str, network: str) -> None:
    """A second implementation; NaN, as of a map of zeros, is no equality."""
    assert difference(text, library, Case.of(network)) <= 1e-6


def test_every_map_of_a_pass_is_in_the_matrix() -> None:
    listed = {name for name, kind in METHODS.items() if issubclass(kind, ClassMapMethod)}
    assert {text.partition("(")[0] for text, _ in REFERENCES} == listed - ELSEWHERE
