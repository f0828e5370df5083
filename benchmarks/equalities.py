"""How far gradbox's maps are from the same maps of other libraries, methods by networks.

Expected: at most 1e-6 of the map's largest value in each cell, in float64, at the layer's size and
before any scaling, with the same noise and the same points.

    python benchmarks/equalities.py

The networks are small or have random weights: equality is a matter of formulas. A cell is empty
where the method is not defined (guided backpropagation without ReLUs).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from captum import attr
from pytorch_grad_cam import (
    EigenCAM,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    XGradCAM,
)
from torch import Tensor, nn
from torchcam import methods as torchcam
from torchvision import models

from gradbox.attribution.cam import Cam, EigenCam, first_component, fused
from gradbox.attribution.class_maps import ClassMapMethod, Look
from gradbox.attribution.gradients import INPUT
from gradbox.attribution.layers import Layer
from gradbox.attribution.passes import pass_of
from gradbox.attribution.pixel_maps import PixelMap, SmoothGrad
from gradbox.geometry import Frame
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch
from gradbox.methods import METHODS
from gradbox.models.classifier import Classifier
from gradbox.models.copying import private_copy
from gradbox.specs import build

LABELS = (3, 1)


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )


def class_token() -> nn.Module:
    net = models.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5)
    nn.init.normal_(net.heads.head.weight)  # torchvision starts it at zero
    return net


def windows() -> nn.Module:
    return models.SwinTransformer([4, 4], 16, [2, 2], [2, 2], [4, 4], num_classes=5)


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "plain": (plain, 32),
    "resnet18": (lambda: models.resnet18(num_classes=5), 64),
    "squeezenet1_1": (lambda: models.squeezenet1_1(num_classes=5), 96),
    "mobilenet_v2": (lambda: models.mobilenet_v2(num_classes=5), 64),
    "efficientnet_b0": (lambda: models.efficientnet_b0(num_classes=5), 64),
    "vision transformer": (class_token, 32),
    "swin transformer": (windows, 32),
}
"""Each network with the side of its input."""


@dataclass(frozen=True, eq=False)
class Case:
    """A classifier, a batch of two images, and the copy of the network that a peer works on."""

    classifier: Classifier
    batch: Batch
    module: nn.Module

    @classmethod
    def of(cls, network: str) -> "Case":
        """The case of one of `NETWORKS`, always with the same weights and pixels."""
        torch.manual_seed(0)
        make, side = NETWORKS[network]
        classifier = Classifier.wrap(
            make(),
            preprocessing=Preprocessing(size=(side, side)),
            name=network,
            device="cpu",
            dtype="float64",
        )
        pixels = torch.randint(0, 256, (len(LABELS), 3, side, side), dtype=torch.uint8)
        frame = Frame.squash((side, side), (side, side))
        batch = Batch(
            image_ids=tuple(map(str, LABELS)),
            pixels=pixels,
            frames=(frame,) * len(LABELS),
            labels=tuple((label,) for label in LABELS),
        )
        return cls(classifier, batch, private_copy(classifier.module))

    @property
    def images(self) -> Tensor:
        """The normalized input, on which a peer may set what it likes."""
        return self.classifier.normalize(self.batch.pixels).requires_grad_()

    def inner(self, layer: Layer) -> nn.Module:
        """The layer of the peer's copy."""
        return self.module.get_submodule(layer.name)


def ours(method: ClassMapMethod, case: Case) -> Tensor:
    """Our map (b, h, w) or attribution (b, 3, h, w), at its own size and with its sign."""
    layers = method.layers(case.classifier)
    places = [*([INPUT] if method.derives_pixels else []), *(layer.name for layer in layers)]
    run = pass_of(case.classifier, case.batch, places=places)
    look = Look(case.classifier, layers, run, [LABELS])
    if isinstance(method, PixelMap):
        return next(iter(method.attributions(look)))
    if isinstance(method, EigenCam):
        activation = layers[0].spatial(run.outputs.at(layers[0].name).detach())
        return first_component(activation, method.centered)
    assert isinstance(method, Cam)
    maps = next(iter(method.of_layers(look)))
    return maps[0] if len(maps) == 1 else fused([one.clamp(min=0) for one in maps])


Reference = Callable[[Any, Case], Tensor]
"""From our method's options and a case to the peer's map."""


def jacob(kind: Any) -> Reference:
    """A method of pytorch-grad-cam, without its ReLU and its scaling."""

    def run(method: Any, case: Case) -> Tensor:
        (layer,) = method.layers(case.classifier)
        cam = kind(case.module, [case.inner(layer)], reshape_transform=layer.spatial)
        images, targets = case.images, [_logit(label) for label in LABELS]
        cam(images, targets)
        (activation,) = [one.numpy() for one in cam.activations_and_grads.activations]
        derivatives = cam.activations_and_grads.gradients
        derivative = derivatives[0].numpy() if derivatives else None
        inner = case.inner(layer)
        found = cam.get_cam_image(images, inner, targets, activation, derivative, False)
        cam.activations_and_grads.release()
        return torch.from_numpy(found)

    return run


def _logit(label: int) -> Callable[[Tensor], Tensor]:
    return lambda output: output[label]


