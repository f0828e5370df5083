"""The registry of methods, and a `Localizer` from two texts: the method and the way to a box."""

from dataclasses import dataclass
from typing import Any, Literal

from gradbox.attribution.maps import MapLocalizer, MapMaker
from gradbox.attribution.peers import Peer, PeerMaps
from gradbox.attribution.sensitivity import Sensitivity, SensitivityMaps
from gradbox.dam.localizer import Dam, DamLocalizer
from gradbox.errors import UsageError
from gradbox.estimators.learned import Learned, Regressor
from gradbox.estimators.untrained import ESTIMATORS
from gradbox.localization import Localizer, Selection
from gradbox.models.classifier import Classifier
from gradbox.specs import build, canonical

METHODS: dict[str, type] = {"sensitivity": Sensitivity, "dam": Dam, "peer": Peer}
DEFAULT_METHOD = "sensitivity"
DEFAULT_BOX = "mass"
DEFAULT_LEARNED = "ridge(features=quantiles)"

ClassFrom = Literal["truth", "predicted", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """A method ready to run: its localizer and what reports say of it.

    `method` and `box` are canonical specs; `box` is None where the method makes its own boxes.
    `class_from` is where the class comes from if nobody says: `none` for the attention map.
    `needs_class` says that it cannot do without one.
    """

    localizer: Localizer
    method: str
    box: str | None
    class_from: ClassFrom
    needs_class: bool
    regressor: Regressor | None = None

    def supervision(self, *, given_labels: bool) -> str:
        """What was known beside the classifier: `none`, `image labels`, `N boxes`, or both."""
        seen = []
        if self.regressor is not None:
            seen.append(f"{self.regressor.origin.n_boxes} boxes")
            given_labels = given_labels or self.regressor.origin.image_labels
        if given_labels:
            seen.append("image labels")
        return ", ".join(seen) or "none"


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
            needs_class=True,
        )
    estimator: Any = build(box or DEFAULT_BOX, ESTIMATORS)
    regressor = estimator.regressor if isinstance(estimator, Learned) else None
    maker = _maker(options, classifier)
    if regressor is not None:
        regressor.check(
            text, classifier.weights_hash, layer_name(maker), str(classifier.preprocessing)
        )
    return Method(
        localizer=MapLocalizer(maker, estimator),
        method=text,
        box=canonical(estimator, ESTIMATORS),
        class_from=_class_from(options),
        needs_class=not isinstance(options, Sensitivity) or options.target == "class_score",
        regressor=regressor,
    )


def build_maps(method: str, classifier: Classifier) -> tuple[MapMaker, str, ClassFrom]:
    """The heat maps of a method, for fitting: their maker, canonical spec, where its class is from.

    Raises:
        UsageError: an unknown name or option, or one that only concerns boxes of the method's own.
    """
    options: Any = build(method, METHODS)
    return _maker(options, classifier), canonical(options, METHODS), _class_from(options)


def layer_name(maker: MapMaker) -> str | None:
    """The layer that the maps look into, if any."""
    layer = getattr(maker, "layer", None)
    return None if layer is None else layer.name


def _maker(options: Sensitivity | Dam | Peer, classifier: Classifier) -> MapMaker:
    if isinstance(options, Dam):
        if options.instances or options.abstain > 0:
            raise UsageError(
                "instances and abstain are about the boxes that dam makes itself, not its map: "
                "leave them out"
            )
        return DamLocalizer(options, classifier)
    if isinstance(options, Peer):
        return PeerMaps(options, classifier)
    return SensitivityMaps(options, classifier)


def _class_from(options: object) -> ClassFrom:
    knows_none = isinstance(options, Sensitivity) and options.target == "layer_mean"
    return "none" if knows_none else "predicted"
