"""The numbers between the maps of `auto` and its objects."""

from dataclasses import dataclass

from gradbox.auto.confidence import Confidence
from gradbox.errors import UsageError
from gradbox.estimators.objects import Objects


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the maps become one, and how that is parted into objects.

    `power` is that of the class's map beside the foreground, `sigma` the width in pixels of the
    input by which the combined map is smoothed, 0 for not at all, `share` and `split` are those of
    `Objects`.
    """

    power: float = 0.15
    share: float = 0.4
    split: float = 0.85
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not self.power > 0:
            raise UsageError(f"power={self.power}: the power of the class's map, above 0")
        if not self.sigma >= 0:
            raise UsageError(f"sigma={self.sigma}: a width in pixels, 0 or more")
        _ = self.objects  # which checks its own options

    @property
    def objects(self) -> Objects:
        """How the map is parted into objects."""
        return Objects(share=self.share, split=self.split)


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What `auto` can learn from boxes, the maps' own aside.

    `confidence` says how sure a box is. Where there are several `settings`, `choice` says which of
    their boxes is taken; its values order them, and mean nothing else.
    """

    settings: tuple[Settings, ...]
    confidence: Confidence
    choice: Confidence | None = None

    def __post_init__(self) -> None:
        if (len(self.settings) == 1) != (self.choice is None):
            raise ValueError(f"{len(self.settings)} settings, and what chooses: {self.choice}")
