"""A user's own localizer, map maker or box estimator, as gradbox's own stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.method import MapMethod, Method
from gradbox.errors import UsageError
from gradbox.estimators.estimator import BoxEstimator, Heatmaps, ScoredBoxes
from gradbox.estimators.fitted import FittedEstimator, Untrained
from gradbox.geometry import Frame
from gradbox.localization import ClassFrom, Localizer
from gradbox.models.classifier import Classifier
from gradbox.seen import Seen


@dataclass(frozen=True)
class OwnLocalizer:
    """A `Localizer` as a method: it is itself whatever the classifier."""

    localizer: Localizer
    class_from: ClassFrom = "predicted"
    needs_class: bool = False
    needs_originals: bool = False
    makes_boxes: bool = True
    makes_masks: bool = False
    derives_pixels: bool = False
    is_calibrated: bool = False
    seen: Sequence[Seen] = ()

    @property
    def stands_for(self) -> object:
        """What texts name in its place."""
        return self.localizer

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """None is known."""
        return ()

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        """Itself; a UsageError where boxes are to come from an estimator."""
        if box is not None:
            raise UsageError(f"{_name(self.localizer)} makes its own boxes: leave the box out")
        return self.localizer

    def maps(self, classifier: Classifier) -> MapMaker:
        """A UsageError: it has none."""
        raise UsageError(f"{_name(self.localizer)} makes boxes, no heat maps: use another method")


@dataclass(frozen=True)
class OwnMaps(MapMethod):
    """A `MapMaker` as a method: it is itself whatever the classifier."""

    maker: MapMaker

    @property
    def stands_for(self) -> object:
        """What texts name in its place."""
        return self.maker

    @property
    def needs_class(self) -> bool:
        """It is not known to need one."""
        return False

    def maps(self, classifier: Classifier) -> MapMaker:
        """Itself."""
        return self.maker


@dataclass(frozen=True)
class OwnBoxes(Untrained):
    """A `BoxEstimator` that says nothing of what it has learned from."""

    estimator: BoxEstimator

    @property
    def stands_for(self) -> object:
        """What texts name in its place."""
        return self.estimator

    def estimate(self, heatmaps: Heatmaps, frames: Sequence[Frame]) -> Sequence[ScoredBoxes]:
        """As the estimator does."""
        return [ScoredBoxes(*found) for found in self.estimator.estimate(heatmaps, frames)]


def as_method(value: Any) -> Method:
    """A method as it is; a `Localizer` or `MapMaker` as a method that is always it.

    Raises:
        UsageError: the value is none of them.
    """
    if isinstance(value, type):
        raise UsageError(f"{value.__name__} is a class: give an object, {value.__name__}()")
    if isinstance(value, Method):
        return value
    if isinstance(value, Localizer):
        return OwnLocalizer(value)
    if isinstance(value, MapMaker):
        return OwnMaps(value)
    raise UsageError(
        f"{_name(value)} is no method: it has neither build and maps of a method, nor localize of "
        "a localizer, nor maps of a map maker"
    )


def as_estimator(value: Any) -> FittedEstimator:
    """An estimator as it is; one that does not say what it learned from as one of no box.

    Raises:
        UsageError: the value is none.
    """
    if isinstance(value, type):
        raise UsageError(f"{value.__name__} is a class: give an object, {value.__name__}()")
    if isinstance(value, FittedEstimator):
        return value
    if isinstance(value, BoxEstimator):
        return OwnBoxes(value)
    raise UsageError(f"{_name(value)} is no box estimator: it has no method estimate")


def _name(value: object) -> str:
    return type(value).__name__
