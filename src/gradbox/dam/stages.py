"""The stages of DAM, paper B's steps 1 to 6, each for all images of a batch together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gradbox.attribution.gradients import Outputs, trace
from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import slots
from gradbox.attribution.targets import Score, labels_to_locate
from gradbox.dam.blobs import Masks, blob, smooth, union
from gradbox.dam.neurons import (
    layer_gradient_x_activation,
    neuron_maps,
    top_neurons,
)
from gradbox.dam.options import DamOptions
from gradbox.dam.rescoring import rescore
from gradbox.errors import UsageError
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier
from gradbox.parts import parts

NO_CLASS_FOR_DAM = "dam looks for a class: name one, or use 'sensitivity(target=layer_mean)'"
_FRESH = 32 * 2**20
"""Bytes from which on glibc takes fresh memory for each tensor, and gives it back after it."""
NeuronMaps = Float[np.ndarray, "b k h w"]


@dataclass(frozen=True, eq=False)
class Asked:
    """A class to look for in one image of the batch, and the neurons (k, 3) that speak for it."""

    image: int
    label: int
    neurons: Int[Tensor, "k 3"]


@dataclass(frozen=True, eq=False)
class Stages:
    """The steps of the paper on one classifier; lists have an item for each class asked for."""

    options: DamOptions
    classifier: Classifier
    layer: Layer
    at_once: int

    @cached_property
    def in_memory(self) -> int:
        """How many images, at most `at_once`, whose activations the memory in use has room for.

        On a CPU a larger tensor costs more than what is computed of it: each takes pages that the
        system has to clear.
        """
        if self.classifier.device.type != "cpu":
            return self.at_once
        blank = self.classifier.normalize(self.classifier.preprocessing.blank())
        outputs = [call.output for call in trace(self.classifier, blank)]
        largest = max(one.nbytes for one in outputs if isinstance(one, Tensor))
        return min(self.at_once, max(1, _FRESH // largest))

    def speakers(self, outputs: Outputs, batch: Batch, *, keep: bool = False) -> list[Asked]:
        """1, 2: the neurons that speak most for each class; images without finite logits have none.

        `keep` keeps the graph of `outputs`.
        """
        assert outputs.logits is not None
        logits = outputs.logits.detach()
        labels = labels_to_locate(self.classifier, logits, batch)
        usable = logits.isfinite().all(dim=1).tolist()
        by_slot = slots(labels)
        found = []
        for slot, classes in enumerate(by_slot):
            asked = [_class(label) for label in classes]
            rank_scores = layer_gradient_x_activation(
                outputs,
                self.layer.name,
                torch.tensor(asked, device=logits.device),
                keep=keep or slot + 1 < len(by_slot),
            )
            _, neurons = top_neurons(
                rank_scores,
                self.options.kmax,
                distinct_channels=self.options.distinct_channels,
                overlap=self.options.overlap,
            )
            found += [
                Asked(i, label, neurons[i])
                for i, label in enumerate(asked)
                if usable[i] and slot < len(labels[i])
            ]
        return found

    def seen_by(
        self, images: Float[Tensor, "b c h w"], neurons: Sequence[Int[Tensor, "k 3"]]
    ) -> NeuronMaps:
        """3: what each neuron sees of its image, by guided backpropagation."""
        count = self.in_memory
        some = zip(images.split(count), torch.stack(list(neurons)).split(count), strict=True)
        maps = [
            neuron_maps(self.classifier, part, self.layer.name, own, rule=self.options.rule).cpu()
            for part, own in some
        ]
        return torch.cat(maps).numpy()

    def blobs(self, heatmaps: NeuronMaps) -> list[Masks]:
        """4: the region that each neuron looks at; it may be empty."""
        return [
            np.stack(
                [
                    blob(
                        heatmap,
                        percentile=self.options.percentile,
                        population=self.options.population,
                        smoothing=self.options.smoothing
                        if self.options.smooth == "blobs"
                        else None,
                    )
                    for heatmap in maps
                ]
            )
            for maps in heatmaps
        ]

    def rescored(
        self,
        images: Float[Tensor, "b c h w"],
        labels: Sequence[int],
        masks: Sequence[Masks],
        score: Score,
    ) -> list[Float[np.ndarray, "_"]]:
        """5: the score of each image's class on each of the image's masks alone, in few calls."""
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
            at_once=self.in_memory,
        )
        return np.split(scores.cpu().numpy(), np.cumsum(counts)[:-1])

    def counts(
        self, images: Float[Tensor, "b c h w"], labels: Sequence[int], blobs: Sequence[Masks]
    ) -> list[int]:
        """How many of each image's blobs, best first, its box is made of."""
        if self.options.k != "auto":
            return [min(self.options.k, len(masks)) for masks in blobs]
        growing = [np.logical_or.accumulate(masks) for masks in blobs]
        logits = self.rescored(images, labels, growing, "logit")
        return [int(np.argmin(np.append(np.diff(one) > 0, False))) + 1 for one in logits]

    def shapes(self, blobs: Masks) -> Masks:
        """6: what becomes a box each: the union of the blobs, or its connected parts."""
        whole = union(blobs)
        if self.options.smooth == "union":
            whole = smooth(whole, self.options.smoothing)
        return parts(whole) if self.options.instances and whole.any() else whole[None]


def _class(label: int | None) -> int:
    if label is None:
        raise UsageError(NO_CLASS_FOR_DAM)
    return label
