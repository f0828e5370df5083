"""Running a method over many images: in batches, with progress, into a folder that can resume."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gradbox.classifier import Classifier
from gradbox.drawing import picture, save_picture
from gradbox.errors import ImageError, UsageError, nearest
from gradbox.exports import FORMATS
from gradbox.images import load_rgb
from gradbox.loading import WORKERS, Failed, Loaded, load_batches, to_batch
from gradbox.localization import Localization, Sample, Selection
from gradbox.mapstore import MapStore, create_maps
from gradbox.methods import Method
from gradbox.progress import Track, silent
from gradbox.results import Found, RunFolder, to_line

LabelsOf = Callable[[Sample], tuple[int, ...] | None]


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a job runs and what it writes beside its results; nothing here changes a number.

    `save_maps` is a folder for the heat maps; `pictures` writes one picture an image; `formats`
    are names of `exports.FORMATS`.
    """

    batch_size: int = 16
    workers: int = WORKERS
    overwrite: bool = False
    pictures: bool = False
    save_maps: Path | None = None
    formats: tuple[str, ...] = ()
    track: Track = silent

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in FORMATS:
                known = ", ".join(["jsonl", *FORMATS])
                raise UsageError(f"unknown format {name!r}{nearest(name, FORMATS)}: use {known}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is to be localized: images, a method on a classifier, and the classes asked for.

    `labels_of` gives the class indices of an image, None leaves them to `selection`.
    """

    samples: Iterable[Sample]
    classifier: Classifier
    method: Method
    labels_of: LabelsOf
    selection: Selection


@dataclass(frozen=True, eq=False)
class Chunk:
    """One batch of a plan: what was loaded, what was found, and the seconds of the method alone."""

    loaded: Sequence[Loaded | Failed]
    found: Sequence[Found]
    seconds: float


def chunks(plan: Plan, *, batch_size: int, workers: int, details: bool) -> Iterator[Chunk]:
    """The plan, batch by batch, in the order of its samples."""
    for loaded in load_batches(
        plan.samples, plan.classifier.preprocessing, batch_size=batch_size, workers=workers
    ):
        usable = [one for one in loaded if isinstance(one, Loaded)]
        started = perf_counter()
        results: Iterator[Found] = iter(())
        if usable:
            batch = to_batch(usable, plan.labels_of, plan.selection)
            results = iter(plan.method.localizer.localize(batch, details=details))
        seconds = perf_counter() - started
        found = [one.error if isinstance(one, Failed) else next(results) for one in loaded]
        marked = [_mark_blank(one, f) for one, f in zip(loaded, found, strict=True)]
        yield Chunk(loaded, marked, seconds)


def run_into(
    folder: RunFolder, plan: Plan, running: Running, *, with_truth: bool = False
) -> dict[str, float]:
    """Run what is not yet in the folder; returns the seconds of the method and the images run.

    `with_truth` draws the true boxes into the pictures.
    """
    samples = list(plan.samples)
    todo = replace(plan, samples=[s for s in samples if s.image_id not in folder.done])
    count = len(samples) - len(folder.done)
    store = _store(samples, plan, running)
    seconds, n_run = 0.0, 0
    groups = chunks(
        todo,
        batch_size=running.batch_size,
        workers=running.workers,
        details=running.pictures or store is not None,
    )
    for chunk in running.track(groups, count, "localizing"):
        pairs = list(zip(chunk.loaded, chunk.found, strict=True))
        for loaded, found in pairs:
            if isinstance(loaded, Failed) or isinstance(found, ImageError):
                continue
            if store is not None and found.heatmap is not None:
                store.put(found.image_id, found.heatmap)
            if running.pictures:
                _draw(folder, plan, loaded, found, with_truth=with_truth)
        naming = plan.classifier.class_name
        folder.append(
            [to_line(loaded.sample.image_id, found, naming) for loaded, found in pairs],
            {x.sample.image_id: x.sha256 for x in chunk.loaded if isinstance(x, Loaded)},
        )
        seconds += chunk.seconds
        n_run += len(pairs)
    if store is not None:
        store.finish()
    return {"method": seconds, "images": n_run}


def _store(samples: Sequence[Sample], plan: Plan, running: Running) -> MapStore | None:
    if running.save_maps is None:
        return None
    about: Mapping[str, Any] = {
        "method": plan.method.method,
        "model": plan.classifier.name,
        "weights_hash": plan.classifier.weights_hash,
    }
    size = plan.classifier.preprocessing.size
    return create_maps(running.save_maps, [s.image_id for s in samples], size, about)


def _draw(
    folder: RunFolder, plan: Plan, loaded: Loaded, found: Localization, *, with_truth: bool
) -> None:
    naming = plan.classifier.class_name
    drawn = picture(
        load_rgb(loaded.sample.source),
        found,
        names=[naming(label) for label in found.labels],
        frame=loaded.frame,
        truth=loaded.sample.boxes if with_truth else np.zeros((0, 4)),
    )
    save_picture(folder.path / "pictures" / f"{found.image_id}.jpg", drawn)


def _mark_blank(loaded: Loaded | Failed, found: Found) -> Found:
    if isinstance(found, Localization) and isinstance(loaded, Loaded) and loaded.blank:
        return replace(found, blank=True)
    return found
