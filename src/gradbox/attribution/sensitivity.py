"""Paper A: localization by sensitivity analysis, from one forward and one backward pass."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.class_maps import ClassMapMethod, ClassMaps, Look
from gradbox.attribution.gradients import INPUT, Target, gradient, scalars_of
from gradbox.attribution.heatmaps import Reduce, reduce_channels
from gradbox.attribution.layers import Layer, find_layer
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.targets import Score, layer_mean
from gradbox.functions import load_function
from gradbox.localization import ClassFrom
from gradbox.models.classifier import Classifier


@dataclass(frozen=True)
class Sensitivity(ClassMapMethod):
    """Options of the sensitivity map.

    `target` is `class_score` (A1); `layer_mean`, the mean of the last convolutional layer (A2,
    "Gestalt Total"), which knows no class and does not run the head; or a function from `Outputs`
    to one scalar per image, in text `path/file.py:function`. `reduce` makes one number of the
    derivatives of a pixel's channels. `score` is the logit or the probability. `layer` overrides
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

    @property
    def needs_scores(self) -> bool:
        """The mean of a layer does not look at them."""
        return self.target != "layer_mean"

    @property
    def derives_pixels(self) -> bool:
        """It does."""
        return True

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer that is recorded, none where the target needs none."""
        wanted = self.target == "layer_mean" or self.layer is not None
        return [find_layer(classifier, self.layer)] if wanted else ()

    def maps(self, classifier: Classifier) -> MapMaker:
        """Sensitivity maps of this classifier; the file of a function is run.

        Raises:
            UsageError: the classifier is a black box, or there is no such function.
        """
        target = self.target
        named = isinstance(target, str) and target not in ("class_score", "layer_mean")
        ready = replace(self, target=load_function(str(target))) if named else self
        return ClassMaps(ready, classifier)

    def heatmaps(self, look: Look) -> Iterable[Float[Tensor, "b h w"]]:
        """The reduced derivative of the target, for each class where it is the class's score."""
        outputs, run = look.run.outputs, look.run
        if self.target != "class_score":
            scalars = scalars_of(self._target(look.layers), outputs)
            yield reduce_channels(gradient(scalars, outputs.images, keep=run.shared), self.reduce)
        for number, labels in enumerate(look.labels):
            found = run.derivatives(labels, self.score, [INPUT], more=look.follow(number))
            yield reduce_channels(found[INPUT], self.reduce)

    def _target(self, layers: Sequence[Layer]) -> Target:
        if callable(self.target):
            return self.target
        (layer,) = layers
        return lambda out: layer_mean(out.activations[layer.name], layer.prefix_tokens)
