"""A method on a data set: what is scored, by which protocol, and what came of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from gradbox.datasets import Dataset, limit, split
from gradbox.datasets.dataset import check_dataset
from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import hash_source
from gradbox.localization import ClassFrom, Found, Localization, Sample, Selection
from gradbox.methods import ReadyMethod, rebuilt
from gradbox.models.classifier import Classifier
from gradbox.results.run_folder import RunFolder, open_run
from gradbox.runs.execution import Running
from gradbox.runs.plan import LabelsOf, Plan
from gradbox.scores.baselines import baselines
from gradbox.scores.boxes import Scores
from gradbox.scores.run_masks import score_constant_masks, score_masks
from gradbox.scores.units import TrueUnit, score, summary, true_units

Units = Mapping[str, Sequence[TrueUnit]]
"""The scored units of each image, by image id."""


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
        return list(chain.from_iterable(split(samples, self.shares, n, self.seed) for n in numbers))

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
    """What is scored and how, whatever the method; without `class_from` each has its own way."""

    dataset: Dataset
    part: Part = Part()
    class_from: ClassFrom | None = None
    strict: bool = True

    def __post_init__(self) -> None:
        check_dataset(self.dataset)

    @property
    def others(self) -> Sequence[Sample]:
        """The images that boxes and baselines may be fitted on: the split's other parts."""
        return self.part.others(self.dataset.samples)

    @property
    def has_masks(self) -> bool:
        """Whether some image of the data set has a true mask."""
        return any(sample.mask is not None for sample in self.dataset.samples)

    def run_by(self, running: Running) -> Running:
        """The same way to run, but with the masks written that are to be scored."""
        return replace(running, masks=running.masks or self.has_masks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A plan whose samples have units to score; make it with `prepare`.

    `n_without_unit` images of the part have nothing to score.
    """

    protocol: Protocol
    plan: Plan
    units: Units
    class_from: ClassFrom
    n_without_unit: int

    @property
    def samples(self) -> Sequence[Sample]:
        """The images that are scored."""
        return list(self.plan.samples)

    @property
    def supervision(self) -> str:
        """What was known beside the classifier."""
        return self.plan.method.supervision(given_labels=self.class_from == "truth")

    def open(self, out: Path, *, overwrite: bool) -> AbstractContextManager[RunFolder]:
        """The folder of the run, new or to be resumed."""
        call = {
            "command": "evaluate",
            "dataset": self.protocol.dataset.spec,
            **self.protocol.part.about,
            "class_from": self.class_from,
            "strict": self.protocol.strict,
            "masks": self.protocol.has_masks,
            **self.plan.about,
        }
        return open_run(
            out,
            call,
            {"supervision": self.supervision},
            overwrite=overwrite,
            rebuilt=rebuilt,
            resumable=self.plan.method.is_comparable,
        )

    def score(self, found: Mapping[str, Found]) -> Scores:
        """The scores of what was found; failed images are left out."""
        return score(self.units, found, self.class_from, self.plan.classifier.class_name)

    def metrics(
        self, scores: Scores, found: Mapping[str, Found], folder: RunFolder
    ) -> dict[str, Any]:
        """What `metrics.json` says of the method; masks of the images that `scores` are of.

        Masks take memory: they are read again from the run's folder, one at a time.
        """
        masked = self._masked(scores.image_ids)
        with_masks = folder.results(masks=True) if masked else ()
        return {
            "supervision": self.supervision,
            **summary(scores, strict=self.protocol.strict),
            "masks": score_masks(masked, with_masks),
            "n_failed": sum(isinstance(one, ImageError) for one in found.values()),
            "n_without_unit": self.n_without_unit,
        }

    def context(self, found: Mapping[str, Found], hashes: Mapping[str, str]) -> dict[str, Any]:
        """What `metrics.json` says of the images: constant boxes on the same units, oddities."""
        others = self.protocol.others
        rows = baselines(self.units, found, fitting=others or self.samples, oracle=not others)
        shares = {n: (r["share_of_height"], r["share_of_width"]) for n, r in rows.items()}
        masks = score_constant_masks(self._masked(found), found.items(), shares)
        return {
            "baselines": {name: {**row, "masks": masks[name]} for name, row in rows.items()},
            "problems": [*self.protocol.dataset.problems, *oddities(found, hashes, others)],
        }

    def _masked(self, image_ids: Iterable[str]) -> dict[str, Sample]:
        """Those of the images that have a true mask."""
        asked = frozenset(image_ids)
        return {s.image_id: s for s in self.samples if s.mask is not None and s.image_id in asked}


def prepare(protocol: Protocol, method: ReadyMethod, classifier: Classifier) -> Evaluation:
    """A method on a classifier, made ready to be run and scored.

    Raises:
        UsageError: nothing can be scored, no class for a method that looks for one, a class that
            the classifier does not know (for `truth`), or a regressor that was fitted on an image
            that is scored.
    """
    chosen = protocol.class_from or method.class_from
    if chosen == "none" and method.method.needs_class:
        raise UsageError(
            f"{method.text} looks for a class: use --class-from truth or predicted, or for none "
            "at all --method 'sensitivity(target=layer_mean)'"
        )
    selected = protocol.part.of(protocol.dataset.samples)
    samples, units = with_units(protocol.dataset, selected, classifier, chosen)
    _refuse_training_images(method, samples)
    plan = Plan(
        samples=samples,
        classifier=classifier,
        method=method,
        labels_of=labels_of_units(units, chosen),
        selection=Selection.usual(chosen),
    )
    return Evaluation(
        protocol=protocol,
        plan=plan,
        units=units,
        class_from=chosen,
        n_without_unit=len(selected) - len(samples),
    )


def with_units(
    dataset: Dataset, selected: Sequence[Sample], classifier: Classifier, class_from: ClassFrom
) -> tuple[Sequence[Sample], Units]:
    """The images that have something to score, and what.

    Raises:
        UsageError: there is none.
    """
    index_of = cache(classifier.class_index)
    units = {s.image_id: true_units(s, class_from, index_of) for s in selected if len(s.boxes)}
    samples = [sample for sample in selected if units.get(sample.image_id)]
    if not samples:
        raise UsageError(f"{dataset.spec}: none of {len(selected)} images has a box with its class")
    return samples, {sample.image_id: units[sample.image_id] for sample in samples}


def labels_of_units(units: Units, class_from: ClassFrom) -> LabelsOf:
    """The true classes of each image, or none given."""

    def given(sample: Sample) -> tuple[int, ...]:
        return tuple(u.index for u in units[sample.image_id] if u.index is not None)

    return given if class_from == "truth" else lambda _: None


def oddities(
    found: Mapping[str, Found], hashes: Mapping[str, str], others: Sequence[Sample]
) -> Iterator[str]:
    """Constant images and images that are there twice, each kind as a line to warn with.

    Args:
        found: what was found in the scored images.
        hashes: SHA-256 of the scored images.
        others: the images of the split's other parts, from which boxes and baselines may be fitted.
    """
    blank = [i for i, one in found.items() if isinstance(one, Localization) and one.blank]
    if blank:
        yield f"{len(blank)} of {len(found)} images of one colour, such as {blank[0]}"
    by_hash: dict[str, list[str]] = defaultdict(list)
    for image_id, digest in hashes.items():
        by_hash[digest].append(image_id)
    twins = [same for same in by_hash.values() if len(same) > 1]
    if twins:
        count = sum(map(len, twins))
        yield f"{count} of {len(hashes)} images there twice, such as {' = '.join(twins[0])}"
    leaks = [(by_hash[d][0], other) for other, d in file_hashes(others) if d in by_hash]
    if leaks:
        yield (
            f"{len(leaks)} of {len(others)} images of the other parts also among the scored "
            f"ones, such as {leaks[0][1]} = {leaks[0][0]}"
        )


def without_twins(samples: Sequence[Sample], scored: Sequence[Sample]) -> list[Sample]:
    """The samples whose files are not also among the scored ones under another name."""
    seen = {digest for _, digest in file_hashes(scored)}
    twins = {image_id for image_id, digest in file_hashes(samples) if digest in seen}
    return [sample for sample in samples if sample.image_id not in twins]


def file_hashes(samples: Iterable[Sample]) -> Iterator[tuple[str, str]]:
    """Image ids with the SHA-256 of their files; what is no file, or unreadable, is left out."""
    for sample in samples:
        if not isinstance(sample.source, Path):
            continue
        try:
            digest = hash_source(sample.source)
        except ImageError:
            continue
        yield sample.image_id, digest


def _refuse_training_images(method: ReadyMethod, samples: Sequence[Sample]) -> None:
    if method.regressor is None:
        return
    hashes = {}
    for sample in samples:
        try:
            hashes[hash_source(sample.source)] = sample.image_id
        except ImageError:
            continue  # it cannot have been fitted on, and is reported when its turn comes
    if seen := method.regressor.trained_on(hashes):
        example = min(hashes[digest] for digest in seen)
        raise UsageError(
            f"{method.box_text} was fitted on {len(seen)} of these images ({example}, ...): "
            "scoring them would be testing on the training set; take another --part of the --split"
        )
