"""Activations of many images at several input sizes, computed once and kept on disk."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Activations = Sequence[Float[Tensor, "b _ _ _"]]


class Spool:
    """Rows of activations as float16: of each input size, of each layer, one file in a folder."""

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        self.folder = folder
        self.sizes = tuple(sizes)
        self._rows = 0
        self._shapes: dict[tuple[int, int], tuple[int, ...]] = {}

    def append(self, by_size: Mapping[int, Activations]) -> range:
        """Add a batch of images: their activations at each size, layer by layer; gives its rows."""
        first, self._rows = self._rows, self._rows + len(by_size[self.sizes[0]][0])
        for size, layers in by_size.items():
            for number, one in enumerate(layers):
                self._shapes[size, number] = tuple(one.shape[1:])
                with self._path(size, number).open("ab") as stream:
                    stream.write(one.half().cpu().contiguous().numpy().tobytes())
        return range(first, self._rows)

    def take(self, size: int, rows: Iterable[int]) -> list[Float[Tensor, "b _ _ _"]]:
        """The activations of these images, counted in the order in which they were added."""
        chosen = list(rows)
        files = [self._file(size, number) for s, number in self._shapes if s == size]
        return [torch.from_numpy(one[chosen]).float() for one in files]

    def _file(self, size: int, number: int) -> Any:
        shape = self._shapes[size, number]
        return np.memmap(self._path(size, number), dtype=np.float16, mode="r").reshape(-1, *shape)

    def _path(self, size: int, number: int) -> Path:
        return self.folder / f"{size}.{number}.f16"
