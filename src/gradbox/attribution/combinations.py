"""Methods made of methods: products, means and maxima of maps, views averaged, maps smoothed.

The classes are decided once, by the first part that looks for one, and all others are asked for
these. Each map is scaled to the maximum 1 first; maps of several sizes meet at the largest height
and width, bilinearly.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import torch
from jaxtyping import Float

from gradbox.attribution.gradients import INPUT
from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import Heatmap, LabelledMap, MapMaker, MapsOfImage, made
from gradbox.attribution.method import MapMethod, Method
from gradbox.attribution.of_one import OfOne
from gradbox.attribution.own import as_method
from gradbox.attribution.passes import share
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Size
from gradbox.localization import Batch, ClassFrom
from gradbox.models.classifier import Classifier
from gradbox.seen import Seen

Stack = Float[np.ndarray, "n h w"]
SMALLEST = 16
"""The least shorter side of a view, in pixels."""


@dataclass(frozen=True)
class _Several(MapMethod):
    """What `Product`, `Mean` and `Maximum` share: their parts, and where these look."""

    parts: tuple[Method | MapMaker, ...]

    def __post_init__(self) -> None:
        if len(self.methods) < 2:
            raise UsageError(f"{len(self.parts)} maps to combine: give two or more methods")

    @cached_property  # whether one is a method is a question to all that it is made of
    def methods(self) -> tuple[Method, ...]:
        """The parts, a user's own map makers among them, as methods."""
        return tuple(as_method(part) for part in self.parts)

    @property
    def class_from(self) -> ClassFrom:
        """None only if no part looks for a class."""
        return "none" if all(p.class_from == "none" for p in self.methods) else "predicted"

    @property
    def needs_class(self) -> bool:
        """Whether some part needs one."""
        return any(part.needs_class for part in self.methods)

    @property
    def needs_originals(self) -> bool:
        """Whether some part needs them."""
        return any(part.needs_originals for part in self.methods)

    @property
    def derives_pixels(self) -> bool:
        """Whether some part does."""
        return any(part.derives_pixels for part in self.methods)

    @property
    def seen(self) -> Sequence[Seen]:
        """What its parts have, each once."""
        return list(dict.fromkeys(one for part in self.methods for one in part.seen))

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layers of all parts, each once."""
        return list(dict.fromkeys(one for part in self.methods for one in part.layers(classifier)))

    def maps(self, classifier: Classifier) -> MapMaker:
        """The combined maps of the parts."""
        return CombinedMaps(self, classifier, tuple(p.maps(classifier) for p in self.methods))

    @abstractmethod
    def combine(self, maps: Stack) -> Heatmap:
        """One map of several, each with the maximum 1 or all zero."""


@dataclass(frozen=True)
class Product(_Several):
    """The product of maps, each to its power; 1/n each, the geometric mean, if none are given."""

    powers: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.powers is not None and len(self.powers) != len(self.parts):
            raise UsageError(f"{len(self.powers)} powers for {len(self.parts)} maps: one each")
        if self.powers is not None and not all(0 < power < np.inf for power in self.powers):
            raise UsageError(f"powers={list(self.powers)}: each is above 0")

    def combine(self, maps: Stack) -> Heatmap:
        """Their product."""
        powers = np.array(self.powers or [1 / len(maps)] * len(maps))
        return np.prod(maps ** powers[:, None, None], axis=0)


@dataclass(frozen=True)
class Mean(_Several):
    """The mean of maps."""

    def combine(self, maps: Stack) -> Heatmap:
        """Their mean."""
        return maps.mean(axis=0)


@dataclass(frozen=True)
class Maximum(_Several):
    """The maximum of maps, pixel by pixel."""

    def combine(self, maps: Stack) -> Heatmap:
        """Their maximum."""
        return maps.max(axis=0)


@dataclass(frozen=True)
class Average(OfOne):
    """The mean of a method's maps over views of each image.

    `flips` adds the mirror image to each view. `sizes` are the shorter sides of the input, in
    pixels; without them it is the classifier's own. A view at another size shows the same part of
    the image, so the network has to take inputs of any size.
    """

    flips: bool = False
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.flips and not self.sizes:
            raise UsageError("an average of one view: give flips=true, or sizes=[224, 320]")
        if any(size < SMALLEST for size in self.sizes):
            raise UsageError(
                f"sizes={list(self.sizes)}: shorter sides in pixels, {SMALLEST} or more"
            )

    @property
    def needs_originals(self) -> bool:
        """Another size is made of the original."""
        return bool(self.sizes) or self.method.needs_originals

    def maps(self, classifier: Classifier) -> MapMaker:
        """The means of the part's maps over the views."""
        return AveragedMaps(self, classifier, self.method.maps(classifier))


@dataclass(frozen=True)
class Smooth(OfOne):
    """A method's map smoothed by a Gaussian of `sigma` pixels of the network input."""

    sigma: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < np.inf:
            raise UsageError(f"sigma={self.sigma}: a width in pixels, above 0")

    def maps(self, classifier: Classifier) -> MapMaker:
        """The part's maps, smoothed."""
        return SmoothedMaps(self.sigma, self.method.maps(classifier))


