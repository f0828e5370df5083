"""Running plans over many images: with progress, into folders that can resume."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from gradbox.errors import UsageError
from gradbox.exports import WHOLE_FOLDERS
from gradbox.images.batches import WORKERS
from gradbox.images.clips import has_frames
from gradbox.localization import Sample
from gradbox.methods import rebuilt
from gradbox.progress import Track, silent
from gradbox.reports.drawing import picture_file
from gradbox.results.failures import KEPT, Failures
from gradbox.results.heatmaps import MapStore, create_maps
from gradbox.results.inputs import Input
from gradbox.results.opening import AnyRun
from gradbox.results.parquet import has_pyarrow
from gradbox.results.run_folder import RunFolder
from gradbox.results.sharded import SHARD, ShardedRun
from gradbox.runs.batch_size import Asked, BatchSize
from gradbox.runs.clips import write_clips
from gradbox.runs.engines import Engine, Local
from gradbox.runs.exporting import LINES, check_format, export
from gradbox.runs.plan import Plan, chunks
from gradbox.runs.sharding import run_shards
from gradbox.runs.shards import How, maps_about
from gradbox.runs.writing import PICTURES, Writer
from gradbox.stores import open_store

MANY = 50_000
"""Images from which on a run is one in shards where nobody says."""
TRUSTED = 0.3
"""The probability of an IoU above 0.5 from which on a box is worth a look."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a job runs and what it writes beside its results; nothing here changes a number.

    A `batch_size` of "auto" is found by trying; `save_maps` is a folder for the heat maps;
    `pictures` writes one picture of each image; `masks`
    makes a mask of the main box, of heat map and image where the method has none of its own, and
    adds it to the line; `verify` compares the hashes of
    all images with those of an earlier call, not only of those whose size or time differs; `retry`
    also tries again what failed for another reason than reading; `formats` are names of
    `exports.FORMATS`, of which `masks` makes masks, too; `asked` is what `run.json` keeps of the
    command that was typed, for `gradbox again`. `shard` is how many images a shard has, None where
    nobody says: a run of more than `MANY` images is one in shards then; `engine` makes the shards.
    """

    batch_size: Asked = 16
    workers: int = WORKERS
    overwrite: bool = False
    pictures: bool = False
    masks: bool = False
    verify: bool = False
    retry: bool = False
    save_maps: Path | None = None
    formats: tuple[str, ...] = ()
    asked: Mapping[str, Any] | None = None
    shard: int | None = None
    engine: Engine = field(default_factory=Local)
    track: Track = silent

    def __post_init__(self) -> None:
        for name in self.formats:
            check_format(name)
        if "masks" in self.formats:
            object.__setattr__(self, "masks", True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One plan on its way into a folder, and maybe its heat maps into another."""

    folder: AnyRun
    plan: Plan
    save_maps: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a job did: its images, those that failed with the reason, those gone, the scores.

    Gone are images that an earlier call had: their lines are kept, nothing else is made of them;
    `gone` has the first of them, as `failures` has.
    `classes` has the number of boxes and their mean score of each class, most boxes first.
    `n_untrusted` counts the images that are `untrusted`, None where scores are no probabilities.
    """

    folder: Path
    n_images: int
    failures: Failures
    n_gone: int = 0
    gone: tuple[str, ...] = ()
    classes: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    n_untrusted: int | None = None
    metrics: Mapping[str, Any] | None = None


def run(
    jobs: Sequence[Job],
    running: Running,
    *,
    with_truth: bool = False,
    dataset: str | None = None,
) -> list[dict[str, float]]:
    """Run what is not yet in the folders of several jobs over the same images, see `chunks`.

    `with_truth` draws the true boxes into the pictures. `dataset` is the text of the data set, for
    workers in other processes.

    Returns:
        The seconds of the method and the number of images run, of each job.
    """
    folders = [job.folder for job in jobs]
    _check_pictures(folders, running)
    sharded = [one for one in folders if isinstance(one, ShardedRun)]
    if not sharded:
        return _run_lines(jobs, running, with_truth=with_truth)
    with ExitStack() as stack:
        for job in jobs:
            stack.enter_context(_store(job))
        return run_shards(
            [job.plan for job in jobs],
            sharded,
            running.engine,
            How(
                batch_size=running.batch_size,
                workers=running.workers,
                masks=running.masks,
                pictures=running.pictures,
                with_truth=with_truth,
                maps=tuple(job.save_maps for job in jobs),
            ),
            verify=running.verify,
            retry=running.retry,
            dataset=dataset,
            track=running.track,
        )


def _check_pictures(folders: Sequence[AnyRun], running: Running) -> None:
    """Refuse to draw where there is no folder for it."""
    for one in folders:
        if running.pictures and isinstance(one, ShardedRun) and not one.store.is_local:
            raise UsageError(
                f"{one.store.url}: --pictures draws into a folder on this machine: leave it out, "
                "or give an --out here"
            )


def _run_lines(
    jobs: Sequence[Job], running: Running, *, with_truth: bool
) -> list[dict[str, float]]:
    """Run what runs of lines lack, in this process.

    Raises:
        UsageError: an engine that makes shards only.
    """
    if running.engine.needs_shards:
        raise UsageError(
            f"{jobs[0].folder.path} holds a run without shards, which one process makes: leave "
            "out --processes and --engine, or give another --out"
        )
    if running.engine.threads is not None:
        torch.set_num_threads(running.engine.threads)
    samples = list(jobs[0].plan.samples)
    seconds: list[dict[str, float]] = [{"method": 0.0, "images": 0} for _ in jobs]
    size = BatchSize(running.batch_size, jobs[0].plan.classifier.device.type)
    with ExitStack() as stack:
        writers = [
            _writer(job, stack.enter_context(_store(job)), running, with_truth) for job in jobs
        ]
        lacking = [
            _lacking(job, writer, samples, running)
            for job, writer in zip(jobs, writers, strict=True)
        ]
        open_jobs = [i for i, images in enumerate(lacking) if images]
        todo = [s for s in samples if any(s.image_id in lacking[i] for i in open_jobs)]
        groups = chunks(
            [replace(jobs[i].plan, samples=todo) for i in open_jobs],
            batch_size=size,
            workers=running.workers,
            details=any(writer.needs_details for writer in writers),
            originals=running.pictures,
        )
        for chunk in running.track(groups, len(todo), "localizing") if todo else ():
            for i, found, took in zip(open_jobs, chunk.found, chunk.seconds, strict=True):
                writers[i].write(chunk.loaded, found)
                seconds[i]["method"] += took
                seconds[i]["images"] += len(chunk)
    for i in open_jobs:
        jobs[i].folder.note(size.about)
    return seconds


def finish(folder: AnyRun, plan: Plan, running: Running, seconds: Mapping[str, float]) -> None:
    """Gather the results of the folder, and write the other formats.

    Where no image was run, the seconds and the batch of the earlier call are kept.
    """
    known = folder.facts
    files = set(known.get("files", []))
    took = seconds if seconds["images"] else known.get("seconds", seconds)
    kept = {} if seconds["images"] or "batch" not in known else {"batch": known["batch"]}
    maps = {} if running.save_maps is None else {"maps": os.path.abspath(running.save_maps)}
    formats = running.formats
    if isinstance(folder, RunFolder):  # which has its lines in any case
        formats = tuple(name for name in formats if name != LINES)
    if formats:
        with folder.writing() as path:
            for written in export(
                folder,
                formats,
                path,
                names=plan.classifier.class_name,
            ):
                files |= {one.relative_to(path).as_posix() for one in _made(written)}
    if has_frames(plan.samples):
        with folder.writing() as path:
            files |= {
                *write_clips(folder.pairs(), path, pictures=running.pictures, track=running.track)
            }
    folder.finish(seconds=took, files=sorted(files), asked=running.asked, **kept, **maps)


def _made(written: Path) -> list[Path]:
    """The files and folders of an export; the user's own may lie beside them, as in yolo/images."""
    if not written.is_dir() or written.name in WHOLE_FOLDERS:
        return [written]
    return [child for child in written.iterdir() if child.name != "images"]


