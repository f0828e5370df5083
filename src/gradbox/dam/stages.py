"""The stages of DAM, paper B's steps 1 to 6, each for all images of a batch together."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gradbox.attribution.gradients import Outputs, trace
from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import slots
from gradbox.attribution.targets import labels_to_locate
from gradbox.dam.blobs import Masks, blob, smooth, union
from gradbox.dam.neurons import (
    layer_gradient_x_activation,
    neuron_maps,
    top_neurons,
)
from gradbox.dam.options import DamOptions
from gradbox.dam.rescoring import Alone
from gradbox.dam.windows import Local, local_layers
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
        stacked, layer, rule = torch.stack(list(neurons)), self.layer.name, self.options.rule
        chunks = -(-len(images) // self.in_memory)
        size = -(-len(images) // chunks)
        maps = [
            neuron_maps(self.classifier, images[some], layer, stacked[some], rule=rule).cpu()
            for some in (slice(start, start + size) for start in range(0, len(images), size))
        ]
        return torch.cat(maps).numpy()

    def blobs(self, heatmaps: NeuronMaps) -> list[Masks]:
        """4: the region that each neuron looks at; it may be empty."""
        one = partial(
            blob,
            percentile=self.options.percentile,
            population=self.options.population,
            smoothing=self.options.smoothing if self.options.smooth == "blobs" else None,
        )
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            found = list(pool.map(one, chain.from_iterable(heatmaps)))
        return list(np.stack(found).reshape(heatmaps.shape))

    def alone(self, images: Float[Tensor, "b c h w"], labels: Sequence[int]) -> Alone:
        """5: what scores regions of these images for these classes."""
        usual = tuple(images.shape[2:]) == self.classifier.preprocessing.size
        return Alone(
            self.classifier,
            images,
            labels,
            self.options.background,
            self.in_memory,
            self._local if usual else (),
        )

    @cached_property
    def _local(self) -> Sequence[Local]:
        wanted = self.options.background == "mean" and self.classifier.device.type == "cpu"
        return local_layers(self.classifier) if wanted else ()

    def counts(self, alone: Alone, blobs: Sequence[Masks]) -> list[int]:
        """How many of each image's blobs, best first, its box is made of."""
        if self.options.k != "auto":
            return [min(self.options.k, len(masks)) for masks in blobs]
        growing = [np.logical_or.accumulate(masks) for masks in blobs]
        counts, rising = [1] * len(blobs), [len(masks) > 1 for masks in blobs]
        while any(rising):
            pairs = [
                masks[n - 1 : n + 1] if goes_on else masks[:0]
                for masks, n, goes_on in zip(growing, counts, rising, strict=True)
            ]
            for image, logits in enumerate(alone.scores(pairs, "logit")):
                rising[image] = len(logits) == 2 and bool(logits[1] > logits[0])
                counts[image] += rising[image]
                rising[image] &= counts[image] < len(blobs[image])
        return counts

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
