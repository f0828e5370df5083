"""One forward and one backward pass for several maps: counted, and each map as it is alone."""

from collections import Counter

import networks
import numpy as np
import pytest
import torch

from gradbox.attribution import passes
from gradbox.attribution.gradients import INPUT, forward, gradient, scalars_of
from gradbox.attribution.targets import class_target
from gradbox.methods import METHODS
from gradbox.specs import build

CLASSIFIER = networks.classifier()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the passes were run."""
    counts: Counter[str] = Counter()
    for name in ("forward", "gradients"):
        inner = getattr(passes, name)

        def counting(*given: object, name: str = name, inner: object = inner, **more: object):
            counts[name] += 1
            return inner(*given, **more)  # type: ignore[operator]

        monkeypatch.setattr(passes, name, counting)
    return counts


@pytest.mark.parametrize(
    "text",
    [
        "product(sensitivity, gradcam)",
        "product(gradcam, sensitivity, layercam(layer=features.0), gradient_x_input)",
        "mean(gradcam, smooth(product(sensitivity, layercam(layer=features.0))))",
    ],
)
def test_maps_of_a_class_share_both_passes(text: str, counted: Counter[str]) -> None:
    batch = networks.batch(networks.pixels(2), labels=[(0,), (3,)])
    build(text, METHODS).maps(CLASSIFIER).maps(batch)
    assert counted == {"forward": 1, "gradients": 1}


def test_each_class_has_a_backward_pass_of_its_own(counted: Counter[str]) -> None:
    batch = networks.batch(networks.pixels(2), labels=[(0, 4), (3, 1)])
    build("product(sensitivity, gradcam)", METHODS).maps(CLASSIFIER).maps(batch)
    assert counted == {"forward": 1, "gradients": 2}


def test_shared_maps_are_the_maps_alone() -> None:
    texts = ["gradcam", "sensitivity", "layercam(layer=features.0)", "eigencam"]
    batch = networks.batch(networks.pixels(2), labels=[(0, 2), (3, 5)])
    passes.share(batch, CLASSIFIER, [INPUT, "features.0", "features"])
    for text in texts:
        method = build(text, METHODS)
        shared = method.maps(CLASSIFIER).maps(batch)
        alone = method.maps(CLASSIFIER).maps(
            networks.batch(networks.pixels(2), labels=[(0, 2), (3, 5)])
        )
        for one, other in zip(shared, alone, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_allclose(a.heatmap, b.heatmap, rtol=1e-10, atol=1e-14)


def test_a_pass_without_pixels_has_the_same_derivatives_of_its_layers() -> None:
    images = CLASSIFIER.normalize(networks.pixels(2))
    target = class_target((1, 2))
    found = []
    for by in ("pixels", "layers"):
        outputs = forward(CLASSIFIER, images, layers=["features.0", "features"], by=by)
        scalars = scalars_of(target, outputs)
        found.append([gradient(scalars, outputs.at("features.0"), keep=True)])
        found[-1].append(gradient(scalars, outputs.at("features")))
        assert outputs.images.requires_grad == (by == "pixels")
    for whole, part in zip(*found, strict=True):
        assert torch.equal(whole, part)


def test_a_layer_before_the_graph_is_refused() -> None:
    images = CLASSIFIER.normalize(networks.pixels(1))
    outputs = forward(CLASSIFIER, images, layers=["features"], by="layers")
    with pytest.raises(RuntimeError, match="does not require grad"):
        gradient(scalars_of(class_target((0,)), outputs), outputs.images)
