"""Heat maps of other libraries, by their own code: captum, pytorch-grad-cam, torch-cam.

They come with the extra `peers` and are imported when they are used. A peer sets hooks that see
every pass, so it works on a copy of the classifier's module of its own, one thread at a time.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gradbox.attribution.gradients import differentiable, refuse_scripts
from gradbox.attribution.heatmaps import Reduce, reduce_channels
from gradbox.attribution.layers import Layer, find_layer
from gradbox.attribution.maps import MapMaker, MapsOfImage, label_maps, slots
from gradbox.attribution.method import MapMethod
from gradbox.attribution.targets import labels_to_locate
from gradbox.errors import UsageError, nearest
from gradbox.localization import Batch
from gradbox.models.black_box import refuse_black_box
from gradbox.models.classifier import Classifier
from gradbox.models.copying import private_copy
from gradbox.models.trying import logits_of

Library = Literal["captum", "pytorch_grad_cam", "torchcam"]
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class Peer(MapMethod):
    """A heat map of another library: `library` captum, pytorch_grad_cam or torchcam.

    `name` is the library's own name of the method, such as Saliency or GradCAM. `layer` overrides
    the last convolutional layer, for methods that look into one. `reduce` makes one number of a
    pixel's derivatives, for methods that give one for each channel.
    """

    library: Library = "captum"
    name: str = "Saliency"
    layer: str | None = None
    reduce: Reduce = "mean"

    def __post_init__(self) -> None:
        known = _METHODS[self.library]
        if self.name not in known:
            raise ValueError(
                f"name={self.name} is no method of {self.library}"
                f"{nearest(self.name, known)}; known: {', '.join(known)}"
            )

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer that the method looks into, none where it looks into none.

        Raises:
            UsageError: the layer has no rows and columns.
        """
        if self.name in _WITHOUT_LAYER:
            return ()
        layer = find_layer(classifier, self.layer)
        if len(layer.shape) != 3:
            raise UsageError(
                f"{self.name} of {self.library} needs a layer of rows and columns "
                f"and {layer} has none: use a convolutional network or captum's Saliency"
            )
        return [layer]

    def maps(self, classifier: Classifier) -> MapMaker:
        """The library's maps of this classifier; a UsageError where it is a black box."""
        refuse_black_box(classifier.module, classifier.name)
        return PeerMaps(self, classifier)


class _Logits(nn.Module):
    """A network that returns the logits of its classes alone, as the libraries expect."""

    def __init__(self, network: nn.Module, classifier: Classifier) -> None:
        super().__init__()
        self.network = network
        self.classifier = classifier

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n"]:
        return logits_of(self.classifier, self.network(images), len(images))


@dataclass(frozen=True)
class PeerMaps:
    """Another library's heat maps of a classifier; a `MapMaker`."""

    options: Peer
    classifier: Classifier

    @cached_property
    def _layer(self) -> Layer | None:
        return next(iter(self.options.layers(self.classifier)), None)

    @cached_property
    def _module(self) -> "_Logits":
        if self.options.name in _SWAPS_RELUS:
            refuse_scripts(self.classifier)
        return _Logits(private_copy(self.classifier.module), self.classifier)

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image at input size, one for each class asked for, main class first.

        Raises:
            UsageError: no class is wanted, or the library is not installed.
        """
        images, module = self.classifier.normalize(batch.pixels), self.classifier.module
        with torch.no_grad():
            logits = logits_of(self.classifier, module(images), len(images))
        labels = labels_to_locate(self.classifier, logits, batch)
        heatmaps = []
        for asked in slots(labels):
            if None in asked:
                raise UsageError(f"{self.options.name} needs a class: there is none without one")
            indices = torch.tensor(asked, device=images.device)
            heatmaps.append(self._heatmaps(images, indices))
        return label_maps(self.classifier.head, logits, labels, heatmaps)

    def _heatmaps(
        self, images: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"]
    ) -> Float[np.ndarray, "b h w"]:
        options, layer = self.options, self._layer
        run = _METHODS[options.library][options.name]
        module = self._module
        inside = None if layer is None else module.network.get_submodule(layer.name)
        with _ONE_AT_A_TIME, differentiable(), _quiet():
            own = images.detach().clone(memory_format=torch.preserve_format).requires_grad_()
            values = run(
                _library(options.library, options.name), module, inside, own, labels.clone()
            )
        found = values.detach().float()
        if found.dim() == 4:
            found = reduce_channels(found, options.reduce) if layer is None else found[:, 0]
        sized = F.interpolate(found[:, None], images.shape[2:], mode="bilinear")[:, 0]
        return sized.clamp(min=0).cpu().numpy()


_Run = Callable[[Any, nn.Module, nn.Module | None, Tensor, Tensor], Tensor]
"""From the library's class, the network, the layer, images (b, c, h, w) and labels (b,) to maps."""


