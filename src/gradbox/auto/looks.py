"""What `auto` sees of images with boxes, looked at once and kept for a fit.

Of each class of each image: the parts of the map on the grid on which objects are told apart, of
the whole image and, where its box is small, of the second look at it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from gradbox.attribution.cam import GradCam
from gradbox.attribution.combinations import scaled, smoothed
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.targets import wants_no_class
from gradbox.auto.closer import is_small, nearer
from gradbox.auto.localizer import AutoLocalizer, Candidates
from gradbox.auto.method import Auto
from gradbox.auto.settings import Settings
from gradbox.boxes import Box, Boxes
from gradbox.errors import ImageError
from gradbox.estimators.objects import around, on_grid
from gradbox.foreground.last_layer import LastLayer
from gradbox.foreground.maps import ForegroundMaps
from gradbox.foreground.spool import Spool
from gradbox.geometry import Frame
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier

Map = Float[np.ndarray, "h w"]
Objects = Bool[np.ndarray, "n h w"]
SHARES = (0.2, 0.3, 0.375, 0.45, 0.525, 0.6, 0.7)
"""The shares of the maximum that a fit looks into."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """The parts of one map, of an image or of a part of it.

    `of_class` is the class's map, None where the foreground alone is the map; `foreground` is P, or
    None. `row` is that of the image in the spool. What was found is kept.
    """

    of_class: Map | None
    foreground: Map | None
    probability: float
    frame: Frame
    row: int
    _objects: dict[Settings, Objects] = field(default_factory=dict)
    _candidates: dict[Settings, Candidates] = field(default_factory=dict)

    def main(self, settings: Settings) -> Box:
        """The main box that `auto` finds with these settings."""
        boxes, _ = around(self._masks(settings)[:1], self.heatmap(settings), self.frame)
        return boxes[0]

    def candidates(self, settings: Settings) -> Candidates:
        """All boxes that `auto` finds with these settings, with their evidence."""
        if settings not in self._candidates:
            self._candidates[settings] = Candidates.around(
                self._masks(settings),
                self.heatmap(settings),
                self.foreground,
                self.probability,
                self.frame,
            )
        return self._candidates[settings]

    def _masks(self, settings: Settings) -> Objects:
        """The objects; those of all `SHARES` are found at once."""
        if settings not in self._objects:
            shares = sorted({*SHARES, settings.share})
            found = settings.objects.masks_at(self.heatmap(settings), shares)
            for share, objects in zip(shares, found, strict=True):
                self._objects[replace(settings, share=share)] = objects
        return self._objects[settings]

    def heatmap(self, settings: Settings) -> Map:
        """The map with these settings."""
        parts = [(self.foreground, 1.0), (self.of_class, settings.power)]
        given = [(scaled(one), power) for one, power in parts if one is not None]
        grid = given[0][0] if len(given) == 1 else np.prod([m**power for m, power in given], axis=0)
        return smoothed(grid, settings.sigma, self.frame.input) if settings.sigma else grid


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One class of an image: its true boxes (n, 4) in original pixels, and what was seen.

    `image` is the SHA-256 of the image; `closer` is the second look, if there was one.
    """

    image: str
    truth: Boxes
    first: Look
    closer: Look | None

    @property
    def looks(self) -> Sequence[Look]:
        """One or two."""
        return [self.first] if self.closer is None else [self.first, self.closer]


