"""Running methods over many images: in batches, with progress, into folders that can resume."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.errors import ImageError, UsageError, nearest
from gradbox.exports import FORMATS
from gradbox.files import hash_bytes
from gradbox.images.batches import WORKERS, Failed, Loaded, load_batches, to_batch
from gradbox.localization import RGB, Batch, Found, Localization, Sample, Selection
from gradbox.methods import ReadyMethod, rebuilt
from gradbox.models.classifier import Classifier
from gradbox.progress import Track, silent
from gradbox.reports.drawing import picture, save_picture
from gradbox.results.heatmaps import MapStore, create_maps
from gradbox.results.predictions import read_predictions, to_line
from gradbox.results.run_folder import RunFolder

LabelsOf = Callable[[Sample], tuple[int, ...] | None]
_LONGEST_NAME = 255 - len(".jpg")


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a job runs and what it writes beside its results; nothing here changes a number.

    `save_maps` is a folder for the heat maps; `pictures` writes one picture of each image; `masks`
    adds the object's mask, where the method has one, to its line; `formats` are names of
    `exports.FORMATS`.
    """

    batch_size: int = 16
    workers: int = WORKERS
    overwrite: bool = False
    pictures: bool = False
    masks: bool = False
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
    method: ReadyMethod
    labels_of: LabelsOf
    selection: Selection

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
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One plan on its way into a folder, and maybe its heat maps into another."""

    folder: RunFolder
    plan: Plan
    save_maps: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a job did: the images in its folder, those that failed with the reason, the scores."""

    folder: Path
    n_images: int
    failures: Mapping[str, str]
    metrics: Mapping[str, Any] | None = None


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


def run(
    jobs: Sequence[Job], running: Running, *, with_truth: bool = False
) -> list[dict[str, float]]:
    """Run what is not yet in the folders of several jobs over the same images, see `chunks`.

    `with_truth` draws the true boxes into the pictures.

    Returns:
        The seconds of the method and the number of images run, of each job.
    """
    samples = list(jobs[0].plan.samples)
    seconds: list[dict[str, float]] = [{"method": 0.0, "images": 0} for _ in jobs]
    stores = [_store(samples, job) for job in jobs]
    lacking = [
        {s.image_id for s in samples if _lacks(job, store, running, s.image_id)}
        for job, store in zip(jobs, stores, strict=True)
    ]
    open_jobs = [i for i, images in enumerate(lacking) if images]
    todo = [s for s in samples if any(s.image_id in lacking[i] for i in open_jobs)]
    groups = chunks(
        [replace(jobs[i].plan, samples=todo) for i in open_jobs],
        batch_size=running.batch_size,
        workers=running.workers,
        details=running.pictures or running.masks or any(store is not None for store in stores),
        originals=running.pictures,
    )
    for chunk in running.track(groups, len(todo), "localizing") if todo else ():
        for i, found, took in zip(open_jobs, chunk.found, chunk.seconds, strict=True):
            _record(jobs[i], stores[i], chunk.loaded, found, running, with_truth)
            seconds[i]["method"] += took
            seconds[i]["images"] += len(chunk)
    for store in stores:
        if store is not None:
            store.finish()
    return seconds


def finish(folder: RunFolder, plan: Plan, running: Running, seconds: Mapping[str, float]) -> None:
    """Close the folder and write the other formats.

    Where no image was run, the seconds of the earlier call are kept.
    """
    folder.finish(seconds=seconds if seconds["images"] else folder.facts.get("seconds", seconds))
    for name in running.formats:
        lines = read_predictions(folder.predictions, masks=True)
        good = (found for _, found in lines if isinstance(found, Localization))
        FORMATS[name](good, plan.classifier.class_name, folder.path)


def report_of(folder: RunFolder, found: Iterable[tuple[str, Found]]) -> Report:
    """What a finished job did, from its predictions."""
    failures, n_images = {}, 0
    for image_id, one in found:
        n_images += 1
        if isinstance(one, ImageError):
            failures[image_id] = str(one)
    return Report(folder=folder.path, n_images=n_images, failures=failures)


def draw(loaded: Loaded, found: Localization, classifier: Classifier, *, with_truth: bool) -> RGB:
    """The picture of one result, whose original was kept; `with_truth` draws the true boxes too."""
    assert loaded.original is not None
    return picture(
        loaded.original,
        found,
        names=[classifier.class_name(label) for label in found.labels],
        frame=loaded.frame,
        truth=loaded.sample.boxes if with_truth else np.zeros((0, 4)),
    )


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
        found.append([_in_place(one, rest) for one in loaded])
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


def _in_place(loaded: Loaded | Failed, rest: Iterator[Found]) -> Found:
    """What was found in an image: its error, or the next of what the usable ones gave."""
    if isinstance(loaded, Failed):
        return loaded.error
    found = next(rest)
    if isinstance(found, ImageError):
        return found.of(loaded.sample.image_id)
    return replace(found, blank=True) if loaded.blank else found


def _record(
    job: Job,
    store: MapStore | None,
    loaded: Sequence[Loaded | Failed],
    found: Sequence[Found],
    running: Running,
    with_truth: bool,
) -> None:
    """Write what one plan found in one batch; a line only for images that have none yet."""
    lines, hashes = [], {}
    for one, result in zip(loaded, found, strict=True):
        image_id = one.sample.image_id
        if isinstance(one, Loaded) and isinstance(result, Localization):
            if store is not None and result.heatmap is not None:
                store.put(image_id, result.heatmap)
            if running.pictures:
                drawn = draw(one, result, job.plan.classifier, with_truth=with_truth)
                save_picture(_picture(job, image_id), drawn)
        if image_id in job.folder.done:
            continue
        naming = job.plan.classifier.class_name
        lines.append(to_line(image_id, result, naming, masks=running.masks))
        if isinstance(one, Loaded):
            hashes[image_id] = one.sha256
    if lines:
        job.folder.append(lines, hashes)


def _lacks(job: Job, store: MapStore | None, running: Running, image_id: str) -> bool:
    """Whether an image still has to run: its line, or the map or picture asked for, is missing."""
    return (
        image_id not in job.folder.done
        or (store is not None and not store.has(image_id))
        or (running.pictures and not _picture(job, image_id).exists())
    )


def _picture(job: Job, image_id: str) -> Path:
    """Where the picture of an image lies; a name that is too long for a file is cut."""
    *folders, name = image_id.split("/")
    if len(name.encode()) > _LONGEST_NAME:
        start = name.encode()[: _LONGEST_NAME - 9].decode("utf-8", "ignore")
        name = f"{start}~{hash_bytes(image_id.encode())[:8]}"
    return job.folder.path.joinpath("pictures", *folders, f"{name}.jpg")


def _store(samples: Sequence[Sample], job: Job) -> MapStore | None:
    if job.save_maps is None:
        return None
    about = {key: job.plan.about[key] for key in ("method", "model", "weights_hash")}
    return create_maps(job.save_maps, [s.image_id for s in samples], about, rebuilt=rebuilt)
