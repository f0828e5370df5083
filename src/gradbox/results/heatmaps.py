"""The heat maps of a whole data set on disk: float16, memory-mapped, in parts.

`maps.json` says how the maps were made and of what size they are; each part (`results.parts`) holds
some of them as a `.npy` of (n, h, w) float16 with each map's maximum at 1, and for each a line with
its image, what it depends on, and its scale: what to multiply it with, 0 for a map of zeros. The
first map gives the size of all. A store of version 0.1, `maps.npy` with `scales.npy`, is read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gradbox.errors import UsageError
from gradbox.files import write_json
from gradbox.localization import Sample
from gradbox.results.inputs import Input
from gradbox.results.lock import held
from gradbox.results.parts import Line, Parts, array_of

HEADER = "maps.json"
FORMAT = 2


@dataclass(frozen=True)
class _Row:
    """Where a map stands, its scale, and what it depends on."""

    file: Path
    row: int
    scale: float
    input: Input


@dataclass(eq=False)
class MapStore:
    """Maps by image id; `open_maps` reads a store, `create_maps` starts one or goes on.

    `size` is (height, width) of all, None until the first map gives it; `rows` is where each map
    stands. `first` is the place of its next map among all, where several write side by side.
    """

    path: Path
    about: Mapping[str, Any]
    size: tuple[int, int] | None = None
    first: int | None = None
    rows: dict[str, _Row] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._parts = Parts(self.path)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def images(self) -> Sequence[str]:
        """The images whose map is there."""
        return list(self.rows)

    def has(self, sample: Sample, needed: Input, *, verify: bool = False) -> bool:
        """Whether the map of this image is there, made of the same file for the same classes."""
        row = self.rows.get(sample.image_id)
        return row is not None and needed.is_as_before(row.input, sample, verify=verify)

    def __getitem__(self, image_id: str) -> Float[np.ndarray, "h w"]:
        """One map as float32, at its own scale.

        Raises:
            KeyError: there is no such image, or it has no map.
        """
        if image_id not in self.rows:
            raise KeyError(f"{image_id} has no map")
        row = self.rows[image_id]
        maps = np.load(row.file, mmap_mode="r")
        return maps[row.row].astype(np.float32) * np.float32(row.scale)

    def put(self, maps: Sequence[tuple[str, Input, Float[np.ndarray, "h w"]]]) -> None:
        """Write the maps of some images as one part; the first map gives the size of all.

        Raises:
            UsageError: a map has another size.
        """
        if not maps:
            return
        stored, records = [], []
        for image_id, needed, heatmap in maps:
            self._check_size((heatmap.shape[0], heatmap.shape[1]))
            top = max(float(heatmap.max()), 0.0)
            stored.append((heatmap / top if top > 0 else np.zeros_like(heatmap)).astype(np.float16))
            records.append({"image": image_id, "scale": top, "input": needed.to_json()})
        number = None if self.first is None else self.first + 1
        lines = self._parts.write(records, np.stack(stored), number)
        self.rows.update(_rows_of(lines))
        self.first = None if self.first is None else self.first + len(maps)

    def _check_size(self, size: tuple[int, int]) -> None:
        if self.size is None:
            self.size = size
            write_json(self.path / HEADER, {"format": FORMAT, "size": list(size), **self.about})
        if self.size != size:
            raise UsageError(
                f"{self.path} holds maps of {_as_text(self.size)} and this one is of "
                f"{_as_text(size)}: give each size a --save-maps of its own"
            )


@contextmanager
def create_maps(
    path: Path, about: Mapping[str, Any], *, rebuilt: Callable[[str], str] = str
) -> Iterator[MapStore]:
    """Hold a store of maps: a new one, or the one that is there for the same method and model.

    `rebuilt` gives the present text of a `method` that another version wrote.

    Raises:
        UsageError: the folder holds maps that were made otherwise, another call holds it, or
            nothing can be written there.
    """
    with held(path):
        if not (path / HEADER).exists():
            yield MapStore(path, about)
            return
        header = _read_header(path)
        if header.pop("format", None) != FORMAT:
            raise UsageError(
                f"{path} holds maps of another version of gradbox, which are read but not gone on "
                "with: give another --save-maps"
            )
        height, width = header.pop("size")
        if "method" in header:
            header["method"] = rebuilt(header["method"])
        if header != json.loads(json.dumps(about)):
            raise UsageError(
                f"{path} holds maps that were made otherwise: give another --save-maps"
            )
        yield MapStore(path, about, (height, width), rows=_read_rows(path))


def join_maps(path: Path, about: Mapping[str, Any], first: int) -> MapStore:
    """A store that others write, too: for the maps of images from the `first` on.

    Whoever holds it with `create_maps` has seen that it is of the same method, model and images.
    """
    if not (path / HEADER).exists():
        return MapStore(path, about, first=first)
    height, width = _read_header(path)["size"]
    return MapStore(path, about, (height, width), first)


def has_maps_from(path: Path, first: int) -> bool:
    """Whether a store that several write has maps of the images from the `first` on."""
    return Parts(path).has(first + 1)


def open_maps(path: Path) -> MapStore:
    """The maps that are there, memory-mapped read-only.

    Raises:
        UsageError: there is none.
    """
    if not (path / HEADER).exists():
        raise UsageError(f"{path} holds no maps: make them with --save-maps {path}")
    header = _read_header(path)
    height, width = header.pop("size")
    is_old = header.pop("format", None) is None
    rows = _read_old_rows(path, header.pop("images", [])) if is_old else _read_rows(path)
    if not rows:
        raise UsageError(f"{path} holds no finished maps: make them with --save-maps {path}")
    return MapStore(path, header, (height, width), rows=rows)


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads((path / HEADER).read_text("utf-8"))
        height, width = header["size"]
        is_size = height > 0 and width > 0
    except (ValueError, TypeError, KeyError, OSError):
        is_size = False
    if not is_size:
        raise UsageError(f"{path / HEADER} is damaged: give another --save-maps")
    return header


def _read_rows(path: Path) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for lines in Parts(path).read():
        if lines and _is_whole(array_of(lines[0].file), len(lines)):
            rows.update(_rows_of(lines))
    return rows


def _is_whole(array: Path, count: int) -> bool:
    try:
        return len(np.load(array, mmap_mode="r")) == count
    except (OSError, ValueError, EOFError):
        return False


def _rows_of(lines: Sequence[Line]) -> Iterator[tuple[str, _Row]]:
    for i, line in enumerate(lines):
        needed = Input.from_json(line.record["input"])
        yield line.record["image"], _Row(array_of(line.file), i, line.record["scale"], needed)


def _read_old_rows(path: Path, images: Sequence[str]) -> dict[str, _Row]:
    """What version 0.1 wrote once it was finished; an image without a map has the scale NaN."""
    array = path / "maps.npy"
    try:
        scales = np.load(path / "scales.npy")
    except (OSError, ValueError, EOFError):
        return {}
    if not _is_whole(array, len(images)) or len(scales) != len(images):
        return {}
    pairs = enumerate(zip(images, scales.tolist(), strict=True))
    return {image: _Row(array, i, s, Input()) for i, (image, s) in pairs if not np.isnan(s)}


def _as_text(size: tuple[int, int]) -> str:
    return " x ".join(map(str, size))
