"""Boxes of several settings, the best of which is chosen map by map, by what speaks for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradbox.attribution.maps import MapsOfImage
from gradbox.auto.confidence import Confidence
from gradbox.auto.localizer import AutoLocalizer, Candidates, located
from gradbox.errors import ImageError
from gradbox.localization import Batch, Found


@dataclass(frozen=True, eq=False)
class ChoosingLocalizer:
    """Of each map the boxes of one of several localizers, chosen by `choice`; a `Localizer`.

    The `ways` differ in their settings alone.
    """

    ways: Sequence[AutoLocalizer]
    choice: Confidence

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """One `Localization` for each image, with a box for each object of each class."""
        maps = [way.maps(batch) for way in self.ways]
        found = [way.candidates(batch, one) for way, one in zip(self.ways, maps, strict=True)]
        return [
            self._of_image(
                batch, i, [one[i] for one in maps], [one[i] for one in found], details=details
            )
            for i in range(len(batch))
        ]

    def _of_image(
        self,
        batch: Batch,
        i: int,
        maps: Sequence[MapsOfImage],
        found: Sequence[Sequence[Candidates]],
        *,
        details: bool,
    ) -> Found:
        usable = []
        for one in maps:
            if isinstance(one, ImageError):
                return one
            usable.append(one)
        chosen = [chosen_of(of_map, self.choice) for of_map in zip(*found, strict=True)]
        maps_of_image = [usable[n][k] for k, n in enumerate(chosen)]
        of_image = [found[n][k] for k, n in enumerate(chosen)]
        confidence = self.ways[0].confidence
        return located(batch, i, maps_of_image, of_image, confidence, details=details)


def chosen_of(candidates: Sequence[Candidates], choice: Confidence) -> int:
    """Which of several settings has the best main box, the first of equals."""
    return int(max(range(len(candidates)), key=lambda n: candidates[n].scores(choice)[0]))
