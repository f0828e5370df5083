"""The registry of methods, and text or value made ready to run: a method and the way to a box."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gradbox.attribution.cam import (
    EigenCam,
    GradCam,
    GradCamPlusPlus,
    HiResCam,
    LayerCam,
    XGradCam,
)
from gradbox.attribution.combinations import Average, Maximum, Mean, Product, Smooth
from gradbox.attribution.localizer import Outlined
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.method import DEFAULT_BOX, Method
from gradbox.attribution.occlusion import Occlusion
from gradbox.attribution.own import as_estimator, as_method
from gradbox.attribution.peers import Peer
from gradbox.attribution.pixel_maps import (
    GradientXInput,
    GuidedGradCam,
    IntegratedGradients,
    SmoothGrad,
)
from gradbox.attribution.proposing import ProposingLocalizer
from gradbox.attribution.rise import Rise
from gradbox.attribution.rollout import Rollout
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.auto.method import Auto
from gradbox.dam.localizer import Dam
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS, BoxEstimator
from gradbox.estimators.estimator import RegionEstimator
from gradbox.estimators.fitted import FittedEstimator
from gradbox.estimators.learned import Regressor
from gradbox.estimators.outlines import Outlines
from gradbox.estimators.proposals import Proposals
from gradbox.foreground.maps import Foreground
from gradbox.localization import ClassFrom, HasRegions, Localizer
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.registry import Registry
from gradbox.seen import Seen
from gradbox.specs import as_typed, build, canonical, is_comparable, part_of
from gradbox.tiles.method import Tiled

METHODS: Registry[type] = Registry(
    "gradbox.methods",
    {
        "auto": Auto,
        "sensitivity": Sensitivity,
        "dam": Dam,
        "gradcam": GradCam,
        "hirescam": HiResCam,
        "gradcam_pp": GradCamPlusPlus,
        "xgradcam": XGradCam,
        "layercam": LayerCam,
        "eigencam": EigenCam,
        "rollout": Rollout,
        "gradient_x_input": GradientXInput,
        "smoothgrad": SmoothGrad,
        "integrated_gradients": IntegratedGradients,
        "guided_gradcam": GuidedGradCam,
        "occlusion": Occlusion,
        "rise": Rise,
        "foreground": Foreground,
        "peer": Peer,
        "product": Product,
        "mean": Mean,
        "maximum": Maximum,
        "average": Average,
        "smooth": Smooth,
        "tiled": Tiled,
    },
)
DEFAULT_METHOD = "auto"
DEFAULT_LEARNED = "ridge(features=quantiles)"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadyMethod:
    """A method ready to run on a classifier, and what files and reports say of it.

    `text` and `box_text` are canonical; `box` and `box_text` are None where the method makes its
    own boxes. `layer` names the layers that it looks into, None where it looks into none.
    `combination` is what `auto`, tiled or not, is for this classifier: its maps, and its boxes if
    they are its own.
    `outlines` says how masks are made of its maps, None where they are not.
    `proposals` is how many scored regions each image keeps, None where nobody asked for them.
    """

    method: Method
    box: FittedEstimator | None
    localizer: Localizer
    text: str
    box_text: str | None
    layer: str | None
    combination: str | None = None
    outlines: Outlines | None = None
    proposals: int | None = None

    @property
    def needs_originals(self) -> bool:
        """Whether it, or its masks, are made of the images at another size."""
        return self.method.needs_originals or self.outlines is not None

    @property
    def class_from(self) -> ClassFrom:
        """Where the class comes from if nobody says."""
        return self.method.class_from

    @property
    def is_calibrated(self) -> bool:
        """Whether scores are probabilities of an IoU above 0.5."""
        return is_calibrated(self.method, self.box)

    @property
    def regressor(self) -> Regressor | None:
        """What the boxes were learned with, if they were."""
        return None if self.box is None else self.box.learned()

    @property
    def is_comparable(self) -> bool:
        """Whether equal text means an equal method."""
        return is_comparable(self.method) and (self.box is None or is_comparable(self.box))

    def name(self, method: Any, box: Any) -> str:
        """What tables call it: the texts as they were typed, canonical ones of values."""
        half = as_typed(method, self.text)
        if self.box_text is None:
            return half
        return f"{half} | {as_typed(DEFAULT_BOX if is_auto(box) else box, self.box_text)}"

    @property
    def seen(self) -> Sequence[tuple[str, Seen]]:
        """The boxed images that it has learned from: the text of the part, and which they are."""
        of_box = () if self.regressor is None else ((str(self.box_text), self.regressor.seen),)
        return (*((self.text, seen) for seen in self.method.seen), *of_box)

    def supervision(self, *, given_labels: bool) -> str:
        """What was known beside the classifier: `none`, or such as `N boxes, image labels`."""
        known = [seen.what for _, seen in self.seen]
        if given_labels or any(seen.image_labels for _, seen in self.seen):
            known.append("image labels")
        return ", ".join(known) or "none"

    def stamps(self, *, given_labels: bool) -> dict[str, Any]:
        """What `run.json` says beside the call: `supervision`, and whether it `is_calibrated`."""
        return {
            "supervision": self.supervision(given_labels=given_labels),
            "is_calibrated": self.is_calibrated,
        }


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


def is_auto(box: Any) -> bool:
    """Whether boxes are to come about in the method's usual way: nothing is given, or "auto"."""
    return box is None or (isinstance(box, str) and box.strip() == "auto")


