"""The registry of methods, and a `Localizer` from two texts: the method and the way to a box."""

from dataclasses import dataclass
from typing import Any, Literal

from gradbox.classifier import Classifier
from gradbox.dam import Dam, DamLocalizer
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.localization import Localizer, Selection
from gradbox.localizers import MapLocalizer, MapMaker
from gradbox.peers import Peer, PeerMaps
from gradbox.regressor import Learned, Regressor
from gradbox.sensitivity import Sensitivity, SensitivityMaps
from gradbox.specs import build, canonical

METHODS: dict[str, type] = {"sensitivity": Sensitivity, "dam": Dam, "peer": Peer}
DEFAULT_METHOD = "sensitivity"
DEFAULT_BOX = "mass"

ClassFrom = Literal["truth", "predicted", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """A method ready to run: its localizer and what reports say of it.

    `method` and `box` are canonical specs; `box` is None where the method made its own boxes.
    `class_from` is where the class comes from if nobody says: `none` for the attention map.
    """

    localizer: Localizer
    method: str
    box: str | None
    class_from: ClassFrom
    regressor: Regressor | None = None

    def supervision(self, *, given_labels: bool) -> str:
        """What was known beside the classifier: `none`, `image labels` or `N boxes`."""
        if self.regressor is not None:
            return f"{self.regressor.origin.n_boxes} boxes"
        return "image labels" if given_labels else "none"


def selection_for(class_from: ClassFrom) -> Selection:
    """The recognized class, or no class at all."""
    return Selection(top=0 if class_from == "none" else 1)


def build_method(method: str, box: str | None, classifier: Classifier) -> Method:
    """The localizer that the two texts name.

    Raises:
        UsageError: an unknown name or option, an option that only concerns boxes of the method's
            own, or a regressor fitted with another model or method.
    """
    options: Any = build(method, METHODS)
    text = canonical(options, METHODS)
    if isinstance(options, Dam) and box is None:
        return Method(
            localizer=DamLocalizer(options, classifier),
            method=text,
            box=None,
            class_from=_class_from(options),
        )
    estimator: Any = build(box or DEFAULT_BOX, ESTIMATORS)
    regressor = estimator.regressor if isinstance(estimator, Learned) else None
    if regressor is not None:
        regressor.check(text, classifier.weights_hash)
    return Method(
        localizer=MapLocalizer(_maker(options, classifier), estimator),
        method=text,
        box=canonical(estimator, ESTIMATORS),
        class_from=_class_from(options),
        regressor=regressor,
    )


def build_maps(method: str, classifier: Classifier) -> tuple[MapMaker, str, ClassFrom]:
    """The heat maps of a method, for fitting: their maker, canonical spec, where its class is from.

    Raises:
        UsageError: an unknown name or option, or one that only concerns boxes of the method's own.
    """
    options: Any = build(method, METHODS)
    return _maker(options, classifier), canonical(options, METHODS), _class_from(options)


def _maker(options: Sensitivity | Dam | Peer, classifier: Classifier) -> MapMaker:
    if isinstance(options, Dam):
        if options.instances or options.abstain > 0:
            raise UsageError(
                "instances and abstain are about the boxes that dam makes itself: leave them out, "
                "or the box"
            )
        return DamLocalizer(options, classifier)
    if isinstance(options, Peer):
        return PeerMaps(options, classifier)
    return SensitivityMaps(options, classifier)


def _class_from(options: object) -> ClassFrom:
    knows_none = isinstance(options, Sensitivity) and options.target == "layer_mean"
    return "none" if knows_none else "predicted"
