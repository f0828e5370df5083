"""The heat maps of a whole data set on disk: float16, memory-mapped, resumable.

`maps.npy` is (n, h, w) float16 with each map's maximum at 1, `scales.npy` (n,) float32 what to
multiply it with (0 for a map that is zero, NaN for an image without one: it failed), `maps.json`
names the images in order and says how the maps were made. While they are being written the arrays
end in `.partial.npy`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float16, Float32

from gradbox.errors import UsageError
from gradbox.files import write_json


@dataclass(frozen=True, eq=False)
class MapStore:
    """Maps by number or image id; `open_maps` reads a finished store, `create_maps` starts one."""

    path: Path
    images: Mapping[str, int]
    maps: Float16[np.ndarray, "n h w"]
    scales: Float32[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.images)

    def has(self, image_id: str) -> bool:
        """Whether the map of this image is there."""
        return not np.isnan(self.scales[self.images[image_id]])

    def __getitem__(self, image_id: str) -> Float[np.ndarray, "h w"]:
        """One map as float32, at its own scale.

        Raises:
            KeyError: there is no such image, or it has no map.
        """
        row = self.images[image_id]
        if not self.has(image_id):
            raise KeyError(f"{image_id} has no map")
        return self.maps[row].astype(np.float32) * self.scales[row]

    def put(self, image_id: str, heatmap: Float[np.ndarray, "h w"]) -> None:
        """Write one map."""
        row, top = self.images[image_id], float(heatmap.max())
        self.maps[row] = heatmap / top if top > 0 else 0.0
        self.scales[row] = max(top, 0.0)

    def finish(self) -> None:
        """Give the arrays their final names."""
        for array, name in ((self.maps, "maps"), (self.scales, "scales")):
            if isinstance(array, np.memmap):
                array.flush()
            _partial(self.path, name).replace(self.path / f"{name}.npy")


def create_maps(
    path: Path, images: Sequence[str], size: tuple[int, int], about: Mapping[str, Any]
) -> MapStore:
    """A store for the maps of these images, or the unfinished one that is there for the same.

    Raises:
        UsageError: the folder holds maps that were made otherwise.
    """
    header = {"size": list(size), **about, "images": list(images)}
    described = path / "maps.json"
    if described.exists() and json.loads(described.read_text("utf-8")) != header:
        raise UsageError(f"{path} holds maps that were made otherwise: give another --save-maps")
    path.mkdir(parents=True, exist_ok=True)
    if (path / "maps.npy").exists():
        for name in ("maps", "scales"):
            (path / f"{name}.npy").replace(_partial(path, name))
    maps = _array(_partial(path, "maps"), (len(images), *size), np.float16)
    is_new = not _partial(path, "scales").exists()
    scales = _array(_partial(path, "scales"), (len(images),), np.float32)
    if is_new:
        scales[:] = np.nan
    if not described.exists():
        write_json(described, header)
    return MapStore(path, {image: row for row, image in enumerate(images)}, maps, scales)


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


def _partial(path: Path, name: str) -> Path:
    return path / f"{name}.partial.npy"


def _array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    if path.exists():
        return np.load(path, mmap_mode="r+")
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
