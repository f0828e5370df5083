"""A localizer that looks at the whole of each image and at its tiles."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradbox.boxes import Box
from gradbox.errors import ImageError
from gradbox.localization import Batch, Found, Localization, Localizer, Resizer
from gradbox.tiles.grid import grid
from gradbox.tiles.merging import InTile, merged


@dataclass(frozen=True, eq=False)
class TiledLocalizer:
    """Boxes of the whole image and of its tiles, merged; a `Localizer`.

    Each tile fills the network's input and is asked for the classes of its image; `at_once` of them
    are in the network together, whatever the size of the image.
    """

    localizer: Localizer
    resizer: Resizer
    side: int
    overlap: float
    at_once: int = 16

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image; the batch has its originals."""
        whole = self.localizer.localize(batch, details=details)
        tiles: list[list[InTile | ImageError]] = [[] for _ in whole]
        for i, one in self._in_tiles(batch, whole):
            tiles[i].append(one)
        return [_of_image(found, of_image) for found, of_image in zip(whole, tiles, strict=True)]

    def _in_tiles(
        self, batch: Batch, whole: Sequence[Found]
    ) -> list[tuple[int, InTile | ImageError]]:
        """What each tile shows, with the number of its image."""
        batch = batch.asking(
            [_asked(*pair) for pair in zip(batch.labels, whole, strict=True)], batch.selection
        )
        looks = [
            (i, tile)
            for i, found in enumerate(whole)
            if isinstance(found, Localization)
            for tile in grid(found.size, self.side, self.overlap)
        ]
        seen: list[tuple[int, InTile | ImageError]] = []
        for start in range(0, len(looks), self.at_once):
            seen += self._look(batch, looks[start : start + self.at_once])
        return seen

    def _look(
        self, batch: Batch, looks: Sequence[tuple[int, Box]]
    ) -> list[tuple[int, InTile | ImageError]]:
        images, tiles = [i for i, _ in looks], [tile for _, tile in looks]
        found = self.localizer.localize(batch.only(images).view(self.resizer, tiles))
        return [
            (i, one if isinstance(one, ImageError) else InTile(tile, one))
            for (i, tile), one in zip(looks, found, strict=True)
        ]


def _asked(given: tuple[int, ...] | None, found: Found) -> tuple[int, ...] | None:
    """The classes that were found in the whole image; its most probable one where it has no box."""
    if given is not None or isinstance(found, ImageError):
        return given
    labels = dict.fromkeys(label for label in found.labels if label is not None)
    if not len(found.boxes):
        return found.top_labels[:1] or None
    return tuple(labels) or None


def _of_image(whole: Found, tiles: Sequence[InTile | ImageError]) -> Found:
    """What an image and its tiles show together; an error of any tile is the image's."""
    seen: list[InTile] = []
    for one in tiles:
        if isinstance(one, ImageError):
            return one
        seen.append(one)
    return merged(whole, seen) if seen and isinstance(whole, Localization) else whole
