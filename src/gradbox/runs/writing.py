"""What one job writes of each batch: maps, pictures, and the lines of its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gradbox.images.batches import Failed, Loaded
from gradbox.images.pixels import readable
from gradbox.localization import RGB, Found, Localization
from gradbox.reports.drawing import picture, picture_file, save_picture
from gradbox.results.heatmaps import MapStore
from gradbox.results.inputs import Input
from gradbox.results.predictions import to_line

PICTURES = "pictures"
"""The folder of the pictures in that of a run."""


@runtime_checkable
class Sink(Protocol):
    """Where lines go: a run of lines, or one shard of a run."""

    def has(self, image_id: str) -> bool:
        """Whether an image has its line."""
        ...

    def append(self, lines: Sequence[tuple[Input, Mapping[str, Any]]]) -> None:
        """Take the lines of some images, and what they depend on."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Writer:
    """Writes what a job finds; `inputs` are the files of its images, and the classes asked for.

    `pictures` is the folder of pictures, None where none are asked for.
    """

    sink: Sink
    inputs: Mapping[str, Input]
    maps: MapStore | None = None
    masks: bool = False
    pictures: Path | None = None
    with_truth: bool = False

    @property
    def needs_details(self) -> bool:
        """Whether maps or masks are asked for, or pictures, which show them."""
        return self.masks or self.pictures is not None or self.maps is not None

    def write(self, loaded: Sequence[Loaded | Failed], found: Sequence[Found]) -> None:
        """Write what was found in one batch: maps and pictures, then the lines that are not there.

        A line that is there holds, whatever came of looking at its image once more.
        """
        lines, maps = [], []
        for one, result in zip(loaded, found, strict=True):
            image_id = one.sample.image_id
            digest = one.sha256 if isinstance(one, Loaded) else None
            needed = self.inputs[image_id].hashed(one.sample, digest)
            if isinstance(one, Loaded) and isinstance(result, Localization):
                if result.heatmap is not None and self.maps is not None:
                    maps.append((image_id, needed, result.heatmap))
                if self.pictures is not None:
                    drawn = draw(one, result, with_truth=self.with_truth)
                    save_picture(picture_file(self.pictures, image_id), drawn)
            if not self.sink.has(image_id):
                lines.append((needed, to_line(image_id, result, masks=self.masks)))
        if self.maps is not None:
            self.maps.put(maps)
        self.sink.append(lines)


def draw(loaded: Loaded, found: Localization, *, with_truth: bool) -> RGB:
    """The picture of one result, whose original was kept; `with_truth` draws the true boxes too."""
    assert loaded.original is not None
    return picture(
        readable(loaded.original),
        found,
        frame=loaded.frame,
        truth=loaded.sample.boxes if with_truth else np.zeros((0, 4)),
    )