@dataclass(frozen=True, eq=False)
class Looker:
    """Looks at batches as `auto` does on a classifier."""

    auto: Auto
    classifier: Classifier
    localizer: AutoLocalizer
    spool: Spool

    @classmethod
    def of(cls, auto: Auto, classifier: Classifier, folder: Path) -> "Looker":
        """That of a method; what a foreground head reads goes to files in the folder."""
        localizer = replace(auto, closer=0.0).build(classifier)
        assert isinstance(localizer, AutoLocalizer)
        maps = localizer.foreground
        spool = Spool(folder, () if maps is None else maps.options.sizes)
        return cls(auto, classifier, localizer, spool)

    def examples(
        self, batch: Batch, hashes: Sequence[str], truths: Sequence[Sequence[Boxes]]
    ) -> Iterator[Example]:
        """An example for each class of each image; none of an image that fails.

        Args:
            batch: asked for the classes, with its originals.
            hashes: the SHA-256 of each image.
            truths: the true boxes of each class of each image, in the order of the maps.
        """
        looked = self._looks(batch)
        closer = self._closer(batch, looked)
        for i, (digest, of_image) in enumerate(zip(hashes, truths, strict=True)):
            maps = [one for one, _ in looked[i]]
            for k, (truth, look) in enumerate(zip(of_image, maps, strict=bool(maps))):
                nearer_look = closer.get(i) if k == 0 else None
                yield Example(image=digest, truth=truth, first=look, closer=nearer_look)

    def _closer(
        self, batch: Batch, looked: Sequence[Sequence[tuple[Look, int | None]]]
    ) -> Mapping[int, Look]:
        if self.auto.closer == 0:
            return {}
        mains = {}
        settings = self.auto.tuned.settings[0]
        for i, looks in enumerate(looked):
            if looks:
                first, label = looks[0]
                box = first.main(settings)
                if is_small(box, first.frame.original, self.auto.closer):
                    mains[i] = box, label
        if not mains:
            return {}
        again = self._looks(nearer(batch, mains, self.classifier.preprocessing))
        return {i: one[0][0] for i, one in zip(mains, again, strict=True) if one}

    def _looks(self, batch: Batch) -> Sequence[Sequence[tuple[Look, int | None]]]:
        """The looks of each image, and their classes."""
        rows, seen = range(len(batch)), None
        if self.localizer.foreground is not None:
            rows, seen = self._foreground(self.localizer.foreground, batch)
        alone, maker = self._of_class(batch)
        return [
            []
            if isinstance(found, ImageError)
            else [
                (
                    Look(
                        of_class=None if alone else on_grid(one.heatmap).astype(np.float32),
                        foreground=None if seen is None else on_grid(seen[i]),
                        probability=one.label_score,
                        frame=batch.frames[i],
                        row=rows[i],
                    ),
                    one.label,
                )
                for one in found
            ]
            for i, found in enumerate(maker.maps(batch))
        ]

    def _of_class(self, batch: Batch) -> tuple[bool, MapMaker]:
        """Whether the foreground alone is the map, and what else makes maps of classes."""
        if not self.auto.foreground:
            return False, self.localizer
        if wants_no_class(batch) or not self.auto.has_power(self.classifier):
            return True, self.localizer
        return False, GradCam().maps(self.classifier)

    def _foreground(
        self, maps: ForegroundMaps, batch: Batch
    ) -> tuple[range, Float[np.ndarray, "b h w"]]:
        """The rows in the spool, and P, which the batch keeps for who asks next."""
        read = maps.before_last(batch)
        layer, started = LastLayer.of_head(maps.options.trained), batch.memo.clock()
        seen = layer.foreground(list(read.values()), batch.pixels.shape[2:])
        batch.memo.keep(maps, seen, since=started)
        return self.spool.append({size: [one] for size, one in read.items()}), seen.numpy()


def taught_last_layer(layer: LastLayer, examples: Sequence[Example], spool: Spool) -> LastLayer:
    """The last layer taught by all true boxes of the images of examples."""
    rows: dict[int, list[Boxes]] = {}
    for one in examples:
        frame = one.first.frame
        height, width = frame.input
        boxes = frame.to_input(one.truth) / np.array([width, height, width, height])
        rows.setdefault(one.first.row, []).append(boxes)
    views = [spool.take(size, rows)[0] for size in spool.sizes]
    return layer.taught(views, [np.concatenate(boxes) for boxes in rows.values()])


def seen_by(layer: LastLayer, example: Example, spool: Spool) -> Example:
    """The example as a head with this last layer sees it."""

    def seen(look: Look) -> Look:
        views = [spool.take(size, [look.row])[0] for size in spool.sizes]
        (foreground,) = layer.foreground(views, look.frame.input).numpy()
        return replace(look, foreground=on_grid(foreground), _objects={}, _candidates={})

    nearer_look = None if example.closer is None else seen(example.closer)
    return replace(example, first=seen(example.first), closer=nearer_look)
