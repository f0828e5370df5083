"""Paper A: localization by sensitivity analysis, from one forward and one backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gradbox.attribution.gradients import Target, gradient, scalars_of
from gradbox.attribution.heatmaps import Reduce, reduce_channels
from gradbox.attribution.layers import Layer, last_convolutional_layer
from gradbox.attribution.maps import MapMaker, MapsOfImage, label_maps, slots
from gradbox.attribution.method import MapMethod
from gradbox.attribution.passes import pass_of
from gradbox.attribution.targets import (
    NO_CLASS,
    Score,
    class_target,
    labels_to_locate,
    layer_mean,
)
from gradbox.errors import UsageError
from gradbox.functions import load_function
from gradbox.localization import Batch, ClassFrom
from gradbox.models.classifier import Classifier


@dataclass(frozen=True)
class Sensitivity(MapMethod):
    """Options of the sensitivity map.

    `target` is `class_score` (A1); `layer_mean`, the mean of the last convolutional layer (A2,
    "Gestalt Total"), which knows no class and does not run the head; or a function from `Outputs`
    to one scalar per image, in text `path/file.py:function`. `reduce` makes one number of a
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

    @property
    def class_from(self) -> ClassFrom:
        """The recognized class; none for the mean of a layer, which knows no class."""
        return "none" if self.target == "layer_mean" else "predicted"

    @property
    def needs_class(self) -> bool:
        """Only the score of a class needs one."""
        return self.target == "class_score"

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer that is recorded, none where the target needs none."""
        wanted = self.target == "layer_mean" or self.layer is not None
        return [last_convolutional_layer(classifier.with_layer(self.layer))] if wanted else ()

    def maps(self, classifier: Classifier) -> MapMaker:
        """Sensitivity maps of this classifier."""
        return SensitivityMaps(self, classifier)


@dataclass(frozen=True)
class SensitivityMaps:
    """Sensitivity maps of a classifier; a `MapMaker`."""

    options: Sensitivity
    classifier: Classifier

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image, one for each class asked for, main class first.

        A target that knows no class has one map, whatever the number of classes.

        Raises:
            UsageError: the target is a class score but no class is wanted.
        """
        run = pass_of(
            self.classifier,
            batch,
            layers=[layer.name for layer in self._layers],
            head=self._needs_head(batch),
        )
        outputs = run.outputs
        labels = labels_to_locate(outputs.logits, batch)
        targets, heatmaps = self._targets(labels), []
        for i, target in enumerate(targets):
            more = run.shared or i + 1 < len(targets)
            attribution = gradient(scalars_of(target, outputs), outputs.images, keep=more)
            heatmaps.append(reduce_channels(attribution, self.options.reduce).cpu().numpy())
        return label_maps(outputs.logits, labels, heatmaps)

    @cached_property
    def _layers(self) -> Sequence[Layer]:
        return self.options.layers(self.classifier)

    @cached_property
    def _function(self) -> Target:
        target = self.options.target
        return target if callable(target) else load_function(target)

    def _needs_head(self, batch: Batch) -> bool:
        unknown = [given is None and batch.selection == NO_CLASS for given in batch.labels]
        if any(unknown) and self.options.needs_class:
            raise UsageError(
                "a class score needs a class: for none at all, use 'sensitivity(target=layer_mean)'"
            )
        return not (all(unknown) and self.options.target == "layer_mean")

    def _targets(self, labels: Sequence[Sequence[int | None]]) -> Sequence[Target]:
        """What is derived for the first class of each image, for the second, and so on."""
        if self.options.target == "class_score":
            return [class_target(asked, self.options.score) for asked in slots(labels)]
        if self.options.target == "layer_mean":
            (layer,) = self._layers
            return [lambda out: layer_mean(out.activations[layer.name], layer.prefix_tokens)]
        return [self._function]
