"""Other libraries' maps: their numbers are theirs, the network stays as it was."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradbox.attribution.maps import MapMaker
from gradbox.attribution.peers import _METHODS, Peer
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Frame
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Selection
from gradbox.methods import ready, ready_maps
from gradbox.models.classifier import Classifier

SIDE = 32
ALL = [(library, name) for library, names in _METHODS.items() for name in names]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def classifier() -> Classifier:
    preprocessing = Preprocessing(size=(SIDE, SIDE))
    return Classifier.wrap(network(), preprocessing=preprocessing, device="cpu")


def batch(*labels: tuple[int, ...]) -> Batch:
    generator = torch.Generator().manual_seed(1)
    shape = (len(labels), 3, SIDE, SIDE)
    return Batch(
        image_ids=tuple(f"{i}.png" for i in range(len(labels))),
        pixels=torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        frames=tuple(Frame.squash((64, 64), (SIDE, SIDE)) for _ in labels),
        labels=labels,
        selection=Selection(),
    )


def heatmaps(maker: MapMaker, asked: Batch) -> list[list[np.ndarray]]:
    found = maker.maps(asked)
    assert not any(isinstance(one, ImageError) for one in found)
    return [[labelled.heatmap for labelled in one] for one in found]  # type: ignore[union-attr]


def peer(library: str, name: str, network_of: Callable[[], Classifier] = classifier) -> MapMaker:
    return ready_maps(f"peer(library={library}, name={name})", network_of())[1]


def test_captums_saliency_is_our_sensitivity_map() -> None:
    """A second implementation of A1: the mean absolute derivative of the logit."""
    asked = batch((2,), (0, 3))
    ours = heatmaps(ready_maps("sensitivity", classifier())[1], asked)
    theirs = heatmaps(peer("captum", "Saliency"), asked)
    assert [len(one) for one in theirs] == [1, 2]
    for a, b in zip(chain(*ours), chain(*theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)


def test_three_libraries_agree_on_grad_cam() -> None:
    """One formula, three codes: after each map's own scaling they are proportional."""
    asked = batch((2,), (1,))
    captum, jacob, torchcam = (
        [one[0] for one in heatmaps(peer(library, name), asked)]
        for library, name in (
            ("captum", "LayerGradCam"),
            ("pytorch_grad_cam", "GradCAM"),
            ("torchcam", "GradCAM"),
        )
    )
    for a, b, c in zip(captum, jacob, torchcam, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.999
        assert np.corrcoef(a.ravel(), c.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(("library", "name"), ALL)
def test_every_peer_gives_maps_and_leaves_the_network_as_it_was(library: str, name: str) -> None:
    own = classifier()
    before = {key: value.clone() for key, value in own.module.state_dict().items()}
    kinds = [type(module) for module in own.module.modules()]
    maps = heatmaps(peer(library, name, lambda: own), batch((2,), (1,)))
    for (one,) in maps:
        assert one.shape == (SIDE, SIDE)
        assert one.min() >= 0
        assert one.max() > 0
    assert not np.array_equal(maps[0][0], maps[1][0])
    assert [type(module) for module in own.module.modules()] == kinds
    for module in own.module.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        assert not any(hooks)
        assert not module.training
    for key, value in own.module.state_dict().items():
        assert torch.equal(value, before[key])
    assert not any(p.requires_grad or p.grad is not None for p in own.module.parameters())


def test_a_peer_makes_boxes_like_any_map_method() -> None:
    method = ready("peer(library=torchcam, name=GradCAM)", "mass", classifier())
    (found,) = method.localizer.localize(batch((2,)))
    assert not isinstance(found, ImageError)
    assert found.labels == (2,)
    assert len(found.boxes) == 1


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("gradbox.attribution.peers.import_module", refuse)
    asked = ready("peer(library=torchcam, name=GradCAM)", None, classifier())
    assert asked.class_from == "predicted"  # the options alone need no library
    with pytest.raises(UsageError, match=r"pip install 'gradbox\[peers\]'"):
        peer("torchcam", "GradCAM").maps(batch((2,)))


def test_a_name_that_is_near_is_offered() -> None:
    with pytest.raises(ValueError, match="did you mean GradCAM"):
        Peer(library="torchcam", name="GradCam")


def test_a_transformers_tokens_are_refused_where_rows_are_needed() -> None:
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    vit = VisionTransformer(SIDE, 16, 1, 2, 8, 16, num_classes=4)
    own = Classifier.wrap(vit, preprocessing=Preprocessing(size=(SIDE, SIDE)), device="cpu")
    with pytest.raises(UsageError, match="needs a layer of rows and columns"):
        peer("pytorch_grad_cam", "GradCAM", lambda: own).maps(batch((2,)))
    assert heatmaps(peer("captum", "Saliency", lambda: own), batch((2,)))
