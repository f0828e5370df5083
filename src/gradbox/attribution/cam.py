"""Class activation maps: the channels of a layer, weighed by the derivative of a class's score.

With an activation A (b, c, h, w) of a layer and the derivative G = dS/dA of the score of a class, a
map is max(0, sum over c of w * A); the methods differ in the weights w. It is made at the layer's
size and brought to the size of the input, bilinearly. A transformer's tokens lie on their grid.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.class_maps import ClassMapMethod, Look
from gradbox.attribution.heatmaps import normalize_max
from gradbox.attribution.layers import Layer, find_layer, scored_layer
from gradbox.attribution.method import KnowsNoClass
from gradbox.attribution.targets import Score
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier

Activation = Float[Tensor, "b c h w"]
Map = Float[Tensor, "b h w"]
Layers = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Cam(ClassMapMethod):
    """Options of a class activation map; `weighed` is its formula.

    `layer` is `last`, the last convolutional one, `strideN`, the last with a row for each N rows of
    the input, a layer's name, or a list of these, whose maps are fused (see `fused`). `score` is
    the logit or the probability.
    """

    layer: Layers = None
    score: Score = "logit"

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layers that it looks into."""
        names = self.layer if isinstance(self.layer, tuple) else (self.layer,)
        if not names:
            raise UsageError("layer=[]: give the name of a layer, last, or strideN")
        found = dict.fromkeys(scored_layer(classifier, name) for name in names)
        return [_with_a_grid(layer, classifier) for layer in found]

    def heatmaps(self, look: Look) -> Iterable[Map]:
        """The map of each class at the size of the input, of all layers."""
        for maps in self.of_layers(look):
            yield resized(fused([one.clamp(min=0) for one in maps]), look.images)

    def of_layers(self, look: Look) -> Iterator[list[Map]]:
        """The maps of each class, one for each layer at its own size, negative values kept."""
        outputs, places = look.run.outputs, [layer.name for layer in look.layers]
        for number, labels in enumerate(look.labels):
            found = look.run.derivatives(labels, self.score, places, more=look.follow(number))
            yield [
                self.weighed(
                    layer.spatial(outputs.at(layer.name).detach()).to(found[layer.name].dtype),
                    layer.spatial(found[layer.name]),
                )
                for layer in look.layers
            ]

    @abstractmethod
    def weighed(self, activation: Activation, derivative: Activation) -> Map:
        """The map before what is negative is cut off."""


@dataclass(frozen=True)
class GradCam(Cam):
    """Grad-CAM: a channel weighs what its derivative is on average.

    w = mean over the positions of G. (Selvaraju et al., ICCV 2017, equations 1 and 2.) For a
    network that ends in global average pooling and one linear layer it is CAM (Zhou et al., CVPR
    2016) but for a factor.
    """

    def weighed(self, activation: Activation, derivative: Activation) -> Map:
        """See the class."""
        return _sum(derivative.mean(dim=(2, 3), keepdim=True) * activation)


@dataclass(frozen=True)
class HiResCam(Cam):
    """HiResCAM: each position of a channel weighs its own derivative, w = G.

    (Draelos & Carin, arXiv:2011.08891.)
    """

    def weighed(self, activation: Activation, derivative: Activation) -> Map:
        """See the class."""
        return _sum(derivative * activation)


@dataclass(frozen=True)
class GradCamPlusPlus(Cam):
    """Grad-CAM++: the positive derivatives of a channel, each with a share of its own.

    w = sum over the positions of a * max(0, G), a = G^2 / (2 G^2 + G^3 * sum of A). (Chattopadhyay
    et al., WACV 2018, equations 10 and 19.) `form=paper` is that; pytorch_grad_cam adds 1e-6 to the
    denominator, which changes maps whose derivatives are small, and torchcam (0.4) does not divide
    at all, a = G^2.
    """

    form: Literal["paper", "pytorch_grad_cam", "torchcam"] = "paper"

    def weighed(self, activation: Activation, derivative: Activation) -> Map:
        """See the class."""
        squared = derivative**2
        whole = 2 * squared + squared * derivative * activation.sum(dim=(2, 3), keepdim=True)
        shares = {
            "paper": lambda: _ratio(squared, whole),
            "pytorch_grad_cam": lambda: squared / (whole + 1e-6),
            "torchcam": lambda: squared,
        }[self.form]()
        weights = (shares * derivative.clamp(min=0)).sum(dim=(2, 3), keepdim=True)
        return _sum(weights * activation)


