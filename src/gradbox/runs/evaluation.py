"""A method on a data set: what is scored, by which protocol, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
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
from gradbox.localization import ClassFrom, Found, Sample
from gradbox.methods import ReadyMethod, ready, rebuilt
from gradbox.models.classifier import Classifier
from gradbox.results.opening import AnyRun, open_run
from gradbox.runs.execution import Running, usual_shard
from gradbox.runs.oddities import oddities
from gradbox.runs.plan import LabelsOf, Plan
from gradbox.scores.baselines import baselines
from gradbox.scores.boxes import Scores
from gradbox.scores.calibration import calibration
from gradbox.scores.proposals import score_proposals
from gradbox.scores.run_detection import (
    Targets,
    score_constant_detections,
    score_detections,
    targets,
)
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

    `targets` are all true boxes of its images; `n_without_unit` images of the part have none to
    score.
    """

    protocol: Protocol
    plan: Plan
    units: Units
    targets: Targets
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

    def score(self, found: Mapping[str, Found]) -> Scores:
        """The scores of what was found; failed images are left out."""
        return score(self.units, found, self.class_from, self.plan.classifier.class_name)

    def metrics(self, scores: Scores, found: Mapping[str, Found], folder: AnyRun) -> dict[str, Any]:
        """What `metrics.json` says of the method, of the images that `scores` are of.

        Masks and proposals take memory: they are read again from the run's folder, one at a time.
        """
        scored = {image_id: found[image_id] for image_id in dict.fromkeys(scores.image_ids)}
        masked = self._masked(scored)
        with_masks = folder.results(masks=True) if masked else ()
        return {
            "supervision": self.supervision,
            **summary(scores, strict=self.protocol.strict),
            "detection": score_detections(self.targets, scored),
            **self._proposals(scored, folder),
            "masks": score_masks(masked, with_masks),
            "calibration": calibration(
                scores,
                strict=self.protocol.strict,
                is_calibrated=self.plan.method.is_calibrated,
            ),
            "n_failed": sum(isinstance(one, ImageError) for one in found.values()),
            "n_without_unit": self.n_without_unit,
        }

    def context(self, found: Mapping[str, Found], hashes: Mapping[str, str]) -> dict[str, Any]:
        """What `metrics.json` says of the images: constant boxes on the same units, oddities."""
        others = self.protocol.others
        rows = baselines(self.units, found, fitting=others or self.samples, oracle=not others)
        shares = {n: (r["share_of_height"], r["share_of_width"]) for n, r in rows.items()}
        masks = score_constant_masks(self._masked(found), found.items(), shares)
        for name, row in rows.items():
            row["detection"] = score_constant_detections(self.targets, found, shares[name])
            row["masks"] = masks[name]
        return {
            "baselines": rows,
            "problems": [
                *self.protocol.dataset.problems,
                *oddities(found, hashes, others),
                *self.plan.classifier.doubts.lines,
            ],
        }

    def _proposals(self, scored: Mapping[str, Found], folder: AnyRun) -> dict[str, Any]:
        """The recall of the proposals where the run keeps them."""
        if self.plan.method.proposals is None:
            return {}
        truth = {s.image_id: s.boxes for s in self.samples if s.image_id in scored}
        return {"proposals": score_proposals(truth, folder.results(proposals=True))}

    def _masked(self, image_ids: Iterable[str]) -> dict[str, Sample]:
        """Those of the images that have a true mask."""
        asked = frozenset(image_ids)
        return {s.image_id: s for s in self.samples if s.mask is not None and s.image_id in asked}


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
    samples, units = with_units(protocol.dataset, selected, classifier, chosen)
    _refuse_training_images(method, samples)
    plan = Plan(
        samples=samples,
        classifier=classifier,
        method=method,
        labels_of=labels_of_units(units, chosen),
        selection=classifier.usual_selection(chosen),
        min_score=protocol.min_score,
    )
    return Evaluation(
        protocol=protocol,
        plan=plan,
        units=units,
        targets=targets(samples, chosen, cache(classifier.class_index)),
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


def _refuse_training_images(method: ReadyMethod, samples: Sequence[Sample]) -> None:
    if not method.seen:
        return
    hashes = {sample.image_id: _hash(sample) for sample in samples}
    for text, seen in method.seen:
        known = [image_id for image_id, digest in hashes.items() if seen.has(image_id, digest)]
        if known:
            raise UsageError(
                f"{text} was fitted on {len(known)} of these images ({min(known)}, ...; "
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
