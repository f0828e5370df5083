"""Options of DAM, paper B's fast unsupervised localization."""

from dataclasses import dataclass
from typing import Literal

from gradbox.attribution.gradients import Rule
from gradbox.dam.blobs import Components, Population, Smoothing
from gradbox.dam.rescoring import Background
from gradbox.errors import UsageError


@dataclass(frozen=True)
class DamOptions:
    """The options of `Dam`, which says what they mean; the defaults are the paper's."""

    layer: str | None = None
    kmax: int = 10
    k: int | Literal["auto"] = 5
    percentile: float = 80.0
    population: Population = "positive"
    distinct_channels: bool = False
    effect: Rule = "plain"
    rule: Rule = "guided"
    background: Background = "mean"
    components: Components = "largest"
    smooth: Literal["blobs", "union"] = "blobs"
    element: int = 3
    dilations: int = 15
    erosions: int = 15
    overlap: float = 1.0
    instances: bool = False
    abstain: float = 0.0

    def __post_init__(self) -> None:
        if self.kmax < 1:
            raise UsageError(f"kmax={self.kmax}: a number of neurons, 1 or more")
        if self.k != "auto" and not 1 <= self.k <= self.kmax:
            raise UsageError(f"k={self.k}: 1 to kmax={self.kmax} regions, or auto")
        if not 0 <= self.percentile < 100:
            raise UsageError(f"percentile={self.percentile}: 0 <= percentile < 100")
        for name, share in (("overlap", self.overlap), ("abstain", self.abstain)):
            if not 0 <= share <= 1:
                raise UsageError(f"{name}={share}: a share, 0 to 1")
        one_part = self.smoothing.components == "largest"
        if self.instances and self.smooth == "union" and one_part:
            raise UsageError("instances=true with smooth=union also needs components=all")

    @property
    def smoothing(self) -> Smoothing:
        """How blobs, or their union, are smoothed."""
        return Smoothing(
            element=self.element,
            dilations=self.dilations,
            erosions=self.erosions,
            components=self.components,
        )
