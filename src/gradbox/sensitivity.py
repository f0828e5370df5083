"""Paper A: localization by sensitivity analysis, from one forward and one backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from gradbox.classifier import Classifier
from gradbox.errors import NOT_FINITE, ImageError, UsageError
from gradbox.estimators import BoxEstimator
from gradbox.functions import load_function
from gradbox.gradients import Outputs, Target, forward, gradient
from gradbox.heatmaps import Reduce, reduce_channels
from gradbox.layers import Layer, last_convolutional_layer
from gradbox.localization import Batch, Localization
from gradbox.targets import Score, class_score, labels_to_locate, layer_mean, top_labels


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
class LabelledMap:
    """The heat map (h, w) over the input of one image for one class, and the class's probability.

    `label` is None, and `label_score` 1.0, where no class was asked for. `top_labels` are the
    image's five most probable classes.
    """

    label: int | None
    label_score: float
    heatmap: Float[np.ndarray, "h w"]
    top_labels: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class SensitivityLocalizer:
    """Sensitivity maps and the boxes that an estimator makes of them; a `Localizer`."""

    options: Sensitivity
    classifier: Classifier
    estimator: BoxEstimator

    @cached_property
    def layer(self) -> Layer | None:
        """The layer that is recorded, None where the target needs none."""
        classifier = self.classifier.with_layer(self.options.layer)
        wanted = self.options.target == "layer_mean" or self.options.layer is not None
        return last_convolutional_layer(classifier) if wanted else None

    def localize(
        self, batch: Batch, *, details: bool = False
    ) -> Sequence[Localization | ImageError]:
        """One `Localization` for each image, with a box for each class asked for."""
        return [
            found if isinstance(found, ImageError) else self._box(batch, i, found, details)
            for i, found in enumerate(self.maps(batch))
        ]

    def maps(self, batch: Batch) -> Sequence[Sequence[LabelledMap] | ImageError]:
        """The maps of each image, one for each class asked for, main class first.

        Raises:
            UsageError: the target is a class score but no class is wanted.
        """
        outputs = self._forward(batch)
        labels = labels_to_locate(outputs.logits, batch)
        by_slot = self._heatmaps(outputs, labels)
        probabilities = None if outputs.logits is None else outputs.logits.detach().softmax(1).cpu()
        found: list[Sequence[LabelledMap] | ImageError] = []
        for i, asked in enumerate(labels):
            maps = [
                LabelledMap(
                    label=label,
                    label_score=_probability(probabilities, i, label),
                    heatmap=by_slot[min(slot, len(by_slot) - 1)][i],
                    top_labels=() if probabilities is None else top_labels(probabilities[i]),
                )
                for slot, label in enumerate(asked)
            ]
            finite = all(np.isfinite(m.heatmap).all() and np.isfinite(m.label_score) for m in maps)
            found.append(maps if finite else ImageError(NOT_FINITE))
        return found

    def _box(
        self, batch: Batch, i: int, maps: Sequence[LabelledMap], details: bool
    ) -> Localization:
        heatmaps = np.stack([m.heatmap for m in maps])
        boxes, scores = self.estimator.estimate(heatmaps, [batch.frames[i]] * len(maps))
        return Localization(
            image_id=batch.image_ids[i],
            size=batch.frames[i].original,
            boxes=boxes,
            labels=tuple(m.label for m in maps),
            label_scores=tuple(m.label_score for m in maps),
            scores=tuple(scores.tolist()),
            top_labels=maps[0].top_labels,
            heatmap=maps[0].heatmap if details else None,
        )

    def _forward(self, batch: Batch) -> Outputs:
        no_class = batch.selection.top == 0 and all(given is None for given in batch.labels)
        if no_class and self.options.target == "class_score":
            raise UsageError(
                "a class score needs a class: for none at all, use 'sensitivity(target=layer_mean)'"
            )
        return forward(
            self.classifier,
            self.classifier.normalize(batch.pixels),
            layers=[self.layer.name] if self.layer else [],
            head=not (no_class and self.options.target == "layer_mean"),
        )

    def _heatmaps(
        self, outputs: Outputs, labels: Sequence[Sequence[int | None]]
    ) -> Sequence[Float[np.ndarray, "b h w"]]:
        """The maps of the whole batch, for the first class of each image, the second, and so on.

        A target that knows no class has one map, whatever the number of classes.
        """
        targets = self._targets(labels, outputs.images.device)
        maps = []
        for i, target in enumerate(targets):
            with torch.enable_grad():
                scalars = target(outputs)
            attribution = gradient(scalars, outputs.images, keep=i + 1 < len(targets))
            maps.append(reduce_channels(attribution, self.options.reduce).cpu().numpy())
        return maps

    def _targets(
        self, labels: Sequence[Sequence[int | None]], device: torch.device
    ) -> Sequence[Target]:
        target, layer = self.options.target, self.layer
        if target == "class_score":
            count = max(len(asked) for asked in labels)
            slots = [[asked[min(s, len(asked) - 1)] for asked in labels] for s in range(count)]
            return [
                _class_target(torch.tensor(s, device=device), self.options.score) for s in slots
            ]
        if target == "layer_mean":
            assert layer is not None
            return [lambda out: layer_mean(out.activations[layer.name], layer.prefix_tokens)]
        return [target if callable(target) else load_function(target)]


def _probability(probabilities: torch.Tensor | None, image: int, label: int | None) -> float:
    return 1.0 if probabilities is None or label is None else float(probabilities[image, label])


def _class_target(labels: torch.Tensor, score: Score) -> Target:
    def target(outputs: Outputs) -> torch.Tensor:
        assert outputs.logits is not None
        return class_score(outputs.logits, labels, score)

    return target
