"""Running methods over many images: in batches, with progress, into folders that can resume."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
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
from gradbox.results.inputs import Input
from gradbox.results.predictions import to_line
from gradbox.results.run_folder import RunFolder

LabelsOf = Callable[[Sample], tuple[int, ...] | None]
_LONGEST_NAME = 255 - len(".jpg")


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a job runs and what it writes beside its results; nothing here changes a number.

    `save_maps` is a folder for the heat maps; `pictures` writes one picture of each image; `masks`
    adds the object's mask, where the method has one, to its line; `verify` compares the hashes of
    all images with those of an earlier call, not only of those whose size or time differs; `retry`
    also tries again what failed for another reason than reading; `formats` are names of
    `exports.FORMATS`.
    """

    batch_size: int = 16
    workers: int = WORKERS
    overwrite: bool = False
    pictures: bool = False
    masks: bool = False
    verify: bool = False
    retry: bool = False
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One plan on its way into a folder, and maybe its heat maps into another."""

    folder: RunFolder
    plan: Plan
    save_maps: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a job did: its images, those that failed with the reason, those gone, the scores.

    Gone are images that an earlier call had: their lines are kept, nothing else is made of them.
    `classes` has the number of boxes and their mean score of each class, most boxes first.
    """

    folder: Path
    n_images: int
    failures: Mapping[str, str]
    gone: tuple[str, ...] = ()
    classes: Mapping[str, tuple[int, float]] = field(default_factory=dict)
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
    with ExitStack() as stack:
        writers = [_Writer(job, stack.enter_context(_store(job)), running) for job in jobs]
        lacking = [writer.lacking(samples) for writer in writers]
        open_jobs = [i for i, images in enumerate(lacking) if images]
        todo = [s for s in samples if any(s.image_id in lacking[i] for i in open_jobs)]
        groups = chunks(
            [replace(jobs[i].plan, samples=todo) for i in open_jobs],
            batch_size=running.batch_size,
            workers=running.workers,
            details=any(writer.needs_details for writer in writers),
            originals=running.pictures,
        )
        for chunk in running.track(groups, len(todo), "localizing") if todo else ():
            for i, found, took in zip(open_jobs, chunk.found, chunk.seconds, strict=True):
                writers[i].write(chunk.loaded, found, with_truth=with_truth)
                seconds[i]["method"] += took
                seconds[i]["images"] += len(chunk)
    return seconds


def finish(folder: RunFolder, plan: Plan, running: Running, seconds: Mapping[str, float]) -> None:
    """Gather the results of the folder and write the other formats.

    Where no image was run, the seconds of the earlier call are kept.
    """
    known = folder.facts
    took = seconds if seconds["images"] else known.get("seconds", seconds)
    files = dict.fromkeys(known.get("files", []))
    folder.finish(seconds=took, files=list(files))
    for name in running.formats:
        good = (one for _, one in folder.results(masks=True) if isinstance(one, Localization))
        written = FORMATS[name](good, plan.classifier.class_name, folder.path)
        for path in _made(written):
            files[path.relative_to(folder.path).as_posix()] = None
    if running.formats:
        folder.finish(seconds=took, files=list(files))


def _made(written: Path) -> list[Path]:
    """The files and folders of an export; yolo/images is for the user's own."""
    if not written.is_dir():
        return [written]
    return [child for child in written.iterdir() if child.name != "images"]


def report_of(folder: RunFolder, out: Path) -> Report:
    """What a finished job did, from its predictions."""
    failures: dict[str, str] = {}
    scores: dict[str, list[float]] = {}
    for image_id, found in folder.results():
        if isinstance(found, ImageError):
            failures[image_id] = str(found)
            continue
        for name, score in zip(found.names, found.scores, strict=True):
            scores.setdefault(name or "object", []).append(score)
    by_count = sorted(scores.items(), key=lambda item: (-len(item[1]), item[0]))
    return Report(
        folder=out,
        n_images=len(folder.samples),
        failures=failures,
        gone=tuple(folder.gone),
        classes={name: (len(some), sum(some) / len(some)) for name, some in by_count},
    )


def draw(loaded: Loaded, found: Localization, *, with_truth: bool) -> RGB:
    """The picture of one result, whose original was kept; `with_truth` draws the true boxes too."""
    assert loaded.original is not None
    return picture(
        loaded.original,
        found,
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


@dataclass(frozen=True, eq=False)
class _Writer:
    """Writes what one job finds, and knows what it lacks."""

    job: Job
    store: MapStore | None
    running: Running
    inputs: dict[str, Input] = field(default_factory=dict)

    @property
    def needs_details(self) -> bool:
        return self.running.pictures or self.running.masks or self.store is not None

    def lacking(self, samples: Sequence[Sample]) -> set[str]:
        """The images that still have to run: line, map or picture is missing or out of date."""
        plan, folder = self.job.plan, self.job.folder
        if self.running.pictures and (folder.path / "pictures").is_file():
            raise UsageError(f"{folder.path / 'pictures'} is a file: pictures need a folder there")
        self.inputs.update({s.image_id: Input.now(s, plan.labels_of(s)) for s in samples})
        folder.check(samples, self.inputs, verify=self.running.verify, retry=self.running.retry)
        return {s.image_id for s in samples if self._lacks(s.image_id)}

    def _lacks(self, image_id: str) -> bool:
        if not self.job.folder.has(image_id):
            return True
        if self.store is not None and not self.store.has(image_id, self.inputs[image_id]):
            return True
        return self.running.pictures and not self._picture(image_id).exists()

    def write(
        self, loaded: Sequence[Loaded | Failed], found: Sequence[Found], *, with_truth: bool
    ) -> None:
        """Write what was found in one batch: maps and pictures first, then the lines."""
        lines, maps = [], []
        for one, result in zip(loaded, found, strict=True):
            image_id = one.sample.image_id
            digest = one.sha256 if isinstance(one, Loaded) else None
            needed = self.inputs[image_id].hashed(one.sample, digest)
            if isinstance(one, Loaded) and isinstance(result, Localization):
                if result.heatmap is not None and self.store is not None:
                    maps.append((image_id, needed, result.heatmap))
                if self.running.pictures:
                    save_picture(self._picture(image_id), draw(one, result, with_truth=with_truth))
            lines.append((needed, to_line(image_id, result, masks=self.running.masks)))
        if self.store is not None:
            self.store.put(maps)
        self.job.folder.append(lines)

    def _picture(self, image_id: str) -> Path:
        """Where the picture of an image lies; a name that is too long for a file is cut."""
        *folders, name = image_id.split("/")
        if len(name.encode()) > _LONGEST_NAME:
            start = name.encode()[: _LONGEST_NAME - 9].decode("utf-8", "ignore")
            name = f"{start}~{hash_bytes(image_id.encode())[:8]}"
        return self.job.folder.path.joinpath("pictures", *folders, f"{name}.jpg")


def _store(job: Job) -> AbstractContextManager[MapStore | None]:
    if job.save_maps is None:
        return nullcontext()
    about = {key: job.plan.about[key] for key in ("method", "model", "weights_hash", "layer")}
    selection = job.plan.selection
    asked = {
        "labels": list(job.plan.labels),
        "top": selection.top,
        "near_top": selection.near_top,
    }
    return create_maps(job.save_maps, {**about, **asked}, rebuilt=rebuilt)
