"""`tiled`: any method, on the whole image and on tiles of it."""

from dataclasses import dataclass

from gradbox.attribution.maps import MapMaker
from gradbox.attribution.of_one import OfOne
from gradbox.errors import UsageError
from gradbox.estimators.estimator import BoxEstimator
from gradbox.localization import Localizer
from gradbox.models.classifier import Classifier
from gradbox.tiles.localizer import TiledLocalizer

SMALLEST = 32


@dataclass(frozen=True)
class Tiled(OfOne):
    """A method's boxes of the whole image and of its tiles, for images far above the input's size.

    Tiles are squares of `size` pixels of the original that share `overlap` of a side with the next.
    An image with no side above 1.5 `size` is taken whole only. The heat map is that of the whole.
    """

    size: int = 640
    overlap: float = 0.2

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise UsageError(f"size={self.size}: pixels of a tile's side, {SMALLEST} or more")
        if not 0 <= self.overlap <= 0.9:
            raise UsageError(f"overlap={self.overlap}: a share of a tile's side, 0 to 0.9")
        if isinstance(self.part, Tiled):
            raise UsageError("tiles of tiles: give one tiled, with one size")

    @property
    def needs_originals(self) -> bool:
        """A tile is cut out of the original."""
        return True

    @property
    def makes_boxes(self) -> bool:
        """Whether the part does."""
        return self.method.makes_boxes

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        """The part's boxes, or those of an estimator from its map, of the whole and the tiles."""
        return TiledLocalizer(
            self.method.build(classifier, box), classifier.preprocessing, self.size, self.overlap
        )

    def maps(self, classifier: Classifier) -> MapMaker:
        """The part's maps, of the whole image."""
        return self.method.maps(classifier)
