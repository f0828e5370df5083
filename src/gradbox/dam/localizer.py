"""Paper B: fast unsupervised localization with the neurons that speak for a class (DAM).

The stages are public functions, too: `layer_gradient_x_activation`, `top_neurons`,
`guided_backpropagation` (`gradbox.dam.neurons`), `blob`, `union` (`gradbox.dam.blobs`), `rescore`
(`gradbox.dam.rescoring`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.gradients import differentiable, forward
from gradbox.attribution.layers import Layer
from gradbox.attribution.localizer import MapLocalizer
from gradbox.attribution.maps import LabelledMap, MapMaker, MapsOfImage
from gradbox.attribution.method import MapMethod
from gradbox.attribution.passes import Pass, pass_of
from gradbox.attribution.targets import top_labels
from gradbox.dam.neurons import neuron_layer
from gradbox.dam.options import DamOptions
from gradbox.dam.regions import RegionsOfClass, heatmap, localization, regions
from gradbox.dam.stages import NO_CLASS_FOR_DAM, Asked, Stages
from gradbox.errors import NOT_FINITE, ImageError, UsageError
from gradbox.estimators.estimator import BoxEstimator
from gradbox.localization import Batch, Found, Localizer
from gradbox.models.classifier import Classifier


@dataclass(frozen=True)
class Dam(DamOptions, MapMethod):
    """DAM with its own boxes and masks, or, for a box estimator, its map.

    The defaults are the paper's. Neurons: `layer` (default: see `neuron_layer`), `kmax` of them,
    ranked with the plain or guided `effect`; the authors' program took `distinct_channels`;
    `overlap` below 1 spreads them (see `top_neurons`). Blobs: the `rule` of the backward pass, the
    `percentile` and its `population`; `element`, `dilations`, `erosions` and `components` of
    `Smoothing`; `smooth` says whether each blob or only their union is smoothed. Regions: the `k`
    best by their logit alone on `background`; `k=auto` adds the next best as long as the logit of
    their union rises. `instances` makes a box of each connected part of the union. Boxes with a
    score below `abstain` are left out, so an image may have none.
    """

    @property
    def makes_boxes(self) -> bool:
        """It does."""
        return True

    @property
    def makes_masks(self) -> bool:
        """The shape of the chosen regions."""
        return True

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layer whose neurons are taken."""
        return [neuron_layer(classifier.with_layer(self.layer))]

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        """Its own boxes, or those of an estimator from its map."""
        if box is None:
            return DamLocalizer(self, classifier)
        return MapLocalizer(self.maps(classifier), box)

    def maps(self, classifier: Classifier) -> MapMaker:
        """Its maps; a UsageError where an option only concerns boxes of its own."""
        if self.instances or self.abstain > 0:
            raise UsageError(
                "instances and abstain are about the boxes that dam makes itself, not its map: "
                "leave them out"
            )
        return DamLocalizer(self, classifier)


@dataclass(frozen=True)
class DamLocalizer:
    """Boxes and masks from the regions that the neurons of a class look at; a `Localizer`.

    The score of a box is the probability of its class where the network sees the box's shape (the
    union of the chosen regions, or a part of it) alone. Where no neuron sees anything the answer is
    the whole image with score 0. For a box estimator it is a `MapMaker`, too. `at_once` images are
    in the network at the same time, whatever the number of classes and neurons.
    """

    options: Dam
    classifier: Classifier
    at_once: int = 32
    has_regions: ClassVar[bool] = True

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image, with its regions and a box for each class asked for.

        Raises:
            UsageError: no class is wanted, or the guided rule for a network without ReLUs.
        """
        return [
            found
            if isinstance(found, ImageError)
            else localization(batch, i, row, found, self.options.abstain, details)
            for i, (row, found) in enumerate(self._found(batch))
        ]

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The mean of the chosen neurons' maps, each scaled to the maximum 1, for each class.

        Raises:
            UsageError: as `localize`.
        """
        return [
            found
            if isinstance(found, ImageError)
            else [
                LabelledMap(
                    one.label,
                    float(row[one.label]),
                    heatmap(one),
                    top_labels(row),
                    regions(one, frame),
                )
                for one in found
            ]
            for frame, (row, found) in zip(batch.frames, self._found(batch), strict=True)
        ]

    @cached_property
    def _stages(self) -> Stages:
        (layer,) = self.options.layers(self.classifier)
        return Stages(self.options, self.classifier, layer, self.at_once)

    @differentiable()
    def _found(
        self, batch: Batch
    ) -> list[tuple[Float[Tensor, "n_classes"], list[RegionsOfClass] | ImageError]]:
        """The probabilities of the classes of each image, and what was found of those asked for."""
        images = self.classifier.normalize(batch.pixels)
        run = self._pass(batch, images)
        if run.outputs.logits is None:  # the outputs are no classes
            raise UsageError(NO_CLASS_FOR_DAM)
        logits = run.outputs.logits.detach().float()
        probabilities = self.classifier.head.probabilities(logits).cpu()
        asked = self._stages.speakers(run.outputs, batch, keep=run.shared)
        del run  # and its graph, unless others need it
        found: list[list[RegionsOfClass | None]] = [[] for _ in batch.image_ids]
        for start in range(0, len(asked), self.at_once):
            some = asked[start : start + self.at_once]
            for one, what in zip(some, self._find(images, some), strict=True):
                found[one.image].append(what)
        whole = [[one for one in of_image if one is not None] for of_image in found]
        return [
            (row, whole[i])
            if row.isfinite().all() and len(whole[i]) == len(found[i])
            else (row, ImageError(NOT_FINITE))
            for i, row in enumerate(probabilities)
        ]

    def _pass(self, batch: Batch, images: Float[Tensor, "b c h w"]) -> Pass:
        layers = [self._stages.layer.name]
        if self.options.effect == "plain":
            return pass_of(self.classifier, batch, places=layers)
        rule = self.options.effect
        return Pass(forward(self.classifier, images, layers=layers, rule=rule), batch.memo)

    def _find(
        self, images: Float[Tensor, "b c h w"], asked: Sequence[Asked]
    ) -> list[RegionsOfClass | None]:
        """Steps 3 to 6 for each of these classes; None where a map is not finite."""
        stages, labels = self._stages, [one.label for one in asked]
        own = images[[one.image for one in asked]]
        heatmaps = stages.seen_by(own, [one.neurons for one in asked])
        finite = np.isfinite(heatmaps).all(axis=(1, 2, 3))
        heatmaps[~finite] = 0
        blobs = stages.blobs(heatmaps)
        seen = [masks.any(axis=(1, 2)) for masks in blobs]
        blobs = [masks[some] for masks, some in zip(blobs, seen, strict=True)]
        alone = stages.alone(own, labels)
        logits = alone.scores(blobs, "logit")
        best_first = [np.argsort(-one, kind="stable") for one in logits]
        blobs = [masks[order] for masks, order in zip(blobs, best_first, strict=True)]
        counts = stages.counts(alone, blobs)
        shapes = [stages.shapes(masks[:n]) for masks, n in zip(blobs, counts, strict=True)]
        scores = alone.scores(shapes, "probability")
        return [
            RegionsOfClass(
                label=labels[i],
                blobs=blobs[i],
                logits=logits[i][best_first[i]],
                heatmaps=heatmaps[i][seen[i]][best_first[i]],
                count=counts[i],
                shapes=shapes[i],
                scores=scores[i],
            )
            if finite[i]
            else None
            for i in range(len(asked))
        ]
