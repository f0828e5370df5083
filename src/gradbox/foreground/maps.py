"""The map method `foreground`: where objects are, whatever their class and the classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from jaxtyping import Float, UInt8
from torch import Tensor

from gradbox.attribution.maps import MapsOfImage, label_maps
from gradbox.attribution.method import KnowsNoClass, MapMethod
from gradbox.attribution.passes import pass_of
from gradbox.attribution.targets import labels_to_locate, wants_no_class
from gradbox.errors import UsageError
from gradbox.foreground.fitted_head import with_fitted
from gradbox.foreground.head import Foregrounds, Head, shipped
from gradbox.foreground.views import mean_of_views
from gradbox.images.pixels import as_rgb
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier
from gradbox.seen import Seen


@dataclass(frozen=True)
class Foreground(KnowsNoClass, MapMethod):
    """The probability of being part of an object, of a head taught by boxes of photographs.

    It reads a classifier of its own (EfficientNet-Lite0) at several `sizes`, shorter sides of the
    input in pixels, and averages; one forward pass each, no gradient, no class. `flips` adds the
    mirror images. `head` is a file of `gradbox foreground train` in place of the shipped head,
    `last` one of `gradbox fit` in place of its last layer.
    """

    sizes: tuple[int, ...] = (224, 448)
    flips: bool = False
    head: str | None = None
    last: str | None = None

    def __post_init__(self) -> None:
        if not self.sizes or any(size < 32 for size in self.sizes):
            raise UsageError(f"sizes={list(self.sizes)}: shorter sides in pixels, 32 or more")

    @property
    def needs_originals(self) -> bool:
        """The head looks at sizes of its own."""
        return True

    @property
    def seen(self) -> Sequence[Seen]:
        """The images that the head was trained on, and those of its last layer."""
        return self._learned[1]

    @property
    def trained(self) -> Head:
        """The head.

        Raises:
            UsageError: the file of `head` or `last` is none.
        """
        return self._learned[0]

    @cached_property
    def _learned(self) -> tuple[Head, Sequence[Seen]]:
        head = shipped() if self.head is None else Head.load(Path(self.head))
        if self.last is None:
            return head, (head.seen,)
        taught, seen = with_fitted(head, Path(self.last))
        return taught, (head.seen, seen)

    def maps(self, classifier: Classifier) -> "ForegroundMaps":
        """Its map of what this classifier sees of the images.

        Raises:
            UsageError: the head's backbone is not installed.
        """
        return ForegroundMaps(self, classifier, self.trained.on(str(classifier.device)))


@dataclass(frozen=True)
class ForegroundMaps:
    """The foreground of the images of a classifier; a `MapMaker`."""

    options: Foreground
    classifier: Classifier
    foregrounds: Foregrounds = field(compare=False)  # the options say which

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """One map for all classes; the user's classifier is run only where one is asked for."""
        alone = wants_no_class(batch)
        logits = None if alone else pass_of(self.classifier, batch, places=()).outputs.logits
        labels = labels_to_locate(self.classifier, logits, batch)
        return label_maps(self.classifier.head, logits, labels, [self.of(batch).numpy()])

    def of(self, batch: Batch) -> Float[Tensor, "b h w"]:
        """P in [0, 1], the mean over the views; it depends on no class and is kept once for all."""
        found, started = batch.memo.known(self), batch.memo.clock()
        if found is None:
            found = batch.memo.keep(self, self._mean(batch), since=started)
        return found

    def before_last(self, batch: Batch) -> Mapping[int, Float[Tensor, "b c h w"]]:
        """What the head's last layer reads, of the images at each of the sizes."""
        return {s: self.foregrounds.before_last(self._view(batch, s)) for s in self.options.sizes}

    def _mean(self, batch: Batch) -> Float[Tensor, "b h w"]:
        views = [view for size in self.options.sizes for view in self._views(batch, size)]
        return mean_of_views(views, batch.pixels.shape[2:])

    def _views(self, batch: Batch, size: int) -> Sequence[Float[Tensor, "b h w"]]:
        """What the classifier sees of the images at another size, and mirrored."""
        pixels = self._view(batch, size)
        found = [self.foregrounds.of(pixels)]
        if self.options.flips:
            found.append(self.foregrounds.of(pixels.flip(3)).flip(2))
        return found

    def _view(self, batch: Batch, size: int) -> UInt8[Tensor, "b 3 h w"]:
        own = self.foregrounds.backbone.preprocessing.interpolation
        usual = replace(self.classifier.preprocessing, interpolation=own)
        colours = replace(batch, originals=tuple(map(as_rgb, batch.originals)))
        return colours.view(usual.at(size)).pixels
