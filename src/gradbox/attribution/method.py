"""The contract of a method: a value that builds a localizer for any classifier."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gradbox.attribution.layers import Layer
from gradbox.attribution.localizer import MapLocalizer
from gradbox.attribution.maps import MapMaker
from gradbox.estimators.estimator import BoxEstimator
from gradbox.estimators.untrained import Mass
from gradbox.localization import ClassFrom, Localizer
from gradbox.models.classifier import Classifier
from gradbox.seen import Seen

DEFAULT_BOX = "mass"


@runtime_checkable
class Method(Protocol):
    """A way to localize, with its options: what `methods.METHODS` turns text into."""

    @property
    def class_from(self) -> ClassFrom:
        """Where the class comes from if nobody says."""
        ...

    @property
    def needs_class(self) -> bool:
        """Whether the method cannot do without a class."""
        ...

    @property
    def needs_originals(self) -> bool:
        """Whether it looks at the images at another size: then `Batch.originals` are kept."""
        ...

    @property
    def makes_boxes(self) -> bool:
        """Whether it has boxes of its own where no estimator is given."""
        ...

    @property
    def derives_pixels(self) -> bool:
        """Whether it derives by the pixels: several maps of one pass then do so together."""
        ...

    @property
    def makes_masks(self) -> bool:
        """Whether it has masks of its own where no estimator is given."""
        ...

    @property
    def is_calibrated(self) -> bool:
        """Whether the scores of its own boxes are probabilities of an IoU above 0.5."""
        ...

    @property
    def seen(self) -> Sequence[Seen]:
        """The boxed images that its parts have learned from, none where they have not."""
        ...

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The layers that it looks into; several maps of one pass record all of theirs."""
        ...

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        """The localizer of this classifier; without `box` with the method's usual boxes."""
        ...

    def maps(self, classifier: Classifier) -> MapMaker:
        """Its heat maps; a UsageError where it has none."""
        ...


class KnowsNoClass:
    """What methods share whose maps are the same whatever the class; before `MapMethod`."""

    @property
    def class_from(self) -> ClassFrom:
        """It knows no class."""
        return "none"

    @property
    def needs_class(self) -> bool:
        """It does not."""
        return False


class MapMethod(ABC):
    """A method that makes heat maps and leaves the boxes to an estimator; only `maps` is missing.

    It looks for a class, the recognized one if nobody says; a method for which that is not so says
    otherwise.
    """

    @property
    def class_from(self) -> ClassFrom:
        """The recognized class."""
        return "predicted"

    @property
    def needs_class(self) -> bool:
        """It looks for a class."""
        return True

    @property
    def needs_originals(self) -> bool:
        """The images at input size are enough."""
        return False

    @property
    def makes_boxes(self) -> bool:
        """Boxes come from an estimator."""
        return False

    @property
    def derives_pixels(self) -> bool:
        """It does not."""
        return False

    @property
    def makes_masks(self) -> bool:
        """It has none."""
        return False

    @property
    def is_calibrated(self) -> bool:
        """They are not."""
        return False

    @property
    def seen(self) -> Sequence[Seen]:
        """It has learned from none."""
        return ()

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """It looks into none."""
        return ()

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        """Its maps with the boxes of `box`, `mass` if there is none."""
        return MapLocalizer(self.maps(classifier), box or Mass())

    @abstractmethod
    def maps(self, classifier: Classifier) -> MapMaker:
        """Its heat maps."""