def usual_shard(samples: Iterable[Sample], out: Path, running: Running) -> int | None:
    """How many images a shard has where nobody says; None is a run of lines."""
    if running.engine.needs_shards or not open_store(out).is_local:
        return SHARD
    many = sum(1 for _ in islice(samples, MANY + 1)) > MANY
    return SHARD if many and has_pyarrow() else None


def untrusted(scores: Sequence[float]) -> bool:
    """Whether no box can be trusted: all probabilities are below `TRUSTED`, or there is no box."""
    return max(scores, default=0.0) < TRUSTED


def report_of(folder: AnyRun, out: Path, *, is_calibrated: bool) -> Report:
    """What a finished job did, from its results; scores may be probabilities."""
    failures = Failures()
    n_images = n_untrusted = n_gone = 0
    sums: dict[str, tuple[int, float]] = {}
    for one in folder.outcomes():
        n_images += 1
        if one.error is not None:
            failures.add(one.image_id, one.error)
            continue
        n_untrusted += untrusted(one.scores)
        for name, score in zip(one.names, one.scores, strict=True):
            count, total = sums.get(name or "object", (0, 0.0))
            sums[name or "object"] = count + 1, total + score
    by_count = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    gone: list[str] = []
    for n_gone, image_id in enumerate(folder.gone, start=1):
        gone += [image_id] if n_gone <= KEPT else []
    return Report(
        folder=out,
        n_images=n_images,
        failures=failures,
        n_gone=n_gone,
        gone=tuple(gone),
        classes={name: (count, total / count) for name, (count, total) in by_count},
        n_untrusted=n_untrusted if is_calibrated else None,
    )


def _writer(job: Job, maps: MapStore | None, running: Running, with_truth: bool) -> Writer:
    plan = job.plan
    assert isinstance(job.folder, RunFolder)
    return Writer(
        sink=job.folder,
        inputs={s.image_id: now for s, now in Input.each_now(plan.samples, plan.labels_of)},
        maps=maps,
        masks=running.masks,
        pictures=job.folder.path / PICTURES if running.pictures else None,
        with_truth=with_truth,
    )


def _lacking(job: Job, writer: Writer, samples: Sequence[Sample], running: Running) -> set[str]:
    """The images that still have to run: line, map or picture is missing or out of date."""
    folder, inputs = job.folder, writer.inputs
    assert isinstance(folder, RunFolder)
    if writer.pictures is not None and writer.pictures.is_file():
        raise UsageError(f"{writer.pictures} is a file: pictures need a folder there")
    folder.check(samples, inputs, verify=running.verify, retry=running.retry)

    def lacks(sample: Sample) -> bool:
        image_id = sample.image_id
        if not folder.has(image_id):
            return True
        maps, needed = writer.maps, inputs[image_id]
        if maps is not None and not maps.has(sample, needed, verify=running.verify):
            return True
        pictures = writer.pictures
        return pictures is not None and not picture_file(pictures, image_id).exists()

    return {sample.image_id for sample in samples if lacks(sample)}


def _store(job: Job) -> AbstractContextManager[MapStore | None]:
    if job.save_maps is None:
        return nullcontext()
    about = job.plan.maps_about
    if isinstance(job.folder, ShardedRun):
        about = maps_about(job.plan, job.folder)
    return create_maps(job.save_maps, about, rebuilt=rebuilt)
