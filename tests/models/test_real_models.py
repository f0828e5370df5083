"""Sensitivity maps of real classifiers on real photographs, where the assets are."""

from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from torch import Tensor

from gradbox.attribution.gradients import input_gradient
from gradbox.attribution.localizer import MapLocalizer
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.attribution.targets import class_score
from gradbox.estimators import BoxEstimator
from gradbox.estimators.untrained import Mass, TopFraction
from gradbox.images.decode import load_rgb
from gradbox.localization import Localization
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier

CARDS = ["squeezenet1_1", "bvlc_googlenet", "mobilenet_v2_tf", "mobilenet_edgetpu"]


@pytest.fixture
def load(assets: Path) -> Callable[..., Classifier]:
    def load(card: str, **options: str) -> Classifier:
        return load_classifier(str(assets / "models" / f"{card}.toml"), device="cpu", **options)

    return load


@pytest.fixture
def photographs(assets: Path) -> Tensor:
    """Four photographs of different scenes at 224 x 224."""
    files = sorted((assets / "data" / "imagenet_dev" / "images").iterdir())[::300][:4]
    preprocessing = networks.classifier(size=(224, 224)).preprocessing
    return torch.from_numpy(np.stack([preprocessing.resized(load_rgb(f))[0] for f in files]))


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("card", CARDS)
def test_the_gradient_equals_captums_saliency(
    load: Callable[..., Classifier], photographs: Tensor, card: str
):
    attr = pytest.importorskip("captum.attr")
    # In float64 nothing is left to rounding; the weights require no gradient in both.
    classifier = load(card, dtype="float64")
    x = classifier.normalize(photographs[:2])
    labels = torch.tensor([3, 800])
    ours = input_gradient(classifier, x, lambda out: class_score(out.logits, labels))
    theirs = attr.Saliency(classifier.module).attribute(x, target=labels, abs=False)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-9, atol=1e-12)
    assert ours.any()


@pytest.mark.parametrize("target", ["class_score", "layer_mean"])
def test_in_float64_an_images_map_is_the_same_alone_and_in_any_batch(
    load: Callable[..., Classifier], photographs: Tensor, target: str
):
    # One photograph has flat regions: ties in max pooling that a last bit would decide.
    maps = Sensitivity(target=target).maps(load("squeezenet1_1", dtype="float64"))
    labels = [(1,), (2,), (3,), (4,)]
    together = maps.maps(networks.batch(photographs, labels=labels))
    for i, label in enumerate(labels):
        ((alone,),) = maps.maps(networks.batch(photographs[i : i + 1], labels=[label]))
        difference = np.abs(together[i][0].heatmap - alone.heatmap).max()
        assert difference < 1e-10 * max(1.0, alone.heatmap.max())


@pytest.mark.parametrize("estimator", [Mass(), TopFraction()])
@pytest.mark.parametrize("card", CARDS)
def test_in_float32_maps_and_boxes_hardly_depend_on_the_batch(
    load: Callable[..., Classifier], photographs: Tensor, card: str, estimator: BoxEstimator
):
    # A ReLU's gate may flip at a single pixel, so not every pixel is equal: the median is.
    localizer = MapLocalizer(Sensitivity().maps(load(card)), estimator)
    together = localize(localizer, photographs)
    for i, one in enumerate(together):
        (alone,) = localize(localizer, photographs[i : i + 1])
        difference = np.abs(one.heatmap - alone.heatmap)
        assert np.median(difference) < 1e-5 * alone.heatmap.max()
        assert np.abs(one.boxes - alone.boxes).max() < 2


def test_bfloat16_gives_boxes_near_those_of_float32(
    load: Callable[..., Classifier], photographs: Tensor
):
    # 8 bits of precision move the edges of a 224 pixel wide map by some pixels, not by objects.
    full, half = (
        localize(
            MapLocalizer(Sensitivity().maps(load("squeezenet1_1", dtype=dtype)), Mass()),
            photographs,
        )
        for dtype in ("float32", "bfloat16")
    )
    for one, other in zip(full, half, strict=True):
        assert np.abs(one.boxes - other.boxes).max() < 12


def localize(localizer: MapLocalizer, photographs: Tensor) -> list[Localization]:
    """Localizations for the first classes, so that every run asks for the same."""
    labels = [(7,)] * len(photographs)
    return list(localizer.localize(networks.batch(photographs, labels=labels), details=True))