def is_calibrated(method: Method, box: Any) -> bool:
    """Whether a method's scores are probabilities; those of an estimator's boxes never are."""
    return method.is_calibrated and is_auto(box)


def check_min_score(min_score: float | None, method: Any, box: Any) -> None:
    """Refuse a least score for scores that are no probabilities.

    Args:
        min_score: in [0, 1]; None is always right.
        method: as of `ready`.
        box: as of `ready`.

    Raises:
        UsageError: another number, or such scores.
    """
    if min_score is None:
        return
    if not 0 <= min_score <= 1:
        raise UsageError(f"min_score={min_score}: a probability, 0 <= min_score <= 1")
    chosen = to_method(method)
    if not is_calibrated(chosen, box):
        name = as_typed(method, canonical(chosen, METHODS))
        name += " with a box" if chosen.is_calibrated else ""
        raise UsageError(
            f"min_score={min_score}: the scores of {name} are no probabilities: leave it out, or "
            f"use a method whose own boxes have them ({', '.join(_calibrated()) or 'none is here'})"
        )


def _calibrated() -> list[str]:
    """The names of the methods whose scores are probabilities."""
    names = []
    for name in METHODS:
        with suppress(UsageError):  # what needs options has none of its own
            if to_method(name).is_calibrated:
                names.append(name)
    return names


def ready(
    method: Any,
    box: Any,
    classifier: Classifier,
    *,
    masks: bool = False,
    proposals: int | None = None,
) -> ReadyMethod:
    """A method, as text or value, made ready for a classifier.

    Without a box, or with "auto", the method's own boxes are taken, else `mass`. With `masks` every
    main box that comes with a map has one; `dam` without a box keeps its own.

    Raises:
        UsageError: an unknown name or option, an option that only concerns boxes of the method's
            own, a regressor fitted with another model or method, no classifier, or proposals of a
            method that has neither maps nor regions.
    """
    check_classifier(classifier)
    chosen = to_method(method)
    usual = None if chosen.makes_boxes else DEFAULT_BOX
    given = usual if is_auto(box) else box
    estimator = None if given is None else to_estimator(given)
    text, layers = canonical(chosen, METHODS), chosen.layers(classifier)
    localizer = chosen.build(classifier, estimator)
    if proposals is not None:
        maker = _maps_to_propose_from(chosen, classifier, localizer)
        localizer = ProposingLocalizer(localizer, maker, Proposals(count=proposals))
    own_masks = estimator is None and chosen.makes_masks
    outlines = Outlines() if masks and not own_masks else None
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
        localizer=localizer if outlines is None else Outlined(localizer, outlines),
        text=text,
        box_text=None if estimator is None else canonical(estimator, ESTIMATORS),
        layer=", ".join(map(str, layers)) or None,
        combination=_combination(chosen, classifier, has_own_boxes=estimator is None),
        outlines=outlines,
        proposals=proposals,
    )


def _combination(method: Method, classifier: Classifier, *, has_own_boxes: bool) -> str | None:
    of = method.method if isinstance(method, Tiled) else method
    if not isinstance(of, Auto):
        return None
    maps = canonical(of.combination(classifier), METHODS)
    objects = canonical(of.tuned.settings[0].objects, ESTIMATORS)
    return f"{maps} | {objects}" if has_own_boxes else maps


def _has_regions(made: Localizer | MapMaker) -> bool:
    return isinstance(made, HasRegions) and made.has_regions


def _maps_to_propose_from(
    method: Method, classifier: Classifier, localizer: Localizer
) -> MapMaker | None:
    """None where the localizer has regions of its own."""
    if _has_regions(localizer):
        return None
    try:
        return method.maps(classifier)
    except UsageError as error:
        raise UsageError(
            f"{canonical(method, METHODS)} has neither heat maps nor regions to propose: leave the "
            "proposals out, or use another method"
        ) from error


def ready_maps(
    method: Any, classifier: Classifier, box: Any = None
) -> tuple[Method, MapMaker, str]:
    """A method, its heat maps on this classifier and its canonical text, for fitting.

    Raises:
        UsageError: as `ready`, a method without heat maps, or one without the regions that the box
            to be fitted sees.
    """
    check_classifier(classifier)
    chosen = to_method(method)
    maker, text = chosen.maps(classifier), canonical(chosen, METHODS)
    if box is not None:
        _check_regions(maker, text, to_estimator(box))
    return chosen, maker, text


def _check_regions(maker: MapMaker, text: str, box: BoxEstimator) -> None:
    sees_regions = isinstance(box, RegionEstimator) and box.sees_regions
    if sees_regions and not _has_regions(maker):
        raise UsageError(
            f"features=regions are of the regions that a map is made of, and {text} has none: use "
            "dam, or features=quantiles"
        )


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
