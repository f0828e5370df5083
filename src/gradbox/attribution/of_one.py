"""The half that methods made of one other method share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.method import MapMethod, Method
from gradbox.attribution.own import as_method
from gradbox.localization import ClassFrom, Localizer
from gradbox.models.classifier import Classifier
from gradbox.seen import Seen


@dataclass(frozen=True)
class OfOne(MapMethod):
    """What methods made of one other share: that method, and where it looks; `maps` is missing."""

    part: Method | MapMaker | Localizer

    @cached_property  # whether it is a method is a question to all that it is made of
    def method(self) -> Method:
        """The part, also where it is a user's own map maker or localizer, as a method."""
        return as_method(self.part)

    @property
    def class_from(self) -> ClassFrom:
        """As the part."""
        return self.method.class_from

    @property
    def needs_class(self) -> bool:
        """As the part."""
        return self.method.needs_class

    @property
    def makes_masks(self) -> bool:
        """As the part."""
        return self.method.makes_masks

    @property
    def needs_originals(self) -> bool:
        """As the part."""
        return self.method.needs_originals

    @property
    def derives_pixels(self) -> bool:
        """As the part."""
        return self.method.derives_pixels

    @property
    def seen(self) -> Sequence[Seen]:
        """As the part."""
        return self.method.seen

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """As the part."""
        return self.method.layers(classifier)
