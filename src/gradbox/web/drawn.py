"""Boxes that are drawn in the page: a `csv:` data set that grows, each box on disk at once."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from gradbox.boxes import Boxes, area, as_boxes, clip
from gradbox.datasets import Dataset, load_dataset
from gradbox.errors import ImageError, UsageError
from gradbox.exports import csv
from gradbox.exports.about import About
from gradbox.files import hash_file, whole_file
from gradbox.geometry import Size
from gradbox.images.decode import upright_size
from gradbox.localization import Localization
from gradbox.results.lock import held

CLASS = "object"
_LEAST = 4.0
"""Pixels of the area below which a box was a slip of the hand."""


class Drawn:
    """The images of a folder and the boxes drawn on them; a context manager.

    The folder is made, and held against other writers, when the first image comes. `images/` has
    the files, `boxes.csv` the boxes: `gradbox fit csv:FOLDER` reads them.

    Raises:
        UsageError: the folder holds something else, or, with the first image, somebody writes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = RLock()
        self._stack = ExitStack()
        self._is_held = False
        self._boxes: dict[str, Boxes] = {}
        self._sizes: dict[str, Size] = {}
        if folder.is_file() or (folder.exists() and not self._is_ours()):
            raise UsageError(f"{folder} holds something else than drawn boxes: give another folder")
        if any(self.file("").glob("*")):
            for sample in self.dataset().samples:
                with suppress(ImageError):  # without a box, and not to be read
                    self._sizes[sample.image_id] = sample.size or upright_size(
                        self.file(sample.image_id)
                    )
                    self._boxes[sample.image_id] = sample.boxes

    def __enter__(self) -> "Drawn":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def image_ids(self) -> Sequence[str]:
        """The names of the images, in the order in which they came."""
        return list(self._boxes)

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of boxes of each image."""
        return {name: len(boxes) for name, boxes in self._boxes.items()}

    def file(self, image_id: str) -> Path:
        """Where an image lies."""
        return self.folder / "images" / image_id

    def size(self, image_id: str) -> Size:
        """The (height, width) of an image."""
        self._check(image_id)
        return self._sizes[image_id]

    def boxes(self, image_id: str) -> Boxes:
        """The boxes (n, 4) of an image in its pixels."""
        self._check(image_id)
        return self._boxes[image_id]

    def add(self, path: Path, name: str, size: Size) -> str:
        """Copy an image of this (height, width) that was checked; its name, with a number if need.

        The same file under the same name is there once.
        """
        with self._lock:
            self._hold()
            digest = hash_file(path)
            name = self._free(name, digest)
            if name not in self._boxes:
                with whole_file(self.file(name)) as partial:
                    partial.write_bytes(path.read_bytes())
                self._boxes[name], self._sizes[name] = np.zeros((0, 4)), size
                self._write()
        return name

    def draw(self, image_id: str, boxes: Any) -> None:
        """Replace the boxes of an image, rows of four numbers; those without area are left out.

        Raises:
            ImageError: no numbers.
            UsageError: no such image.
        """
        with self._lock:
            self._check(image_id)
            self._hold()
            try:
                rows = as_boxes(boxes)
            except (TypeError, ValueError) as error:
                raise ImageError(f"these are no boxes: {error}") from error
            inside = clip(rows, *self._sizes[image_id])
            self._boxes[image_id] = inside[area(inside) >= _LEAST]
            self._write()

    def dataset(self) -> Dataset:
        """All of it."""
        return load_dataset(f"csv:{self.folder}")

    def next_fit(self) -> Path:
        """A file for the next fit that is not there yet."""
        numbers = iter(range(1, 10**6))
        names = (self.folder / f"fit-{number}.safetensors" for number in numbers)
        return next(path for path in names if not path.exists())

    def _is_ours(self) -> bool:
        return (self.folder / "boxes.csv").exists() or not any(self.folder.iterdir())

    def _hold(self) -> None:
        if self._is_held:
            return
        self._stack.enter_context(held(self.folder))
        self._is_held = True
        if not self._boxes:
            self._write()  # before the first image, so that the folder is known again
            self.file("").mkdir(exist_ok=True)

    def _check(self, image_id: str) -> None:
        if image_id not in self._boxes:
            raise UsageError(f"no image {image_id!r} here: choose one of the list")

    def _free(self, name: str, digest: str) -> str:
        stem, suffix = Path(name).stem, Path(name).suffix
        for number in range(1, 10**6):
            free = name if number == 1 else f"{stem}-{number}{suffix}"
            if free not in self._boxes or hash_file(self.file(free)) == digest:
                return free
        raise AssertionError

    def _write(self) -> None:
        found = [
            Localization(
                image_id=name,
                size=self._sizes[name],
                boxes=boxes,
                labels=(None,) * len(boxes),
                label_scores=(1.0,) * len(boxes),
                scores=(1.0,) * len(boxes),
            )
            for name, boxes in self._boxes.items()
        ]
        csv.write(found, About(names=lambda _: CLASS), self.folder)
