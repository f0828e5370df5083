"""What a linear map is fitted on, in files: a row of features for each map and box.

A part holds the rows of some images: `features`, `targets` and the SHA-256 of each row's image.
Features stay on disk; the others take 64 bytes a row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from gradbox.estimators.estimator import Heatmaps, Regions
from gradbox.estimators.features import Features, map_features, n_features
from gradbox.geometry import Frame
from gradbox.tensor_files import TensorFile

PART = TensorFile(format="gradbox.rows", what="part of training rows", command="gradbox fit")

Index = slice | Int[np.ndarray, "k"]


class TrainingBatch(NamedTuple):
    """Training rows: for each a map, what is to be learned of it, and its image.

    `targets` are from `targets_for`, `hashes` the images' SHA-256 in hex; `frames` and `regions`
    are needed where the features are those of regions.
    """

    heatmaps: Heatmaps
    targets: Float[np.ndarray, "b 4"]
    hashes: Sequence[str]
    frames: Sequence[Frame] = ()
    regions: Regions = ()


@runtime_checkable
class Matrix(Protocol):
    """Features (n, m), as float32: an array, or rows on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of rows and features."""
        ...

    def __getitem__(self, index: Index | tuple[slice, slice]) -> Float32[np.ndarray, "_ _"]:
        """Some rows, or some columns of some rows."""
        ...


def rows_of(
    batches: Iterable[TrainingBatch], features: Features, grid: int | None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the header of a part; maps that are zero everywhere are counted, no more."""
    seen = [np.zeros((0, n_features(features, grid)), np.float32)]
    targets = [np.zeros((0, 4))]
    hashes: list[str] = []
    n_blank = 0
    for batch in batches:
        kept = np.flatnonzero(batch.heatmaps.any(axis=(1, 2)))
        n_blank += len(batch.heatmaps) - len(kept)
        found = map_features(batch.heatmaps, batch.frames, batch.regions, features, grid)
        seen.append(found[kept])
        targets.append(batch.targets[kept])
        hashes += [batch.hashes[int(row)] for row in kept]
    images = np.frombuffer(b"".join(map(bytes.fromhex, hashes)), np.uint8).reshape(-1, 32)
    arrays: dict[str, np.ndarray] = {
        "features": np.concatenate(seen),
        "targets": np.concatenate(targets),
        "images": images,
    }
    return arrays, {"blank": str(n_blank)}


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of some parts, one after another."""

    features: Matrix
    targets: Float[np.ndarray, "n 4"]
    images: Sequence[bytes]
    n_blank: int

    @classmethod
    def open(cls, paths: Sequence[Path]) -> "Rows":
        """The rows of these parts, of which there is one at least.

        Raises:
            UsageError: a part is not there, or not whole.
        """
        parts, targets, images, n_blank = [], [], [], 0
        for path in paths:
            arrays, header = PART.load(path, mapped=("features",))
            parts.append(arrays["features"])
            targets.append(arrays["targets"])
            images += [row.tobytes() for row in arrays["images"]]
            n_blank += int(header["blank"])
        return cls(Stacked(parts), np.concatenate(targets), images, n_blank)


@dataclass(frozen=True, eq=False)
class Stacked:
    """A `Matrix` of several, one below another."""

    parts: Sequence[Float32[np.ndarray, "_ m"]]

    @cached_property
    def _edges(self) -> Int[np.ndarray, "p"]:
        return np.cumsum([0, *map(len, self.parts)])

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Matrix`."""
        return int(self._edges[-1]), self.parts[0].shape[1]

    def __getitem__(self, index: Index | tuple[slice, slice]) -> Float32[np.ndarray, "_ _"]:
        """See `Matrix`."""
        rows, columns = index if isinstance(index, tuple) else (index, slice(None))
        if isinstance(rows, slice):
            return self._between(*rows.indices(self.shape[0])[:2], columns)
        found = np.empty((len(rows), self.shape[1]), np.float32)
        of_part = np.searchsorted(self._edges, rows, side="right") - 1
        for number in np.unique(of_part):
            here = of_part == number
            found[here] = self.parts[number][rows[here] - self._edges[number]]
        return found[:, columns]

    def _between(self, start: int, stop: int, columns: slice) -> Float32[np.ndarray, "_ _"]:
        pieces = [
            part[max(0, start - low) : max(0, stop - low), columns]
            for part, low in zip(self.parts, self._edges, strict=False)
            if low < stop and start < low + len(part)
        ]
        return np.concatenate(pieces) if pieces else self.parts[0][:0, columns]