@dataclass(frozen=True)
class CombinedMaps:
    """The maps of several makers made one; a `MapMaker`."""

    options: _Several
    classifier: Classifier
    makers: tuple[MapMaker, ...]

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The combined maps of each image, one for each class asked for."""
        share(batch, self.classifier, self._places)
        knows_class = [part.class_from != "none" for part in self.options.methods]
        first = self.makers[knows_class.index(True) if any(knows_class) else 0]
        leading = made(first, batch)
        asked = with_classes_of(leading, batch)
        others = [leading if one is first else made(one, asked) for one in self.makers]
        return [
            _of_image(deciding, of_image, self.options.combine)
            for deciding, of_image in zip(leading, zip(*others, strict=True), strict=True)
        ]

    @cached_property
    def _places(self) -> Sequence[str]:
        pixels = (INPUT,) if self.options.derives_pixels else ()
        return (*pixels, *(layer.name for layer in self.options.layers(self.classifier)))


@dataclass(frozen=True)
class AveragedMaps:
    """The maps of one maker averaged over views; a `MapMaker`."""

    options: Average
    classifier: Classifier
    maker: MapMaker

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The mean maps of each image; the classes are those of the first view."""
        leading: Sequence[MapsOfImage] = ()
        views = []
        for view, mirrored in self._views(batch):
            found = self._maps(with_classes_of(leading, view) if leading else view)
            leading = leading or found
            views.append([_mirrored(one) for one in found] if mirrored else found)
        return [
            _of_image(first, of_image, lambda maps: maps.mean(axis=0))
            for first, of_image in zip(leading, zip(*views, strict=True), strict=True)
        ]

    def _maps(self, view: Batch) -> Sequence[MapsOfImage]:
        height, width = view.pixels.shape[2:]
        try:
            return made(self.maker, view)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, AssertionError) as error:
            if (height, width) == self.classifier.preprocessing.size:
                raise
            raise UsageError(
                f"{self.classifier.name} cannot be run on an input of {height} x {width} "
                f"({str(error).splitlines()[0]}): leave that size out"
            ) from error

    def _views(self, batch: Batch) -> Iterator[tuple[Batch, bool]]:
        usual = self.classifier.preprocessing
        for size in self.options.sizes or (min(usual.size),):
            view = batch if size == min(usual.size) else batch.view(usual.at(size))
            yield view, False
            if self.options.flips:
                yield view.mirrored(), True


@dataclass(frozen=True)
class SmoothedMaps:
    """The maps of one maker, smoothed; a `MapMaker`. `sigma` is in pixels of the input."""

    sigma: float
    maker: MapMaker

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The smoothed maps of each image, one for each class asked for."""
        height, width = batch.pixels.shape[2:]
        return [
            found
            if isinstance(found, ImageError)
            else [
                _changed(one, smoothed(one.heatmap, self.sigma, (height, width))) for one in found
            ]
            for found in made(self.maker, batch)
        ]


def smoothed(heatmap: Heatmap, sigma: float, size: Size) -> Heatmap:
    """A map smoothed by a Gaussian of `sigma` pixels of the input, whose (height, width) it has."""
    height, width = size
    return cv2.GaussianBlur(
        heatmap,
        (0, 0),
        sigmaX=sigma * heatmap.shape[1] / width,
        sigmaY=sigma * heatmap.shape[0] / height,
        borderType=cv2.BORDER_REFLECT,
    )


def with_classes_of(found: Sequence[MapsOfImage], batch: Batch) -> Batch:
    """The batch asked for the classes that these maps are of; where they know none, as it was."""
    labels = [
        tuple(m.label for m in one if m.label is not None)
        if not isinstance(one, ImageError)
        else given or (0,)
        for one, given in zip(found, batch.labels, strict=True)
    ]
    return batch.asking(labels) if all(labels) else batch


def _of_image(
    first: MapsOfImage, parts: Sequence[MapsOfImage], combine: Callable[[Stack], Heatmap]
) -> MapsOfImage:
    """The maps of one image, class by class; an error of any part is the image's."""
    known: list[Sequence[LabelledMap]] = []
    for part in parts:
        if isinstance(part, ImageError):
            return part
        known.append(part)
    assert not isinstance(first, ImageError)
    return [
        _changed(one, combine(_meeting([maps[min(i, len(maps) - 1)] for maps in known])))
        for i, one in enumerate(first)
    ]


def _changed(one: LabelledMap, heatmap: Heatmap) -> LabelledMap:
    """With another map, which is not made of the regions of the first any more."""
    return replace(one, heatmap=heatmap, regions=())


def _meeting(maps: Sequence[LabelledMap]) -> Stack:
    """The maps at the largest height and width, each with the maximum 1 before."""
    height, width = (max(m.heatmap.shape[axis] for m in maps) for axis in (0, 1))
    return np.stack([resized(scaled(m.heatmap), height, width) for m in maps])


def scaled(heatmap: Heatmap) -> Heatmap:
    """A map with the maximum 1, or all zero."""
    top = heatmap.max()
    return np.maximum(heatmap, 0.0) / (top if top > 0 else 1.0)


def resized(heatmap: Heatmap, height: int, width: int) -> Float[np.ndarray, "rows columns"]:
    """A map of this height and width, bilinearly."""
    if heatmap.shape == (height, width):
        return heatmap
    return cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR)


def _mirrored(found: MapsOfImage) -> MapsOfImage:
    if isinstance(found, ImageError):
        return found
    return [_changed(one, one.heatmap[:, ::-1].copy()) for one in found]
