"""Paper A: localization by sensitivity analysis, from one forward and one backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from gradbox.attribution.gradients import Outputs, Target, forward, gradient, scalars_of
from gradbox.attribution.heatmaps import Reduce, reduce_channels
from gradbox.attribution.layers import Layer, last_convolutional_layer
from gradbox.attribution.maps import MapsOfImage, label_maps, slots
from gradbox.attribution.targets import NO_CLASS, Score, class_score, labels_to_locate, layer_mean
from gradbox.errors import UsageError
from gradbox.functions import load_function
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier


@dataclass(frozen=True)
class Sensitivity:
    """Options of the sensitivity map.

    `target` is `class_score` (A1); `layer_mean`, the mean of the last convolutional layer (A2,
    "Gestalt Total"), which knows no class and does not run the head; or a function from `Outputs`
    to one scalar an image, in text `path/file.py:function`. `reduce` makes one number of a
    pixel's three derivatives. `score` is the logit or the softmax probability. `layer` overrides
    the layer of `layer_mean` and is recorded for a function.
    """

    target: str | Target = "class_score"
    reduce: Reduce = "mean"
    score: Score = "logit"
    layer: str | None = None

    def __post_init__(self) -> None:
        known = self.target in ("class_score", "layer_mean") or callable(self.target)
        if not known and ".py:" not in str(self.target):
            raise ValueError(
                f"target={self.target} is not class_score, layer_mean or path/file.py:function"
            )


@dataclass(frozen=True, eq=False)
class SensitivityMaps:
    """Sensitivity maps of a classifier; a `MapMaker`."""

    options: Sensitivity
    classifier: Classifier

    @cached_property
    def layer(self) -> Layer | None:
        """The layer that is recorded, None where the target needs none."""
        classifier = self.classifier.with_layer(self.options.layer)
        wanted = self.options.target == "layer_mean" or self.options.layer is not None
        return last_convolutional_layer(classifier) if wanted else None

    @cached_property
    def _function(self) -> Target:
        target = self.options.target
        return target if callable(target) else load_function(target)

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image, one for each class asked for, main class first.

        Raises:
            UsageError: the target is a class score but no class is wanted.
        """
        outputs = self._forward(batch)
        labels = labels_to_locate(outputs.logits, batch)
        return label_maps(outputs.logits, labels, self._heatmaps(outputs, labels))

    def _forward(self, batch: Batch) -> Outputs:
        unknown = [given is None and batch.selection == NO_CLASS for given in batch.labels]
        if any(unknown) and self.options.target == "class_score":
            raise UsageError(
                "a class score needs a class: for none at all, use 'sensitivity(target=layer_mean)'"
            )
        return forward(
            self.classifier,
            self.classifier.normalize(batch.pixels),
            layers=[self.layer.name] if self.layer else [],
            head=not (all(unknown) and self.options.target == "layer_mean"),
        )

    def _heatmaps(
        self, outputs: Outputs, labels: Sequence[Sequence[int | None]]
    ) -> Sequence[Float[np.ndarray, "b h w"]]:
        """The maps of the whole batch, for the first class of each image, the second, and so on.

        A target that knows no class has one map, whatever the number of classes.
        """
        targets = self._targets(labels)
        maps = []
        for i, target in enumerate(targets):
            scalars = scalars_of(target, outputs)
            attribution = gradient(scalars, outputs.images, keep=i + 1 < len(targets))
            maps.append(reduce_channels(attribution, self.options.reduce).cpu().numpy())
        return maps

    def _targets(self, labels: Sequence[Sequence[int | None]]) -> Sequence[Target]:
        target, layer = self.options.target, self.layer
        if target == "class_score":
            return [_class_target(asked, self.options.score) for asked in slots(labels)]
        if target == "layer_mean":
            assert layer is not None
            return [lambda out: layer_mean(out.activations[layer.name], layer.prefix_tokens)]
        return [self._function]


def _class_target(labels: Sequence[int | None], score: Score) -> Target:
    def target(outputs: Outputs) -> torch.Tensor:
        logits = outputs.logits
        assert logits is not None
        return class_score(logits, torch.tensor(labels, device=logits.device), score)

    return target
