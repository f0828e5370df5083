"""The registry of methods, and text or value made ready to run: a method and the way to a box."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gradbox.attribution.combinations import Average, Maximum, Mean, Product, Smooth
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.method import DEFAULT_BOX, Method
from gradbox.attribution.own import as_estimator, as_method
from gradbox.attribution.peers import Peer
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.dam.localizer import Dam
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.fitted import FittedEstimator
from gradbox.estimators.learned import Regressor
from gradbox.localization import ClassFrom, Localizer
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.registry import Registry
from gradbox.specs import as_typed, build, canonical, is_comparable, part_of

METHODS: Registry[type] = Registry(
    "gradbox.methods",
    {
        "sensitivity": Sensitivity,
        "dam": Dam,
        "peer": Peer,
        "product": Product,
        "mean": Mean,
        "maximum": Maximum,
        "average": Average,
        "smooth": Smooth,
    },
)
DEFAULT_METHOD = "sensitivity"
DEFAULT_LEARNED = "ridge(features=quantiles)"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadyMethod:
    """A method ready to run on a classifier, and what files and reports say of it.

    `text` and `box_text` are canonical; `box` and `box_text` are None where the method makes its
    own boxes. `layer` names the layers that it looks into, None where it looks into none.
    """

    method: Method
    box: FittedEstimator | None
    localizer: Localizer
    text: str
    box_text: str | None
    layer: str | None

    @property
    def class_from(self) -> ClassFrom:
        """Where the class comes from if nobody says."""
        return self.method.class_from

    @property
    def regressor(self) -> Regressor | None:
        """What the boxes were learned with, if they were."""
        return None if self.box is None else self.box.learned()

    @property
    def is_comparable(self) -> bool:
        """Whether equal text means an equal method: only then a run may be resumed."""
        return is_comparable(self.method) and (self.box is None or is_comparable(self.box))

    def name(self, method: Any, box: Any) -> str:
        """What tables call it: the texts as they were typed, canonical ones of values."""
        half = as_typed(method, self.text)
        if self.box_text is None:
            return half
        return f"{half} | {as_typed(DEFAULT_BOX if box is None else box, self.box_text)}"

    def supervision(self, *, given_labels: bool) -> str:
        """What was known beside the classifier: `none`, `image labels`, `N boxes`, or both."""
        seen = []
        if self.regressor is not None:
            seen.append(f"{self.regressor.origin.n_boxes} boxes")
            given_labels = given_labels or self.regressor.origin.image_labels
        if given_labels:
            seen.append("image labels")
        return ", ".join(seen) or "none"


def to_method(value: Any) -> Method:
    """The method that a text names, or that a value is; see `attribution.own.as_method`.

    Raises:
        UsageError: an unknown name or option, or a value that is no method.
    """
    return as_method(part_of(value, METHODS))


def to_estimator(value: Any) -> FittedEstimator:
    """The box estimator that a text names, or that a value is.

    Raises:
        UsageError: an unknown name or option, or a value that is no estimator.
    """
    return as_estimator(part_of(value, ESTIMATORS))


def ready(method: Any, box: Any, classifier: Classifier) -> ReadyMethod:
    """A method, as text or value, made ready for a classifier.

    Raises:
        UsageError: an unknown name or option, an option that only concerns boxes of the method's
            own, a regressor fitted with another model or method, or no classifier.
    """
    check_classifier(classifier)
    chosen = to_method(method)
    usual = None if chosen.makes_boxes else DEFAULT_BOX
    given = usual if box is None else box
    estimator = None if given is None else to_estimator(given)
    text, layers = canonical(chosen, METHODS), chosen.layers(classifier)
    localizer = chosen.build(classifier, estimator)
    regressor = None if estimator is None else estimator.learned()
    if regressor is not None:
        regressor.check(
            text,
            classifier.weights_hash,
            layer_name(chosen, classifier),
            str(classifier.preprocessing),
            rebuilt=rebuilt,
        )
    return ReadyMethod(
        method=chosen,
        box=estimator,
        localizer=localizer,
        text=text,
        box_text=None if estimator is None else canonical(estimator, ESTIMATORS),
        layer=", ".join(map(str, layers)) or None,
    )


def ready_maps(method: Any, classifier: Classifier) -> tuple[Method, MapMaker, str]:
    """A method, its heat maps on this classifier and its canonical text, for fitting.

    Raises:
        UsageError: as `ready`, or a method without heat maps.
    """
    check_classifier(classifier)
    chosen = to_method(method)
    return chosen, chosen.maps(classifier), canonical(chosen, METHODS)


def layer_name(method: Method, classifier: Classifier) -> str | None:
    """The names of the layers that the maps look into, None where there are none."""
    return ", ".join(layer.name for layer in method.layers(classifier)) or None


def rebuilt(text: str) -> str:
    """The present canonical text of a method or box whose text another version has written.

    A new option with its default changes nothing. A text that names nothing here stays as it is,
    and so does one that names a file: what a stranger's run folder names is not run.
    """
    if ".py:" in text:
        return text
    registries: Sequence[Registry[type]] = (METHODS, ESTIMATORS)
    for registry in registries:
        with suppress(UsageError):
            return canonical(build(text, registry), registry)
    return text
