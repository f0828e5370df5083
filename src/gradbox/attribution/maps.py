"""The contract of heat maps: a batch comes in, a map for each image and class comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.targets import top_labels
from gradbox.errors import NOT_FINITE, ImageError
from gradbox.localization import Batch, Region
from gradbox.models.heads import Head

Heatmap = Float[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class LabelledMap:
    """The heat map (h, w) over the input of one image for one class, and the class's probability.

    The map is not negative and may have any size; it covers the network input. `label` is None, and
    `label_score` 1.0, where no class was asked for. `top_labels` are the image's five most probable
    classes, `regions` what the map was made of, best first, where the maker says `has_regions`.
    """

    label: int | None
    label_score: float
    heatmap: Heatmap
    top_labels: tuple[int, ...] = ()
    regions: tuple[Region, ...] = ()


MapsOfImage = Sequence[LabelledMap] | ImageError


@runtime_checkable
class MapMaker(Protocol):
    """Makes heat maps of images: what stands before a box estimator.

    Makers that are equal make the same maps, so one of them is asked where several are run.
    """

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image, one for each class asked for, main class first."""
        ...


def made(maker: MapMaker, batch: Batch) -> Sequence[MapsOfImage]:
    """The maps of a batch, those of an equal maker where there are some already."""
    started = batch.memo.clock()
    maps = batch.known(maker)
    return batch.keep(maker, maker.maps(batch), since=started) if maps is None else maps


def label_maps(
    head: Head,
    logits: Float[Tensor, "b n"] | None,
    labels: Sequence[Sequence[int | None]],
    heatmaps: Sequence[Float[np.ndarray, "b h w"]],
) -> Sequence[MapsOfImage]:
    """Maps of a batch sorted by image; an `ImageError` where one has a NaN or infinity.

    Args:
        head: what logits mean.
        logits: None where the head was not run.
        labels: the classes of each image.
        heatmaps: of all images for their first class, then their second, and so on; the last one
            stands for all later classes.
    """
    probabilities = None if logits is None else head.probabilities(logits.detach()).cpu()
    found: list[MapsOfImage] = []
    for i, asked in enumerate(labels):
        maps = [
            LabelledMap(
                label=label,
                label_score=1.0
                if probabilities is None or label is None
                else float(probabilities[i, label]),
                heatmap=heatmaps[min(slot, len(heatmaps) - 1)][i],
                top_labels=() if probabilities is None else top_labels(probabilities[i]),
            )
            for slot, label in enumerate(asked)
        ]
        finite = all(np.isfinite(m.heatmap).all() and np.isfinite(m.label_score) for m in maps)
        found.append(maps if finite else ImageError(NOT_FINITE))
    return found


def slots(labels: Sequence[Sequence[int | None]]) -> Sequence[Sequence[int | None]]:
    """The first class of each image, then the second, ...; an image with fewer repeats its last.

    >>> slots([(3, 5), (4,)])
    [[3, 4], [5, 4]]
    """
    count = max(len(asked) for asked in labels)
    return [[asked[min(slot, len(asked) - 1)] for asked in labels] for slot in range(count)]
