"""Running plans over many images: with progress, into folders that can resume."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.errors import ImageError, UsageError, nearest
from gradbox.exports import FORMATS, WHOLE_FOLDERS, About, exporters, model_version
from gradbox.images.batches import WORKERS, Failed, Loaded
from gradbox.images.pixels import readable
from gradbox.localization import RGB, Found, Localization, Sample
from gradbox.methods import rebuilt
from gradbox.progress import Track, silent
from gradbox.reports.drawing import picture, picture_file, save_picture
from gradbox.results.heatmaps import MapStore, create_maps
from gradbox.results.inputs import Input
from gradbox.results.predictions import to_line
from gradbox.results.run_folder import RunFolder
from gradbox.runs.batch_size import Asked, BatchSize
from gradbox.runs.plan import Plan, chunks

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
    command that was typed, for `gradbox again`.
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
    track: Track = silent

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in FORMATS:
                known = ", ".join(["jsonl", *FORMATS])
                raise UsageError(f"unknown format {name!r}{nearest(name, FORMATS)}: use {known}")
        if "masks" in self.formats:
            object.__setattr__(self, "masks", True)


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
    `n_untrusted` counts the images that are `untrusted`, None where scores are no probabilities.
    """

    folder: Path
    n_images: int
    failures: Mapping[str, str]
    gone: tuple[str, ...] = ()
    classes: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    n_untrusted: int | None = None
    metrics: Mapping[str, Any] | None = None


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
    size = BatchSize(running.batch_size, jobs[0].plan.classifier.device.type)
    with ExitStack() as stack:
        writers = [_Writer(job, stack.enter_context(_store(job)), running) for job in jobs]
        lacking = [writer.lacking(samples) for writer in writers]
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
                writers[i].write(chunk.loaded, found, with_truth=with_truth)
                seconds[i]["method"] += took
                seconds[i]["images"] += len(chunk)
    for i in open_jobs:
        jobs[i].folder.note(size.about)
    return seconds


def finish(folder: RunFolder, plan: Plan, running: Running, seconds: Mapping[str, float]) -> None:
    """Write the other formats, and gather the results of the folder.

    Where no image was run, the seconds and the batch of the earlier call are kept.
    """
    known = folder.facts
    files = set(known.get("files", []))
    proposing = plan.method.proposals is not None
    about = _about(folder, plan)
    for write in exporters(running.formats, proposals=proposing):
        results = folder.results(masks=True, proposals=proposing)
        good = (one for _, one in results if isinstance(one, Localization))
        written = write(good, about, folder.path)
        files |= {path.relative_to(folder.path).as_posix() for path in _made(written)}
    took = seconds if seconds["images"] else known.get("seconds", seconds)
    kept = {} if seconds["images"] or "batch" not in known else {"batch": known["batch"]}
    maps = {} if running.save_maps is None else {"maps": os.path.abspath(running.save_maps)}
    folder.finish(seconds=took, files=sorted(files), asked=running.asked, **kept, **maps)


def _about(folder: RunFolder, plan: Plan) -> About:
    preprocessing = plan.classifier.preprocessing
    return About(
        names=plan.classifier.class_name,
        model_version=model_version(plan.about),
        source_of={sample.image_id: sample.source for sample in folder.samples}.__getitem__,
        reading=preprocessing.reading,
        channels=preprocessing.channels,
    )


def _made(written: Path) -> list[Path]:
    """The files and folders of an export; the user's own may lie beside them, as in yolo/images."""
    if not written.is_dir() or written.name in WHOLE_FOLDERS:
        return [written]
    return [child for child in written.iterdir() if child.name != "images"]


def untrusted(found: Localization) -> bool:
    """Whether no box can be trusted: all probabilities are below `TRUSTED`, or there is no box."""
    return max(found.scores, default=0.0) < TRUSTED


def report_of(
    folder: RunFolder, out: Path, results: Iterable[tuple[str, Found]], *, is_calibrated: bool
) -> Report:
    """What a finished job did, from its results; scores may be probabilities."""
    failures: dict[str, str] = {}
    n_untrusted = 0
    sums: dict[str, tuple[int, float]] = {}
    for image_id, found in results:
        if isinstance(found, ImageError):
            failures[image_id] = str(found)
            continue
        n_untrusted += untrusted(found)
        for name, score in zip(found.names, found.scores, strict=True):
            count, total = sums.get(name or "object", (0, 0.0))
            sums[name or "object"] = count + 1, total + score
    by_count = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return Report(
        folder=out,
        n_images=len(folder.samples),
        failures=failures,
        gone=tuple(folder.gone),
        classes={name: (count, total / count) for name, (count, total) in by_count},
        n_untrusted=n_untrusted if is_calibrated else None,
    )


def draw(loaded: Loaded, found: Localization, *, with_truth: bool) -> RGB:
    """The picture of one result, whose original was kept; `with_truth` draws the true boxes too."""
    assert loaded.original is not None
    return picture(
        readable(loaded.original),
        found,
        frame=loaded.frame,
        truth=loaded.sample.boxes if with_truth else np.zeros((0, 4)),
    )


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
        return {sample.image_id for sample in samples if self._lacks(sample)}

    def _lacks(self, sample: Sample) -> bool:
        image_id, verify = sample.image_id, self.running.verify
        if not self.job.folder.has(image_id):
            return True
        needed = self.inputs[image_id]
        if self.store is not None and not self.store.has(sample, needed, verify=verify):
            return True
        return self.running.pictures and not self._picture(image_id).exists()

    def write(
        self, loaded: Sequence[Loaded | Failed], found: Sequence[Found], *, with_truth: bool
    ) -> None:
        """Write what was found in one batch: maps and pictures, then the lines that are not there.

        A line that is there holds, whatever came of looking at its image once more.
        """
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
            if not self.job.folder.has(image_id):
                lines.append((needed, to_line(image_id, result, masks=self.running.masks)))
        if self.store is not None:
            self.store.put(maps)
        self.job.folder.append(lines)

    def _picture(self, image_id: str) -> Path:
        return picture_file(self.job.folder.path / "pictures", image_id)


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