@dataclass(frozen=True)
class XGradCam(Cam):
    """XGrad-CAM: the mean derivative of a channel, weighed by its activation.

    w = sum over the positions of G * A / sum of A. (Fu et al., BMVC 2020, equation 8.) `eps` is
    added to the denominator: pytorch-grad-cam has 1e-7, torch-cam 1e-8. Where activations can be
    negative their sum may be near 0, and the weight means little.
    """

    eps: float = 0.0

    def weighed(self, activation: Activation, derivative: Activation) -> Map:
        """See the class."""
        total = activation.sum(dim=(2, 3), keepdim=True) + self.eps
        weights = _ratio((derivative * activation).sum(dim=(2, 3), keepdim=True), total)
        return _sum(weights * activation)


@dataclass(frozen=True)
class LayerCam(Cam):
    """LayerCAM: each position of a channel weighs its derivative where that is positive.

    w = max(0, G). (Jiang et al., TIP 2021, equations 6 and 7.) It is made for early layers, too.
    """

    def weighed(self, activation: Activation, derivative: Activation) -> Map:
        """See the class."""
        return _sum(derivative.clamp(min=0) * activation)


@dataclass(frozen=True)
class EigenCam(KnowsNoClass, ClassMapMethod):
    """Eigen-CAM: a layer's activation along its first principal direction, whatever the class.

    With the activation as a matrix X of positions x channels, the map is X v, v its first right
    singular vector. (Muhammad & Yeasin, IJCNN 2020.) `centered` takes the mean of each channel
    away first, as pytorch-grad-cam does; the sign, which a singular vector leaves open, is here the
    one with the larger sum of squares above zero. `layer` is as in `gradcam`.
    """

    layer: str | None = None
    centered: bool = False

    @property
    def needs_scores(self) -> bool:
        """It does not look at them."""
        return False

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer that it looks into."""
        return [_with_a_grid(find_layer(classifier, self.layer), classifier)]

    def heatmaps(self, look: Look) -> Iterable[Map]:
        """One map for all classes at the size of the input."""
        (layer,) = look.layers
        activation = layer.spatial(look.run.outputs.at(layer.name).detach())
        yield resized(first_component(activation, self.centered).clamp(min=0), look.images)


def first_component(activation: Activation, centered: bool = False) -> Map:
    """X v of `EigenCam`, with its sign, by the eigenvectors of X X^T."""
    rows = activation.flatten(2).mT.double()
    if centered:
        rows = rows - rows.mean(dim=1, keepdim=True)
    values, vectors = torch.linalg.eigh(rows @ rows.mT)
    found = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    above, below = found.clamp(min=0).square().sum(1), found.clamp(max=0).square().sum(1)
    signed = torch.where((above >= below)[:, None], found, -found)
    return signed.reshape(len(signed), *activation.shape[2:]).to(activation.dtype)


def fused(maps: Sequence[Float[Tensor, "b _ _"]], gamma: float = 2.0) -> Map:
    """The maps of several layers as one at the largest size: the maximum of tanh(gamma * M / max).

    One map stays as it is. (LayerCAM, equation 9; there for the earlier layers, here for all, as in
    torch-cam.)
    """
    if len(maps) == 1:
        return maps[0]
    largest = max(maps, key=lambda one: one.shape[1] * one.shape[2])
    scaled = [resized(torch.tanh(gamma * normalize_max(one)), largest) for one in maps]
    return torch.stack(scaled).amax(dim=0)


def resized(maps: Map, like: Float[Tensor, "b ..."]) -> Float[Tensor, "b rows columns"]:
    """Maps at the height and width of another tensor, bilinearly."""
    if maps.shape[1:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps[:, None], like.shape[-2:], mode="bilinear")[:, 0]


def _sum(weighed: Activation) -> Map:
    return weighed.sum(dim=1)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """The ratio, 0 where the whole is 0."""
    return torch.where(whole == 0, 0.0, part / torch.where(whole == 0, 1.0, whole))


def _with_a_grid(layer: Layer, classifier: Classifier) -> Layer:
    if layer.grid is None:
        raise UsageError(
            f"the tokens of {layer} of {classifier.name} lie on no known grid of rows and columns: "
            "name another layer, or use 'sensitivity'"
        )
    return layer
