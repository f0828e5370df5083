"""Maps of the pixels that are made of several gradients, or of a gradient and something else.

Each gives an attribution (b, c, h, w) of the score of a class; the map is the mean, or the maximum,
of the absolute values of a pixel's three colours.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.cam import GradCam
from gradbox.attribution.class_maps import ClassMapMethod, Look
from gradbox.attribution.gradients import INPUT, forward, gradient, scalars_of
from gradbox.attribution.heatmaps import Reduce, reduce_channels
from gradbox.attribution.layers import Layer, scored_layer
from gradbox.attribution.targets import Score, class_target
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier

Images = Float[Tensor, "b c h w"]


@dataclass(frozen=True)
class PixelMap(ClassMapMethod):
    """What these maps share: how channels are reduced, and which score is derived."""

    reduce: Reduce = "mean"
    score: Score = "logit"

    def heatmaps(self, look: Look) -> Iterable[Float[Tensor, "b h w"]]:
        """The reduced attribution of each class."""
        for one in self.attributions(look):
            yield reduce_channels(one, self.reduce)

    @abstractmethod
    def attributions(self, look: Look) -> Iterable[Images]:
        """The attributions of all images for the first class, the second, and so on."""


@dataclass(frozen=True)
class GradientXInput(PixelMap):
    """Gradient times input: x * dS/dx, of the normalized input x.

    (Shrikumar et al., arXiv:1605.01713.) `reduce` and `score` are as in `sensitivity`.
    """

    @property
    def derives_pixels(self) -> bool:
        """It does."""
        return True

    def attributions(self, look: Look) -> Iterable[Images]:
        """See the class."""
        for number, labels in enumerate(look.labels):
            found = look.run.derivatives(labels, self.score, [INPUT], more=look.follow(number))
            yield look.images * found[INPUT]


@dataclass(frozen=True)
class SmoothGrad(PixelMap):
    """SmoothGrad: the mean gradient of `samples` noisy copies of the image.

    The noise is Gaussian with a deviation of `sigma` times the range of the image's normalized
    values; it is drawn from `seed` and the same for all images. (Smilkov et al., arXiv:1706.03825,
    who advise a sigma of 0.1 to 0.2 and 50 samples.) Costs a forward and a backward pass a sample.
    """

    samples: int = 25
    sigma: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UsageError(f"samples={self.samples}: a number of noisy copies, 1 or more")
        if not 0 < self.sigma < np.inf:
            raise UsageError(f"sigma={self.sigma}: a share of the range of values, above 0")

    def attributions(self, look: Look) -> Iterable[Images]:
        """See the class."""
        share = 1 / self.samples
        noisy = ((share, images) for images in self.noisy(look.images))
        return weighted_gradients(look, noisy, self.score)

    def noisy(self, images: Images) -> Iterator[Images]:
        """The noisy copies of the images, one after the other."""
        seeded = torch.Generator().manual_seed(self.seed)
        spread = self.sigma * (images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3)))
        for _ in range(self.samples):
            noise = torch.randn(images.shape[1:], generator=seeded).to(images)
            yield images + spread[:, None, None, None] * noise


@dataclass(frozen=True)
class IntegratedGradients(PixelMap):
    """Integrated gradients: x times the mean gradient on the way from the mean colour to x.

    The way starts at a normalized input of 0. `steps` points of it are taken, by Gauss and Legendre
    or in the middle of equal parts, as captum names them. (Sundararajan et al.,
    ICML 2017, equation 1.) Costs a forward and a backward pass a step.
    """

    steps: int = 20
    quadrature: Literal["gausslegendre", "riemann_middle"] = "gausslegendre"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"steps={self.steps}: a number of points, 1 or more")

    def attributions(self, look: Look) -> Iterable[Images]:
        """See the class."""
        points = ((weight, at * look.images) for at, weight in self.points())
        for mean in weighted_gradients(look, points, self.score):
            yield look.images * mean

    def points(self) -> Sequence[tuple[float, float]]:
        """Places on the way, in [0, 1], each with its weight; the weights sum to 1."""
        if self.quadrature == "gausslegendre":
            at, weights = np.polynomial.legendre.leggauss(self.steps)
            at, weights = (at + 1) / 2, weights / 2
        else:
            at = (np.arange(self.steps) + 0.5) / self.steps
            weights = np.full(self.steps, 1 / self.steps)
        return list(zip(at.tolist(), weights.tolist(), strict=True))


@dataclass(frozen=True)
class GuidedGradCam(PixelMap):
    """Guided Grad-CAM: guided backpropagation of the score times the Grad-CAM of `layer`.

    (Selvaraju et al., ICCV 2017, section 3.2.) For networks with ReLUs. Costs one more forward and
    one backward pass; `layer` is as in `gradcam`.
    """

    layer: str | None = None

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer of the Grad-CAM."""
        return [scored_layer(classifier, self.layer)]

    def attributions(self, look: Look) -> Iterable[Images]:
        """See the class."""
        cams = GradCam(self.layer, self.score).heatmaps(look)
        guided = forward(look.classifier, look.images, rule="guided")
        for number, (labels, cam) in enumerate(zip(look.labels, cams, strict=True)):
            scalars = scalars_of(class_target(labels, self.score), guided)
            found = gradient(scalars, guided.images, keep=look.follow(number))
            yield found * cam[:, None]


def weighted_gradients(
    look: Look, points: Iterable[tuple[float, Images]], score: Score
) -> Sequence[Images]:
    """The weighted sum of the gradients at several inputs, for each class asked for.

    One forward pass of a point serves all classes.
    """
    sums: list[Images | float] = [0.0] * len(look.labels)
    for weight, images in points:
        outputs = forward(look.classifier, images)
        for number, labels in enumerate(look.labels):
            scalars = scalars_of(class_target(labels, score), outputs)
            found = gradient(scalars, outputs.images, keep=look.follow(number))
            sums[number] = sums[number] + weight * found
    return [one for one in sums if isinstance(one, Tensor)]
