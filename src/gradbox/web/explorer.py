"""One image under any of the methods of the page; what was made of it is kept for the next look."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradbox.attribution.passes import pass_of
from gradbox.attribution.targets import top_labels
from gradbox.auto.method import Auto
from gradbox.errors import ImageError, UsageError, nearest
from gradbox.images.batches import Loaded, load, to_batch
from gradbox.images.decode import decode
from gradbox.images.pixels import readable
from gradbox.localization import RGB, Batch, ImageSource, Localization, Sample
from gradbox.methods import ready, to_method
from gradbox.models.classifier import Classifier
from gradbox.progress import Track, silent
from gradbox.reports.drawing import SIDE, resized_within
from gradbox.runs.map_sheet import MAPS
from gradbox.runs.plan import Plan, of_one
from gradbox.web.drawn import Drawn
from gradbox.web.fitting import Outcome, fit_drawn
from gradbox.web.uploads import Limits, plain_name

_TOP = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """An image that is looked at: as the network sees it, with all that was computed of it.

    `rgb` is a small copy for pictures, `classes` the most probable ones with their probability,
    empty where outputs are no classes.
    """

    name: str
    loaded: Loaded
    batch: Batch
    rgb: RGB
    classes: Sequence[tuple[int, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Explorer:
    """A classifier and the methods that are offered: by name, a text or a value.

    `auto` is the text of the one that drawn boxes fit; `methods` grows by what was fitted.
    """

    classifier: Classifier
    methods: dict[str, Any]
    auto: str = "auto"
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        methods: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        *,
        auto: str = "auto",
    ) -> "Explorer":
        """With these methods; else with `auto` and those of `MAPS` that the classifier can have.

        Raises:
            UsageError: one of the methods given cannot be had, or black and white are those of a
                data set.
        """
        if classifier.preprocessing.reading.is_of_dataset:
            raise UsageError(
                "over=dataset needs all images, and the page sees one after the other: give the "
                "range as LOW:HIGH"
            )
        if methods is None:
            offered: dict[str, Any] = {}
            for name, text in {"auto": auto, **{one: one for one in MAPS}}.items():
                with suppress(UsageError):
                    ready(text, None, classifier)
                    offered[name] = text
        else:
            offered = dict(methods)
            for value in offered.values():
                ready(value, None, classifier)
        return cls(classifier=classifier, methods=offered, auto=auto, limits=limits or Limits())

    def open(self, source: ImageSource, name: str) -> Opened:
        """An image, checked, decoded and its class recognized.

        Raises:
            ImageError: it cannot be used; one line without a path.
        """
        if isinstance(source, (str, Path)):
            self.limits.check_file(Path(source))
        name = plain_name(name)
        sample = Sample(image_id=name, source=source)
        loaded = load(sample, self.classifier.preprocessing, keep_original=True)
        if not isinstance(loaded, Loaded):
            raise loaded.error
        self.limits.check_size(loaded.frame.original)
        batch = to_batch([loaded])
        return Opened(
            name=name,
            loaded=loaded,
            batch=batch,
            rgb=resized_within(readable(batch.originals[0]), 2 * SIDE),
            classes=self._classes(batch),
        )

    def seen(self, file: Path) -> RGB:
        """What people see of an image file (h, w, 3); of a very large one a smaller copy.

        Raises:
            ImageError: it cannot be read.
        """
        wanted = self.classifier.preprocessing
        return readable(decode(file, channels=wanted.channels, reading=wanted.reading).pixels)

    def locate(
        self, opened: Opened, method: str, box: Any = None, *, label: str = "", mask: bool = False
    ) -> Localization:
        """What a method finds, with its heat map; maps of the same method and class are kept.

        Args:
            opened: the image.
            method: the name of one of `methods`.
            box: as of `ready`; None for the method's own.
            label: the class by name, wnid or index; empty for the recognized one.
            mask: also the mask of the main box.

        Raises:
            UsageError: an unknown method or class, or one that this network cannot have.
            ImageError: the method fails.
        """
        if method not in self.methods:
            raise UsageError(f"no method {method!r} here{nearest(method, self.methods)}")
        chosen = ready(self.methods[method], box, self.classifier, masks=mask)
        indices = (self.classifier.class_index(label),) if label else None
        plan = Plan(
            samples=[opened.loaded.sample],
            classifier=self.classifier,
            method=chosen,
            labels_of=lambda _: indices,
            selection=self.classifier.usual_selection(chosen.class_from),
        )
        found = of_one(plan, opened.batch, opened.loaded)
        if isinstance(found, ImageError):
            raise found
        return found

    def fit(self, drawn: Drawn, *, track: Track = silent) -> Outcome:
        """Fit `auto` to drawn boxes, and offer what was fitted as a method.

        Raises:
            UsageError: too few images have a box.
        """
        found = fit_drawn(drawn, self.classifier, self.auto, track=track)
        auto = to_method(self.auto)
        assert isinstance(auto, Auto)
        self.methods[f"auto, {found.file.stem}"] = auto.with_fitted(found.file)
        return found

    def _classes(self, batch: Batch) -> Sequence[tuple[int, float]]:
        if not self.classifier.has_classes:
            return ()
        found = pass_of(self.classifier, batch, places=()).outputs.probabilities
        assert found is not None
        (row,) = found.detach().cpu()
        return [(label, float(row[label])) for label in top_labels(row, _TOP)]

    def choices(self, opened: Opened) -> Sequence[tuple[str, str]]:
        """The classes to choose from: what is shown, and the text that stands for it."""
        several = self.classifier.head.kind == "sigmoid"
        return [
            *([("all that are there", "")] if several else []),
            *((f"{self._name(i)} ({share:.0%})", self._name(i)) for i, share in opened.classes),
        ]

    def _name(self, label: int) -> str:
        """A text that names this class alone."""
        name = self.classifier.class_name(label)
        with suppress(UsageError):
            if self.classifier.class_index(name) == label:
                return name
        return str(label)
