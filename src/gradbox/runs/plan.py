"""What is to be localized, and the batches of it through a method."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch

from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import Failed, Loaded, load_batches, to_batch
from gradbox.images.clips import ClipFrame
from gradbox.images.survey import surveyed
from gradbox.localization import Batch, Found, Localization, Sample, Selection
from gradbox.methods import ReadyMethod, check_min_score
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.models.heads import SOFTMAX
from gradbox.runs.batch_size import BatchSize

LabelsOf = Callable[[Sample], tuple[int, ...] | None]
"""The class indices that are asked for in an image, None where none is given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is to be localized: images, a method on a classifier, and the classes asked for.

    `labels_of` gives the class indices of an image, None leaves them to `selection`; `labels` are
    those that were given for all images. Boxes with a score below `min_score` are left out, so an
    image may have none.

    Raises:
        UsageError: a `min_score` for scores that are no probabilities.
    """

    samples: Iterable[Sample]
    classifier: Classifier
    method: ReadyMethod
    labels_of: LabelsOf
    selection: Selection
    labels: tuple[int, ...] = ()
    min_score: float | None = None

    def __post_init__(self) -> None:
        check_min_score(self.min_score, self.method.method, self.method.box)

    @property
    def is_comparable(self) -> bool:
        """Whether equal text means an equal plan: only then a run may be resumed."""
        return self.method.is_comparable and self.classifier.is_comparable

    @property
    def about(self) -> dict[str, Any]:
        """What `run.json` says of the classifier and the method."""
        return {
            "model": self.classifier.name,
            "weights_hash": self.classifier.weights_hash,
            "dtype": str(self.classifier.dtype).removeprefix("torch."),
            "preprocessing": str(self.classifier.preprocessing),
            "head": str(self.classifier.head) if self.classifier.head != SOFTMAX else None,
            **self.classifier.preprocessing.reading.about,
            "layer": self.method.layer,
            "method": self.method.text,
            **({"combination": self.method.combination} if self.method.combination else {}),
            "box": self.method.box_text,
            "outlines": self.method.outlines and str(self.method.outlines),
            "proposals": self.method.proposals,
            "method_hash": "+".join(one.sha256 for one in self.method.method.seen) or None,
            "box_hash": None if self.method.regressor is None else self.method.regressor.sha256,
            "min_score": self.min_score,
        }

    @property
    def maps_about(self) -> dict[str, Any]:
        """What a store of its heat maps says of them."""
        known = self.about
        return {
            **{key: known[key] for key in ("method", "model", "weights_hash", "layer")},
            "labels": list(self.labels),
            "top": self.selection.top,
            "near_top": self.selection.near_top,
        }


@dataclass(frozen=True, eq=False)
class Chunk:
    """One batch: what was loaded, and of each plan what it found and the seconds of its method."""

    loaded: Sequence[Loaded | Failed]
    found: Sequence[Sequence[Found]]
    seconds: Sequence[float]

    def __len__(self) -> int:
        return len(self.loaded)


def chunks(
    plans: Sequence[Plan],
    *,
    batch_size: int | BatchSize,
    workers: int,
    details: bool,
    originals: bool = False,
) -> Iterator[Chunk]:
    """The samples of the first plan, batch by batch, in order, through all plans.

    Equal makers of heat maps make the maps of a batch once; the seconds count for each of them. The
    classifiers' preprocessing has to be the same. `originals` keeps the decoded images.
    """
    size = batch_size if isinstance(batch_size, BatchSize) else BatchSize(batch_size)
    keep = originals or any(plan.method.needs_originals for plan in plans)
    for loaded in load_batches(
        plans[0].samples,
        plans[0].classifier.preprocessing,
        batch_size=lambda: size.now,
        workers=workers,
        keep_originals=keep,
    ):
        chunk = _chunk(plans, loaded, details, size)
        size.took(len(chunk), sum(chunk.seconds))
        yield chunk


def _chunk(
    plans: Sequence[Plan], loaded: Sequence[Loaded | Failed], details: bool, size: BatchSize
) -> Chunk:
    usable = [one for one in loaded if isinstance(one, Loaded)]
    batch = _batch(plans[0], usable) if usable else None
    found, seconds = [], []
    for plan in plans:
        rest: Iterator[Found] = iter(())
        started = ended = 0.0
        if batch is not None:
            started = batch.memo.start()
            rest = iter(_localized(plan, batch, usable, details, size))
            ended = batch.memo.clock()
        seconds.append(ended - started)
        found.append([_in_place(one, rest, plan) for one in loaded])
    return Chunk(loaded, found, seconds)


def of_one(plan: Plan, batch: Batch, loaded: Loaded) -> Found:
    """What a method finds in a batch of this one image, with details; the batch keeps its maps."""
    (found,) = _localized(plan, batch, [loaded], True, BatchSize(1))
    return _in_place(loaded, iter([found]), plan)


def _batch(plan: Plan, usable: Sequence[Loaded]) -> Batch:
    return to_batch(usable, pinned=plan.classifier.device.type == "cuda")


def _localized(
    plan: Plan, batch: Batch, usable: Sequence[Loaded], details: bool, size: BatchSize
) -> Sequence[Found]:
    """What a method finds in a batch; if it raises, in the images one by one.

    Where there is no memory for all, in each half of them.
    """
    asking = batch.asking([plan.labels_of(one.sample) for one in usable], plan.selection)
    try:
        return list(plan.method.localizer.localize(asking, details=details))
    except UsageError:
        raise
    except Exception as error:
        if len(usable) == 1:
            failed = ImageError(f"the method failed: {type(error).__name__}: {error}")
            failed.__cause__ = error
            return [failed]
        is_memory = isinstance(error, torch.OutOfMemoryError)
    half = 1
    if is_memory:  # the error has held what the pass had made until here
        half = len(usable) // 2
        size.halve(len(usable))
        batch.memo.forget()
        torch.cuda.empty_cache()
    parts = [usable[start : start + half] for start in range(0, len(usable), half)]
    found = (_localized(plan, _batch(plan, part), part, details, size) for part in parts)
    return list(chain.from_iterable(found))


def _in_place(loaded: Loaded | Failed, rest: Iterator[Found], plan: Plan) -> Found:
    """What was found in an image: its error, or the next of what the usable ones gave, named."""
    if isinstance(loaded, Failed):
        return loaded.error
    found = next(rest)
    if isinstance(found, ImageError):
        return found.of(loaded.sample.image_id)
    if plan.selection.above is not None and plan.labels_of(loaded.sample) is None:
        found = _there(found, plan)
    if plan.min_score is not None:
        found = _trusted(found, plan.min_score)
    names = tuple(None if i is None else plan.classifier.class_name(i) for i in found.labels)
    return replace(
        found,
        names=names,
        blank=found.blank or loaded.blank,
        source=loaded.sample.source,
        frame=loaded.frame,
        moment=loaded.sample.source.moment if isinstance(loaded.sample.source, ClipFrame) else None,
    )


def _there(found: Localization, plan: Plan) -> Localization:
    """Without the boxes of a class that is not there: the best one stood in where none is."""
    least = plan.selection.least
    there = [
        label is None or probability >= plan.classifier.threshold(label, least)
        for label, probability in zip(found.labels, found.label_scores, strict=True)
    ]
    return _only(found, [i for i, one in enumerate(there) if one])


def _trusted(found: Localization, least: float) -> Localization:
    """Without the boxes whose score is below `least`, as if the method had not found them."""
    return _only(found, [i for i, score in enumerate(found.scores) if score >= least])


def _only(found: Localization, kept: Sequence[int]) -> Localization:
    """With these boxes alone.

    The mask goes with the main box; the heat map stays, as it does where there is no box at all.
    """
    names = ("labels", "label_scores", "scores", "names", "peaks", "map_shares")
    parts = {name: getattr(found, name) for name in names}
    changes: dict[str, Any] = {
        name: tuple(part[i] for i in kept) for name, part in parts.items() if part
    }
    mask = found.mask if 0 in kept else None
    return replace(found, boxes=found.boxes[kept], mask=mask, **changes)


def settled(classifier: Classifier, samples: Callable[[], Sequence[Sample]]) -> Classifier:
    """The classifier, its range measured over these images where it is one of a data set.

    Raises:
        UsageError: no classifier, or none of the images can be used.
    """
    check_classifier(classifier)
    if not classifier.preprocessing.reading.is_of_dataset:
        return classifier
    return replace(classifier, preprocessing=surveyed(classifier.preprocessing, samples()))
