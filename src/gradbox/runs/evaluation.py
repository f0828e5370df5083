"""A method on a data set: what is scored, and by which protocol."""

from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from gradbox.boxes import Boxes
from gradbox.datasets import Dataset, limit, split
from gradbox.datasets.dataset import check_dataset
from gradbox.datasets.subsets import Subset
from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import hash_source
from gradbox.localization import ClassFrom, Sample
from gradbox.methods import ReadyMethod, ready, rebuilt
from gradbox.models.classifier import Classifier
from gradbox.results.opening import AnyRun, open_run
from gradbox.runs.execution import Running, usual_shard
from gradbox.runs.plan import LabelsOf, Plan
from gradbox.scores.run_detection import have_classes
from gradbox.scores.units import IndexOf, TrueUnit, true_units

UnitsOf = Callable[[Sample], Sequence[TrueUnit]]
"""The scored units of an image."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which images of a data set are used: one part of a random split, then a random sample.

    `shares` are the sizes of the parts, `number` counts from 1, `limit` is a number of images.
    """

    shares: tuple[float, ...] = ()
    number: int = 1
    seed: int = 0
    limit: int | None = None

    def of(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The images of this part."""
        part = split(samples, self.shares, self.number, self.seed) if self.shares else samples
        return part if self.limit is None else limit(part, self.limit, self.seed)

    def others(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The images of the split's other parts: what may be fitted on."""
        numbers = (n for n in range(1, len(self.shares) + 1) if n != self.number)
        parts = (split(samples, self.shares, n, self.seed).numbers for n in numbers)
        return Subset(samples, chain.from_iterable(parts))

    @property
    def about(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        return {
            "split": list(self.shares),
            "part": self.number if self.shares else None,
            "seed": self.seed,
            "limit": self.limit,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Protocol:
    """What is scored and how, whatever the method; without `class_from` each has its own way.

    Boxes with a score below `min_score` are left out; `masks` makes masks of heat maps, too;
    `proposals` keeps so many scored regions of each image.
    """

    dataset: Dataset
    part: Part = Part()
    class_from: ClassFrom | None = None
    strict: bool = True
    min_score: float | None = None
    masks: bool = False
    proposals: int | None = None

    def ready(self, method: Any, box: Any, classifier: Classifier) -> ReadyMethod:
        """A method made ready with the masks and proposals that are asked for."""
        return ready(method, box, classifier, masks=self.masks, proposals=self.proposals)

    def __post_init__(self) -> None:
        check_dataset(self.dataset)

    @property
    def selected(self) -> Sequence[Sample]:
        """The images of the part."""
        return self.part.of(self.dataset.samples)

    @cached_property
    def others(self) -> Sequence[Sample]:
        """The images that boxes and baselines may be fitted on: the split's other parts."""
        return self.part.others(self.dataset.samples)

    @cached_property
    def has_masks(self) -> bool:
        """Whether some image of the data set has a true mask."""
        return any(sample.mask is not None for sample in self.dataset.samples)

    def run_by(self, running: Running) -> Running:
        """The same way to run, but with the masks written that are to be scored."""
        return replace(running, masks=running.masks or self.has_masks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A plan whose samples have units to score; make it with `prepare`.

    `samples` are its images, of which each has `units_of`; `by_class` says whether their true boxes
    are told apart by class; `n_without_unit` images of the part have no unit.
    """

    protocol: Protocol
    plan: Plan
    samples: Sequence[Sample]
    units_of: UnitsOf
    by_class: bool
    class_from: ClassFrom
    n_without_unit: int

    @property
    def index_of(self) -> IndexOf:
        """The classifier's index of a class."""
        return cache(self.plan.classifier.class_index)

    @property
    def supervision(self) -> str:
        """What was known beside the classifier."""
        return self.plan.method.supervision(given_labels=self.class_from == "truth")

    def first_boxes(self, sample: Sample) -> Boxes:
        """The true boxes of the first unit of an image."""
        return self.units_of(sample)[0].boxes

    def open(self, out: Path, running: Running) -> AbstractContextManager[AnyRun]:
        """The folder of the run, new or to be resumed."""
        call = {
            "command": "evaluate",
            "dataset": self.protocol.dataset.spec,
            **self.protocol.part.about,
            "class_from": self.class_from,
            "strict": self.protocol.strict,
            "masks": self.protocol.has_masks or self.protocol.masks,
            **self.plan.about,
        }
        return open_run(
            out,
            call,
            self.plan.method.stamps(given_labels=self.class_from == "truth"),
            overwrite=running.overwrite,
            rebuilt=rebuilt,
            resumable=self.plan.is_comparable,
            shard=running.shard,
            usual_shard=usual_shard(self.plan.samples, out, running),
        )


def prepare(protocol: Protocol, method: ReadyMethod, classifier: Classifier) -> Evaluation:
    """A method on a classifier, made ready to be run and scored.

    Raises:
        UsageError: nothing can be scored, no class for a method that looks for one, a class that
            the classifier does not know (for `truth`), or a part that has learned from an image
            that is scored.
    """
    chosen = protocol.class_from or method.class_from
    if chosen == "none" and method.method.needs_class:
        raise UsageError(
            f"{method.text} looks for a class: use --class-from truth or predicted, or for none "
            "at all --method 'sensitivity(target=layer_mean)'"
        )
    selected = protocol.selected
    samples, units_of = with_units(protocol.dataset, selected, classifier, chosen)
    _refuse_training_images(method, samples)
    plan = Plan(
        samples=samples,
        classifier=classifier,
        method=method,
        labels_of=labels_of_units(units_of, chosen),
        selection=classifier.usual_selection(chosen),
        min_score=protocol.min_score,
    )
    return Evaluation(
        protocol=protocol,
        plan=plan,
        samples=samples,
        units_of=units_of,
        by_class=have_classes(samples, chosen, cache(classifier.class_index)),
        class_from=chosen,
        n_without_unit=len(selected) - len(samples),
    )


def with_units(
    dataset: Dataset, selected: Sequence[Sample], classifier: Classifier, class_from: ClassFrom
) -> tuple[Sequence[Sample], UnitsOf]:
    """The images that have something to score, and what.

    Raises:
        UsageError: there is none.
    """
    index_of = cache(classifier.class_index)

    def units_of(sample: Sample) -> Sequence[TrueUnit]:
        return true_units(sample, class_from, index_of) if len(sample.boxes) else ()

    having = array("q", (number for number, one in enumerate(selected) if units_of(one)))
    if not having:
        raise UsageError(f"{dataset.spec}: none of {len(selected)} images has a box with its class")
    return selected if len(having) == len(selected) else Subset(selected, having), units_of


def labels_of_units(units_of: UnitsOf, class_from: ClassFrom) -> LabelsOf:
    """The true classes of each image, or none given."""

    def given(sample: Sample) -> tuple[int, ...]:
        return tuple(u.index for u in units_of(sample) if u.index is not None)

    return given if class_from == "truth" else lambda _: None


def _refuse_training_images(method: ReadyMethod, samples: Sequence[Sample]) -> None:
    counts, first = [0] * len(method.seen), ""
    for sample in samples if method.seen else ():
        digest = _hash(sample)
        known = [seen.has(sample.image_id, digest) for _, seen in method.seen]
        counts = [count + one for count, one in zip(counts, known, strict=True)]
        if any(known) and not (first and first < sample.image_id):
            first = sample.image_id
    for (text, seen), count in zip(method.seen, counts, strict=True):
        if count:
            raise UsageError(
                f"{text} was fitted on {count} of these images ({first}, ...; "
                f"{seen.what}): scoring them would be testing on the training set; take other "
                "images, another --part of the --split, or a method that has not seen them (auto "
                "has --no-foreground)"
            )


def _hash(sample: Sample) -> str | None:
    """The SHA-256 of an image; None where it cannot be read, which is reported in its turn."""
    try:
        return hash_source(sample.source)
    except ImageError:
        return None
