"""Paper B: fast unsupervised localization with the neurons that speak for a class (DAM).

The stages are public functions: `layer_gradient_x_activation`, `top_neurons`,
`guided_backpropagation` (`gradbox.dam.neurons`), `blob`, `union` (`gradbox.dam.blobs`), `rescore`
(`gradbox.dam.rescoring`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gradbox.attribution.gradients import Outputs, Rule, differentiable, forward
from gradbox.attribution.heatmaps import signed_mean
from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import LabelledMap, MapsOfImage, slots
from gradbox.attribution.targets import Score, labels_to_locate, top_labels
from gradbox.dam.blobs import (
    Components,
    Mask,
    Masks,
    Population,
    Smoothing,
    above_percentile,
    parts,
    smooth,
    union,
)
from gradbox.dam.neurons import (
    guided_backpropagation,
    layer_gradient_x_activation,
    neuron_layer,
    top_neurons,
)
from gradbox.dam.regions import Found, heatmap, localization
from gradbox.dam.rescoring import Background, rescore
from gradbox.errors import NOT_FINITE, ImageError, UsageError
from gradbox.localization import Batch, Localization
from gradbox.models.classifier import Classifier


@dataclass(frozen=True)
class Dam:
    """Options of DAM; the defaults are the paper's.

    Neurons: `layer` (default: see `neuron_layer`), `kmax` of them, ranked with the plain or guided
    `effect`; the authors' program took `distinct_channels`; `overlap` below 1 spreads them (see
    `top_neurons`). Blobs: the `rule` of the backward pass, the `percentile` and its `population`;
    `element`, `dilations`, `erosions` and `components` of `Smoothing`; `smooth` says whether each
    blob or only their union is smoothed. Regions: the `k` best by their logit alone on
    `background`; `k=auto` adds the next best as long as the logit of their union rises.
    `instances` makes a box of each connected part of the union. Boxes with a score below `abstain`
    are left out, so an image may have none.
    """

    layer: str | None = None
    kmax: int = 10
    k: int | Literal["auto"] = 5
    percentile: float = 80.0
    population: Population = "positive"
    distinct_channels: bool = False
    effect: Rule = "plain"
    rule: Rule = "guided"
    background: Background = "mean"
    components: Components = "largest"
    smooth: Literal["blobs", "union"] = "blobs"
    element: int = 3
    dilations: int = 15
    erosions: int = 15
    overlap: float = 1.0
    instances: bool = False
    abstain: float = 0.0

    def __post_init__(self) -> None:
        if self.kmax < 1:
            raise UsageError(f"kmax={self.kmax}: a number of neurons, 1 or more")
        if self.k != "auto" and not 1 <= self.k <= self.kmax:
            raise UsageError(f"k={self.k}: 1 to kmax={self.kmax} regions, or auto")
        if not 0 <= self.percentile < 100:
            raise UsageError(f"percentile={self.percentile}: 0 <= percentile < 100")
        for name, share in (("overlap", self.overlap), ("abstain", self.abstain)):
            if not 0 <= share <= 1:
                raise UsageError(f"{name}={share}: a share, 0 to 1")
        one_part = self.smoothing.components == "largest"
        if self.instances and self.smooth == "union" and one_part:
            raise UsageError("instances=true with smooth=union also needs components=all")

    @property
    def smoothing(self) -> Smoothing:
        """How blobs, or their union, are smoothed."""
        return Smoothing(
            element=self.element,
            dilations=self.dilations,
            erosions=self.erosions,
            components=self.components,
        )


@dataclass(frozen=True, eq=False)
class _Asked:
    """A class to look for in one image of the batch, and the neurons (k, 3) that speak for it."""

    image: int
    label: int
    neurons: Int[Tensor, "k 3"]


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def layer(self) -> Layer:
        """The layer whose neurons are taken."""
        return neuron_layer(self.classifier.with_layer(self.options.layer))

    def localize(
        self, batch: Batch, *, details: bool = False
    ) -> Sequence[Localization | ImageError]:
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
                LabelledMap(one.label, float(row[one.label]), heatmap(one), top_labels(row))
                for one in found
            ]
            for row, found in self._found(batch)
        ]

    @differentiable()
    def _found(
        self, batch: Batch
    ) -> list[tuple[Float[Tensor, "n_classes"], list[Found] | ImageError]]:
        """The probabilities of the classes of each image, and what was found of those asked for."""
        images = self.classifier.normalize(batch.pixels)
        outputs = forward(
            self.classifier, images, layers=[self.layer.name], rule=self.options.effect
        )
        assert outputs.logits is not None
        probabilities = outputs.logits.detach().float().softmax(dim=1).cpu()
        asked = self._asked(outputs, batch)
        del outputs  # and its graph
        found: list[list[Found | None]] = [[] for _ in batch.image_ids]
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

    def _asked(self, outputs: Outputs, batch: Batch) -> list[_Asked]:
        """The classes of each image with their neurons; images without finite logits have none."""
        assert outputs.logits is not None
        logits = outputs.logits.detach()
        labels = labels_to_locate(logits, batch)
        usable = logits.isfinite().all(dim=1).tolist()
        by_slot = slots(labels)
        found = []
        for slot, classes in enumerate(by_slot):
            asked = [_class(label) for label in classes]
            rank_scores = layer_gradient_x_activation(
                outputs,
                self.layer.name,
                torch.tensor(asked, device=logits.device),
                keep=slot + 1 < len(by_slot),
            )
            _, neurons = top_neurons(
                rank_scores,
                self.options.kmax,
                distinct_channels=self.options.distinct_channels,
                overlap=self.options.overlap,
            )
            found += [
                _Asked(i, label, neurons[i])
                for i, label in enumerate(asked)
                if usable[i] and slot < len(labels[i])
            ]
        return found

    def _find(
        self, images: Float[Tensor, "b 3 h w"], asked: Sequence[_Asked]
    ) -> list[Found | None]:
        """Steps 3 to 6 for each of these classes; None where a map is not finite."""
        own = images[[one.image for one in asked]]
        labels = [one.label for one in asked]
        heatmaps = self._heatmaps(own, torch.stack([one.neurons for one in asked]))
        finite = np.isfinite(heatmaps).all(axis=(1, 2, 3))
        heatmaps[~finite] = 0
        blobs = [np.stack([self._blob(heatmap) for heatmap in maps]) for maps in heatmaps]
        seen = [masks.any(axis=(1, 2)) for masks in blobs]
        blobs = [masks[some] for masks, some in zip(blobs, seen, strict=True)]
        logits = self._alone(own, labels, blobs, "logit")
        best_first = [np.argsort(-one, kind="stable") for one in logits]
        blobs = [masks[order] for masks, order in zip(blobs, best_first, strict=True)]
        counts = self._counts(own, labels, blobs)
        shapes = [self._shapes(masks[:n]) for masks, n in zip(blobs, counts, strict=True)]
        scores = self._alone(own, labels, shapes, "probability")
        return [
            Found(
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

    def _heatmaps(
        self, images: Float[Tensor, "b 3 h w"], neurons: Int[Tensor, "b k 3"]
    ) -> Float[np.ndarray, "b k h w"]:
        attributions = guided_backpropagation(
            self.classifier, images, self.layer.name, neurons, rule=self.options.rule
        )
        heatmaps = signed_mean(attributions.flatten(0, 1))
        return heatmaps.reshape(*neurons.shape[:2], *images.shape[2:]).cpu().numpy()

    def _blob(self, heatmap: Float[np.ndarray, "h w"]) -> Mask:
        above = above_percentile(heatmap, self.options.percentile, self.options.population)
        return smooth(above, self.options.smoothing) if self.options.smooth == "blobs" else above

    def _counts(
        self, images: Float[Tensor, "b 3 h w"], labels: Sequence[int], blobs: Sequence[Masks]
    ) -> list[int]:
        """How many of each image's blobs, best first, its box is made of."""
        if self.options.k != "auto":
            return [min(self.options.k, len(masks)) for masks in blobs]
        growing = [np.logical_or.accumulate(masks) for masks in blobs]
        logits = self._alone(images, labels, growing, "logit")
        return [int(np.argmin(np.append(np.diff(one) > 0, False))) + 1 for one in logits]

    def _shapes(self, blobs: Masks) -> Masks:
        """What becomes a box each: the union of the blobs, or its connected parts."""
        whole = union(blobs)
        if self.options.smooth == "union":
            whole = smooth(whole, self.options.smoothing)
        return parts(whole) if self.options.instances and whole.any() else whole[None]

    def _alone(
        self,
        images: Float[Tensor, "b 3 h w"],
        labels: Sequence[int],
        masks: Sequence[Masks],
        score: Score,
    ) -> list[Float[np.ndarray, "_"]]:
        """The score of each image's class on each of the image's masks alone, in few calls."""
        counts = [len(some) for some in masks]
        owners = np.repeat(np.arange(len(masks)), counts)
        scores = rescore(
            self.classifier,
            images,
            np.concatenate(masks),
            owners,
            torch.tensor(labels)[owners],
            score=score,
            background=self.options.background,
            at_once=self.at_once,
        )
        return np.split(scores.cpu().numpy(), np.cumsum(counts)[:-1])


def _class(label: int | None) -> int:
    if label is None:
        raise UsageError("dam looks for a class: name one, or use 'sensitivity(target=layer_mean)'")
    return label
