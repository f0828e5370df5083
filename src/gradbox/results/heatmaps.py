"""The heat maps of a whole data set on disk: float16, memory-mapped, resumable.

`maps.npy` is (n, h, w) float16 with each map's maximum at 1, `scales.npy` (n,) float32 what to
multiply it with (0 for a map that is zero, NaN for an image without one: it failed), `maps.json`
names the images in order and says how the maps were made. The first map gives the size of all.
While they are being written the arrays end in `.partial.npy`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float16, Float32

from gradbox.errors import UsageError
from gradbox.files import write_json


@dataclass(eq=False)
class MapStore:
    """Maps by number or image id; `open_maps` reads a finished store, `create_maps` starts one.

    `maps` and `scales` are None until the first map gives their size; `about` says how they are
    made.
    """

    path: Path
    images: Mapping[str, int]
    maps: Float16[np.ndarray, "n h w"] | None
    scales: Float32[np.ndarray, "n"] | None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def has(self, image_id: str) -> bool:
        """Whether the map of this image is there."""
        return self.scales is not None and not np.isnan(self.scales[self.images[image_id]])

    def __getitem__(self, image_id: str) -> Float[np.ndarray, "h w"]:
        """One map as float32, at its own scale.

        Raises:
            KeyError: there is no such image, or it has no map.
        """
        row = self.images[image_id]
        if self.maps is None or self.scales is None or np.isnan(self.scales[row]):
            raise KeyError(f"{image_id} has no map")
        return self.maps[row].astype(np.float32) * self.scales[row]

    def put(self, image_id: str, heatmap: Float[np.ndarray, "h w"]) -> None:
        """Write one map; the first one gives the size of all.

        Raises:
            UsageError: the map has another size.
        """
        if self.maps is None or self.scales is None:
            self._start(heatmap.shape[0], heatmap.shape[1])
        assert self.maps is not None
        assert self.scales is not None
        if self.maps.shape[1:] != heatmap.shape:
            raise UsageError(
                f"{self.path} holds maps of {_size(self.maps.shape[1:])} and this one is of "
                f"{_size(heatmap.shape)}: give each size a --save-maps of its own"
            )
        row, top = self.images[image_id], float(heatmap.max())
        self.maps[row] = heatmap / top if top > 0 else 0.0
        self.scales[row] = max(top, 0.0)

    def finish(self) -> None:
        """Give the arrays their final names; without a map there is nothing to keep."""
        for array, name in ((self.maps, "maps"), (self.scales, "scales")):
            if array is None:
                continue
            if isinstance(array, np.memmap):
                array.flush()
            _partial(self.path, name).replace(self.path / f"{name}.npy")

    def _start(self, height: int, width: int) -> None:
        count = len(self.images)
        self.maps = _array(_partial(self.path, "maps"), (count, height, width), np.float16)
        is_new = not _partial(self.path, "scales").exists()
        self.scales = _array(_partial(self.path, "scales"), (count,), np.float32)
        if is_new:
            self.scales[:] = np.nan
        header = {"size": [height, width], **self.about, "images": list(self.images)}
        write_json(self.path / "maps.json", header)


def create_maps(
    path: Path,
    images: Sequence[str],
    about: Mapping[str, Any],
    *,
    rebuilt: Callable[[str], str] = str,
) -> MapStore:
    """A store for the maps of these images, or the unfinished one that is there for the same.

    `rebuilt` gives the present text of a `method` that another version wrote.

    Raises:
        UsageError: the folder holds maps that were made otherwise.
    """
    store = MapStore(path, {image: row for row, image in enumerate(images)}, None, None, about)
    path.mkdir(parents=True, exist_ok=True)
    described = path / "maps.json"
    if not described.exists():
        return store
    header = json.loads(described.read_text("utf-8"))
    height, width = header.pop("size")
    if "method" in header:
        header["method"] = rebuilt(header["method"])
    if header != {**about, "images": list(images)}:
        raise UsageError(f"{path} holds maps that were made otherwise: give another --save-maps")
    if (path / "maps.npy").exists():
        for name in ("maps", "scales"):
            (path / f"{name}.npy").replace(_partial(path, name))
    store._start(height, width)
    return store


def open_maps(path: Path) -> MapStore:
    """A finished store, memory-mapped read-only.

    Raises:
        UsageError: there is none, or it is unfinished.
    """
    if not (path / "maps.npy").exists() or not (path / "scales.npy").exists():
        raise UsageError(f"{path} holds no finished maps: make them with --save-maps {path}")
    images = json.loads((path / "maps.json").read_text("utf-8"))["images"]
    maps, scales = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("maps", "scales"))
    return MapStore(path, {image: row for row, image in enumerate(images)}, maps, scales)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _partial(path: Path, name: str) -> Path:
    return path / f"{name}.partial.npy"


def _array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    if path.exists():
        return np.load(path, mmap_mode="r+")
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
