"""Any localizer with scored proposals beside its boxes: its own regions, or boxes of its maps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradbox.attribution.maps import LabelledMap, MapMaker, made
from gradbox.errors import ImageError
from gradbox.estimators.proposals import Proposals
from gradbox.geometry import Frame
from gradbox.localization import Batch, Found, Localizer, Region


@dataclass(frozen=True, eq=False)
class ProposingLocalizer:
    """A localizer whose answers have the best `proposals.count` regions; a `Localizer`.

    With `maker` they are those that its maps are made of, or, where a map is made otherwise, the
    boxes that `proposals` finds in it. Without one they are the localizer's own.
    """

    localizer: Localizer
    maker: MapMaker | None
    proposals: Proposals

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        """As the localizer does, with regions, best first whatever their class."""
        found = self.localizer.localize(batch, details=details)
        if self.maker is None:
            return [
                one
                if isinstance(one, ImageError)
                else replace(one, regions=self._best(one.regions))
                for one in found
            ]
        maps = made(self.maker, batch)
        return [
            one
            if isinstance(one, ImageError) or isinstance(of_image, ImageError)
            else replace(one, regions=self._best(self._regions(of_image, frame)))
            for one, of_image, frame in zip(found, maps, batch.frames, strict=True)
        ]

    def _regions(self, maps: Sequence[LabelledMap], frame: Frame) -> list[Region]:
        return [region for one in maps for region in one.regions or self._of_map(one, frame)]

    def _of_map(self, one: LabelledMap, frame: Frame) -> list[Region]:
        (found,) = self.proposals.estimate(one.heatmap[None], [frame])
        return [
            Region(box=box, score=score, label=one.label, chosen=False)
            for box, score in zip(found.boxes, found.scores.tolist(), strict=True)
        ]

    def _best(self, regions: Sequence[Region]) -> tuple[Region, ...]:
        best_first = sorted(regions, key=lambda region: -region.score)
        return tuple(best_first[: self.proposals.count])
