"""`auto`, the default method: which maps it combines, and how its boxes come about."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

from gradbox.attribution.cam import GradCam
from gradbox.attribution.combinations import Product, Smooth
from gradbox.attribution.layers import Layer
from gradbox.attribution.localizer import MapLocalizer
from gradbox.attribution.maps import MapMaker
from gradbox.attribution.method import MapMethod, Method
from gradbox.attribution.occlusion import Occlusion
from gradbox.auto.choosing import ChoosingLocalizer
from gradbox.auto.closer import CloserLocalizer
from gradbox.auto.confidence import shipped
from gradbox.auto.fitted import Fitted
from gradbox.auto.localizer import AutoLocalizer
from gradbox.auto.settings import Settings, Tuned
from gradbox.auto.strict import without_boxes
from gradbox.errors import UsageError
from gradbox.estimators.estimator import BoxEstimator
from gradbox.foreground.head import Head
from gradbox.foreground.maps import Foreground
from gradbox.localization import Localizer
from gradbox.models.black_box import is_black_box
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL, is_installed
from gradbox.seen import Seen

_WITHOUT = Settings(share=0.45, split=0.0)
"""A map without the foreground has too many peaks of its own to tell touching objects apart."""


def _foreground_is_installed() -> bool:
    return is_installed(DEFAULT_MODEL)


@dataclass(frozen=True)
class Auto(MapMethod):
    """The best that gradbox knows for any classifier: a box for each object, and how sure it is.

    With `foreground`, which is usual where the extra `imagenet` is installed, the map is P, the
    probability of `foreground`, times Grad-CAM of the class to the power `power`. Without it no box
    of anybody has been learned from: see `without_boxes`. Of a black box the map is P alone, or
    that of `occlusion`. It may be smoothed by a Gaussian of `sigma` pixels of the input. A box
    stands around each object that `objects(share, split)` tells apart, in its order; they are
    0.4 and 0.85 with the foreground, 0.45 and 0 without, where only what does not touch is apart. A
    main box on less than `closer` of the image is looked at again from near. The score of a box is
    the probability that its IoU with a true box is above 0.5, calibrated with the foreground;
    without it, it only orders boxes. `head` is a file of `gradbox foreground train`, `fitted` one
    of `gradbox fit`, whose settings stand in place of `power`, `share`, `split` and `sigma`.
    """

    foreground: bool = field(default_factory=_foreground_is_installed)
    power: float = 0.15
    share: float | None = None
    split: float | None = None
    closer: float = 0.15
    head: str | None = None
    sigma: float = 0.0
    fitted: str | None = None

    def __post_init__(self) -> None:
        _ = self._given  # which checks its own options
        if not 0 <= self.closer < 1:
            raise UsageError(f"closer={self.closer}: a share of the image, from 0 (never) to 1")
        if self.head is not None and not self.foreground:
            raise UsageError("head names a foreground head, and foreground=false uses none")
        if self.power != self._usual.power and not self.foreground:
            raise UsageError(
                f"power={self.power} is of the class's map beside the foreground, and "
                "foreground=false uses none: leave it out"
            )
        if self.fitted is not None and self._given != self._usual:
            changed = ", ".join(
                name
                for name, value in asdict(self._given).items()
                if value != getattr(self._usual, name)
            )
            raise UsageError(
                f"{changed} given beside fitted={self.fitted}, which has its own: leave one out"
            )

    def with_fitted(self, file: Path) -> "Auto":
        """The same with a file of `gradbox fit`, whose settings stand in place of its own."""
        own = {one.name: getattr(Auto(), one.name) for one in fields(Settings)}
        return replace(self, **own, fitted=str(file))

    @property
    def _given(self) -> Settings:
        share = self._usual.share if self.share is None else self.share
        split = self._usual.split if self.split is None else self.split
        return Settings(power=self.power, share=share, split=split, sigma=self.sigma)

    @property
    def _usual(self) -> Settings:
        return Settings() if self.foreground else _WITHOUT

    @cached_property
    def learned(self) -> Fitted | None:
        """What `gradbox fit` has learned, None where nothing is given.

        Raises:
            UsageError: the file of `fitted` is none, or one of another head.
        """
        if self.fitted is None:
            return None
        found = Fitted.load(Path(self.fitted))
        found.check_head(None if self.usual_head is None else self.usual_head.seen.sha256)
        return found

    @property
    def tuned(self) -> Tuned:
        """The settings and the calibration in use: what has been learned, or the usual ones."""
        confidence = shipped("foreground" if self.foreground else "strict")
        usual = Tuned(settings=(self._given,), confidence=confidence)
        return usual if self.learned is None else self.learned.tuned

    @property
    def usual_head(self) -> Head | None:
        """The foreground head without what was fitted, None without one."""
        return Foreground(head=self.head).trained if self.foreground else None

    @property
    def needs_class(self) -> bool:
        """The foreground does without."""
        return not self.foreground

    @property
    def needs_originals(self) -> bool:
        """Its maps have sizes of their own, and the second look is at a part."""
        return True

    @property
    def makes_boxes(self) -> bool:
        """It does."""
        return True

    @property
    def is_calibrated(self) -> bool:
        """With the foreground; without it they only order boxes, see docs/accuracy.md."""
        return self.foreground

    @property
    def derives_pixels(self) -> bool:
        """Where its maps do."""
        return not self.foreground

    @property
    def seen(self) -> Sequence[Seen]:
        """The images that the foreground head was trained on, and those of the fit."""
        of_head = self._foreground.seen if self.foreground else ()
        learned = () if self.learned is None else (self.learned.seen,)
        return list(dict.fromkeys((*of_head, *learned)))

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """Those of the class's map."""
        return self.combination(classifier).layers(classifier)

    def combination(self, classifier: Classifier) -> Method:
        """The maps that are combined for this classifier."""
        return self._combined(classifier, self.tuned.settings[0])

    def maps(self, classifier: Classifier) -> MapMaker:
        """Its map of each class.

        Raises:
            UsageError: it was fitted with another classifier, or the head cannot be used.
        """
        self._check_fit(classifier)
        return self.combination(classifier).maps(classifier)

    def build(self, classifier: Classifier, box: BoxEstimator | None = None) -> Localizer:
        """Its own boxes, or those of an estimator from its map."""
        if box is not None:
            return MapLocalizer(self.maps(classifier), box)
        self._check_fit(classifier)
        tuned = self.tuned
        foreground = self._foreground.maps(classifier) if self.foreground else None
        ways = [
            AutoLocalizer(
                maker=self._combined(classifier, settings).maps(classifier),
                objects=settings.objects,
                confidence=tuned.confidence,
                foreground=foreground,
            )
            for settings in tuned.settings
        ]
        found = ways[0] if tuned.choice is None else ChoosingLocalizer(ways, tuned.choice)
        if self.closer == 0:
            return found
        return CloserLocalizer(found, classifier.preprocessing, below=self.closer)

    def has_power(self, classifier: Classifier) -> bool:
        """Whether the power of the class's map changes anything for this classifier."""
        return self.foreground and not is_black_box(classifier.module)

    def _check_fit(self, classifier: Classifier) -> None:
        if self.learned is not None:
            self.learned.check(classifier)

    @property
    def _foreground(self) -> Foreground:
        fitted = self.learned is not None and self.learned.last_layer is not None
        return Foreground(head=self.head, last=self.fitted if fitted else None)

    def _combined(self, classifier: Classifier, settings: Settings) -> Method:
        combined: Method
        if is_black_box(classifier.module):
            combined = self._foreground if self.foreground else Occlusion(calls=100)
        elif self.foreground:
            combined = Product((self._foreground, GradCam()), powers=(1.0, settings.power))
        else:
            combined = without_boxes(classifier)
        return Smooth(combined, sigma=settings.sigma) if settings.sigma else combined