def fernandez(kind: Any) -> Reference:
    """A method of torch-cam, without its scaling; where there are several layers, fused.

    Before they are fused each map is divided by its maximum, as the paper has it; torch-cam's own
    scaling takes the minimum away first and adds 1e-8.
    """

    def run(method: Any, case: Case) -> Tensor:
        layers = [case.inner(layer) for layer in method.layers(case.classifier)]
        with kind(case.module, layers) as extractor:
            scores = case.module(case.images)
            maps = extractor(list(LABELS), scores, normalized=False)
        if len(maps) == 1:
            return maps[0]
        tops = [one.amax(dim=(1, 2), keepdim=True) for one in maps]
        return kind.fuse_cams([(m / top).nan_to_num(0) for m, top in zip(maps, tops, strict=True)])

    return run


def _captum_layer(method: Any, case: Case) -> Tensor:
    (layer,) = method.layers(case.classifier)
    peer = attr.LayerGradCam(case.module, case.inner(layer))
    return peer.attribute(case.images, target=list(LABELS)).detach()[:, 0]


def _captum_guided(method: Any, case: Case) -> Tensor:
    (layer,) = method.layers(case.classifier)
    peer = attr.GuidedGradCam(case.module, case.inner(layer))
    return peer.attribute(case.images, target=list(LABELS), interpolate_mode="bilinear").detach()


def _captum_steps(method: Any, case: Case) -> Tensor:
    return attr.IntegratedGradients(case.module).attribute(
        case.images, target=list(LABELS), n_steps=method.steps, method=method.quadrature
    )


def _captum_noisy(method: SmoothGrad, case: Case) -> Tensor:
    saliency = attr.Saliency(case.module)
    noisy = [one.requires_grad_() for one in method.noisy(case.images.detach())]
    each = [saliency.attribute(one, target=list(LABELS), abs=False) for one in noisy]
    return torch.stack(each).mean(dim=0)


def _captum_product(_: Any, case: Case) -> Tensor:
    peer = attr.InputXGradient(case.module)
    return peer.attribute(case.images, target=list(LABELS)).detach()


REFERENCES: Mapping[tuple[str, str], Reference] = {
    ("gradcam", "pytorch-grad-cam"): jacob(GradCAM),
    ("gradcam", "torch-cam"): fernandez(torchcam.GradCAM),
    ("gradcam", "captum"): _captum_layer,
    ("hirescam", "pytorch-grad-cam"): jacob(HiResCAM),
    ("gradcam_pp(form=pytorch_grad_cam)", "pytorch-grad-cam"): jacob(GradCAMPlusPlus),
    ("gradcam_pp(form=torchcam)", "torch-cam"): fernandez(torchcam.GradCAMpp),
    ("xgradcam(eps=1e-7)", "pytorch-grad-cam"): jacob(XGradCAM),
    ("xgradcam(eps=1e-8)", "torch-cam"): fernandez(torchcam.XGradCAM),
    ("layercam", "pytorch-grad-cam"): jacob(LayerCAM),
    ("layercam", "torch-cam"): fernandez(torchcam.LayerCAM),
    ("layercam(layer=[stride8, last])", "torch-cam"): fernandez(torchcam.LayerCAM),
    ("eigencam(centered=true)", "pytorch-grad-cam"): jacob(EigenCAM),
    ("gradient_x_input", "captum"): _captum_product,
    ("smoothgrad(samples=3)", "captum"): _captum_noisy,
    ("integrated_gradients(steps=7)", "captum"): _captum_steps,
    ("integrated_gradients(steps=7, quadrature=riemann_middle)", "captum"): _captum_steps,
    ("guided_gradcam", "captum"): _captum_guided,
}
"""The maps of peers by our method and the library."""

_WITHOUT_RELU = frozenset({"mobilenet_v2", "efficientnet_b0", *list(NETWORKS)[-2:]})
_TOKENS = frozenset(list(NETWORKS)[-2:])


def is_defined(text: str, library: str, network: str) -> bool:
    """Whether both have the method on this network.

    captum's guided backpropagation knows `ReLU` alone, and only pytorch-grad-cam takes tokens for
    rows and columns.
    """
    if text == "guided_gradcam":
        return network not in _WITHOUT_RELU
    if "stride8" in text and network == "plain":
        return False
    return "cam" not in text or network not in _TOKENS or library == "pytorch-grad-cam"


def difference(text: str, library: str, case: Case) -> float:
    """The largest difference of our map and the peer's, as a share of the peer's largest value."""
    method = build(text, METHODS)
    assert isinstance(method, ClassMapMethod)
    theirs = REFERENCES[text, library](method, case).detach()
    found = ours(method, case).detach()
    if library == "torch-cam":  # which cuts off what is negative
        found = found.clamp(min=0)
    if text.startswith("eigencam"):  # a singular vector has no sign
        found = torch.where((found * theirs).sum(dim=(1, 2), keepdim=True) < 0, -found, found)
    return float((found - theirs).abs().max() / theirs.abs().max())


def main() -> None:
    print("| method | library |", " | ".join(NETWORKS), "|")
    print("|---|---|" + "---|" * len(NETWORKS))
    for text, library in REFERENCES:
        cells = [
            f"{difference(text, library, Case.of(network)):.0e}"
            if is_defined(text, library, network)
            else ""
            for network in NETWORKS
        ]
        print(f"| `{text}` | {library} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
