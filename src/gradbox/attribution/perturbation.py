"""Maps without a gradient: parts of the image are covered, and the score or a layer is watched.

The classifier is only called, so these maps work on a black box too. What `occlusion` and `rise`
share is here: what is watched, and covered images through the network a few at a time. Each says
which masks it tries, and what it makes of the values that were seen under them.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.gradients import forward
from gradbox.attribution.layers import Layer, find_layer
from gradbox.attribution.maps import MapMaker, MapsOfImage, label_maps
from gradbox.attribution.method import MapMethod
from gradbox.attribution.targets import Score, labels_to_locate, layer_mean, needs_head
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.localization import Batch, ClassFrom
from gradbox.models.classifier import Classifier

Fill = Literal["mean", "black", "grey", "white"]
_LEVELS = {"black": 0, "grey": 128, "white": 255}
AT_ONCE = 16
"""Covered images in the network at the same time, as many as images of a usual batch."""

Masks = Float[Tensor, "n h w"]
"""1 where the image is seen, 0 where it is covered."""
Watch = Callable[[Masks], Float[Tensor, "n k"]]
"""The values of the k targets of one image under masks."""


@dataclass(frozen=True)
class Perturbation(MapMethod):
    """What is watched, and what covers the image.

    `target` is `class_score`, with `score` the probability or the logit, or `layer_mean`, the mean
    of the last convolutional layer or of `layer`. `fill` covers: the mean colour of the
    preprocessing, or black, grey or white.
    """

    target: Literal["class_score", "layer_mean"] = "class_score"
    score: Score = "probability"
    layer: str | None = None
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        if self.layer is not None and self.target != "layer_mean":
            raise UsageError(f"layer={self.layer} is what target=layer_mean watches: add that")

    @property
    def class_from(self) -> ClassFrom:
        """The recognized class; none for the mean of a layer, which knows no class."""
        return "none" if self.target == "layer_mean" else "predicted"

    @property
    def needs_class(self) -> bool:
        """Only the score of a class needs one."""
        return self.target == "class_score"

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer that is watched, none for the score of a class."""
        if self.target == "class_score":
            return ()
        return [find_layer(classifier, self.layer)]

    def maps(self, classifier: Classifier) -> MapMaker:
        """Its maps of this classifier.

        Raises:
            UsageError: the options do not go with the size of the classifier's input.
        """
        self.check_size(classifier.preprocessing.size)
        return PerturbationMaps(self, classifier)

    @abstractmethod
    def check_size(self, size: Size) -> None:
        """Refuse options that do not go with an input of (height, width)."""

    @abstractmethod
    def map_of(self, size: Size, watch: Watch) -> Float[Tensor, "k h w"]:
        """The map of each target over an input of (height, width), with its sign."""


@dataclass(frozen=True)
class PerturbationMaps:
    """Maps of a classifier that is only called; a `MapMaker`.

    Each image is covered for itself, so that its map does not depend on the others of its batch.
    What is below 0 counts as 0.
    """

    options: Perturbation
    classifier: Classifier

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image, one for each class, main class first, all of the same calls.

        The mean of a layer has one map, whatever the number of classes.

        Raises:
            UsageError: the target is a class score but no class is wanted.
        """
        images = self.classifier.normalize(batch.pixels)
        head = needs_head(batch, needs_class=self.options.needs_class)
        logits = forward(self.classifier, images, by="nothing").logits if head else None
        labels = labels_to_locate(self.classifier, logits, batch)
        size = (images.shape[2], images.shape[3])
        of_images = [
            self.options.map_of(size, self.watch(image, asked)).clamp(min=0).cpu().numpy()
            for image, asked in zip(images, labels, strict=True)
        ]
        count = max(map(len, of_images))
        by_slot = [
            np.stack([of_image[min(slot, len(of_image) - 1)] for of_image in of_images])
            for slot in range(count)
        ]
        return label_maps(self.classifier.head, logits, labels, by_slot)

    def watch(self, image: Float[Tensor, "c h w"], labels: Sequence[int | None]) -> Watch:
        """What is watched of one normalized image under masks, for these classes; a `Watch`."""

        def watched(masks: Masks) -> Float[Tensor, "n k"]:
            seen = masks.to(image)[:, None]
            return self._values(image * seen + self._fill * (1 - seen), labels)

        return watched

    def _values(
        self, images: Float[Tensor, "n c h w"], labels: Sequence[int | None]
    ) -> Float[Tensor, "n k"]:
        """What is watched, in float32 or float64."""
        if self._layer is not None:
            layers = [self._layer.name]
            outputs = forward(self.classifier, images, layers=layers, head=False, by="nothing")
            activation = _precise(outputs.activations[self._layer.name])
            return layer_mean(activation, self._layer.prefix_tokens)[:, None]
        logits = forward(self.classifier, images, by="nothing").logits
        assert logits is not None
        if max(label or 0 for label in labels) >= logits.shape[1]:
            raise UsageError(
                f"{self.classifier.name} returned {logits.shape[1]} scores where it returned more "
                "before: a classifier always has the same classes"
            )
        values = _precise(logits)
        if self.options.score == "probability":
            values = self.classifier.head.probabilities(values)
        return values[:, list(labels)]

    @cached_property
    def _layer(self) -> Layer | None:
        return next(iter(self.options.layers(self.classifier)), None)

    @cached_property
    def _fill(self) -> Tensor:
        """The normalized colour that covers, (1, c, 1, 1); the mean colour is 0."""
        level = _LEVELS.get(self.options.fill, 0)
        shape = (1, self.classifier.preprocessing.channels, 1, 1)
        colour = self.classifier.normalize(torch.full(shape, level, dtype=torch.uint8))
        return torch.zeros_like(colour) if self.options.fill == "mean" else colour


def check_calls(calls: int) -> None:
    """Refuse a budget of no calls.

    Raises:
        UsageError: it is one.
    """
    if calls < 1:
        raise UsageError(f"calls={calls}: forward passes an image, 1 or more")


def _precise(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