def _captum(
    method: Any, module: nn.Module, _: nn.Module | None, images: Tensor, labels: Tensor
) -> Tensor:
    return method(module).attribute(images, target=labels)


def _captum_in_steps(
    method: Any, module: nn.Module, _: nn.Module | None, images: Tensor, labels: Tensor
) -> Tensor:
    return method(module).attribute(images, target=labels, internal_batch_size=len(images))


def _captum_layer(
    method: Any, module: nn.Module, layer: nn.Module | None, images: Tensor, labels: Tensor
) -> Tensor:
    return method(module, layer).attribute(images, target=labels, relu_attributions=True)


def _pytorch_grad_cam(
    method: Any, module: nn.Module, layer: nn.Module | None, images: Tensor, labels: Tensor
) -> Tensor:
    targets = [lambda output, label=label: output[label] for label in labels.tolist()]
    cam = method(module, [layer])
    try:
        return torch.from_numpy(cam(images, targets))
    finally:
        cam.activations_and_grads.release()


def _torchcam(
    method: Any, module: nn.Module, layer: nn.Module | None, images: Tensor, labels: Tensor
) -> Tensor:
    with method(module, layer) as extractor:
        scores = module(images)
        (heatmaps,) = extractor(labels.tolist(), scores)
    return heatmaps


_METHODS: Mapping[Library, Mapping[str, _Run]] = {
    "captum": {
        "Saliency": _captum,
        "InputXGradient": _captum,
        "GuidedBackprop": _captum,
        "Deconvolution": _captum,
        "IntegratedGradients": _captum_in_steps,
        "LayerGradCam": _captum_layer,
    },
    "pytorch_grad_cam": dict.fromkeys(
        (
            "GradCAM",
            "GradCAMElementWise",
            "GradCAMPlusPlus",
            "HiResCAM",
            "XGradCAM",
            "LayerCAM",
            "EigenCAM",
            "EigenGradCAM",
        ),
        _pytorch_grad_cam,
    ),
    "torchcam": dict.fromkeys(("GradCAM", "GradCAMpp", "XGradCAM", "LayerCAM"), _torchcam),
}
_WITHOUT_LAYER = frozenset(
    name for name, run in _METHODS["captum"].items() if run is not _captum_layer
)
_SWAPS_RELUS = frozenset({"GuidedBackprop", "Deconvolution"})
_MODULES: Mapping[Library, str] = {
    "captum": "captum.attr",
    "pytorch_grad_cam": "pytorch_grad_cam",
    "torchcam": "torchcam.methods",
}


def _library(library: Library, name: str) -> Any:
    try:
        return getattr(import_module(_MODULES[library]), name)
    except ImportError as error:
        raise UsageError(
            f"peer(library={library}) needs {library}, which is not installed ({error}): "
            "pip install 'gradbox[peers]'"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without captum's warning that it sets hooks on the ReLUs, which it does by design."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU activations")
        yield
