"""What is to be localized, and the batches of it through a method."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import Failed, Loaded, load_batches, to_batch
from gradbox.localization import Batch, Found, Sample, Selection
from gradbox.methods import ReadyMethod
from gradbox.models.classifier import Classifier

LabelsOf = Callable[[Sample], tuple[int, ...] | None]
"""The class indices that are asked for in an image, None where none is given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is to be localized: images, a method on a classifier, and the classes asked for.

    `labels_of` gives the class indices of an image, None leaves them to `selection`; `labels` are
    those that were given for all images.
    """

    samples: Iterable[Sample]
    classifier: Classifier
    method: ReadyMethod
    labels_of: LabelsOf
    selection: Selection
    labels: tuple[int, ...] = ()

    @property
    def about(self) -> dict[str, Any]:
        """What `run.json` says of the classifier and the method."""
        return {
            "model": self.classifier.name,
            "weights_hash": self.classifier.weights_hash,
            "dtype": str(self.classifier.dtype).removeprefix("torch."),
            "preprocessing": str(self.classifier.preprocessing),
            "layer": self.method.layer,
            "method": self.method.text,
            "box": self.method.box_text,
            "box_hash": None if self.method.regressor is None else self.method.regressor.sha256,
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
    plans: Sequence[Plan], *, batch_size: int, workers: int, details: bool, originals: bool = False
) -> Iterator[Chunk]:
    """The samples of the first plan, batch by batch, in order, through all plans.

    Equal makers of heat maps make the maps of a batch once; the seconds count for each of them. The
    classifiers' preprocessing has to be the same. `originals` keeps the decoded images.
    """
    keep = originals or any(plan.method.method.needs_originals for plan in plans)
    for loaded in load_batches(
        plans[0].samples,
        plans[0].classifier.preprocessing,
        batch_size=batch_size,
        workers=workers,
        keep_originals=keep,
    ):
        yield _chunk(plans, loaded, details)


def _chunk(plans: Sequence[Plan], loaded: Sequence[Loaded | Failed], details: bool) -> Chunk:
    usable = [one for one in loaded if isinstance(one, Loaded)]
    batch = to_batch(usable) if usable else None
    found, seconds = [], []
    for plan in plans:
        rest: Iterator[Found] = iter(())
        started = ended = 0.0
        if batch is not None:
            started = batch.memo.clock()
            rest = iter(_localized(plan, batch, usable, details))
            ended = batch.memo.clock()
        seconds.append(ended - started)
        found.append([_in_place(one, rest, plan.classifier) for one in loaded])
    return Chunk(loaded, found, seconds)


def _localized(
    plan: Plan, batch: Batch, usable: Sequence[Loaded], details: bool
) -> Sequence[Found]:
    """What a method finds in a batch; if it raises, in the images one by one."""
    asking = batch.asking([plan.labels_of(one.sample) for one in usable], plan.selection)
    try:
        return list(plan.method.localizer.localize(asking, details=details))
    except UsageError:
        raise
    except Exception as error:
        if len(usable) > 1:
            alone = (_localized(plan, to_batch([one]), [one], details) for one in usable)
            return list(chain.from_iterable(alone))
        failed = ImageError(f"the method failed: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return [failed]


def _in_place(loaded: Loaded | Failed, rest: Iterator[Found], classifier: Classifier) -> Found:
    """What was found in an image: its error, or the next of what the usable ones gave, named."""
    if isinstance(loaded, Failed):
        return loaded.error
    found = next(rest)
    if isinstance(found, ImageError):
        return found.of(loaded.sample.image_id)
    names = tuple(None if i is None else classifier.class_name(i) for i in found.labels)
    return replace(found, names=names, blank=found.blank or loaded.blank)
