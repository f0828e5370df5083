"""Running a method over many images: in batches, with progress, into a folder that can resume."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gradbox.models.classifier import Classifier
from gradbox.reports.drawing import picture, save_picture
from gradbox.errors import ImageError, UsageError, nearest
from gradbox.exports import FORMATS
from gradbox.images.decode import load_rgb
from gradbox.images.batches import WORKERS, Failed, Loaded, load_batches, to_batch
from gradbox.localization import RGB, Localization, Sample, Selection
from gradbox.attribution.maps import MapLocalizer, MapMaker, MapsOfImage
from gradbox.results.heatmaps import MapStore, create_maps
from gradbox.methods import Method
from gradbox.progress import Track, silent
from gradbox.results.run_folder import Found, RunFolder, read_predictions, to_line

LabelsOf = Callable[[Sample], tuple[int, ...] | None]


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a job runs and what it writes beside its results; nothing here changes a number.

    `save_maps` is a folder for the heat maps; `pictures` writes one picture an image; `masks` adds
    the object's mask, where the method has one, to its line; `formats` are names of
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
    method: Method
    labels_of: LabelsOf
    selection: Selection

    @property
    def about(self) -> dict[str, Any]:
        """What `run.json` says of the classifier and the method."""
        layer = getattr(self.method.localizer, "layer", None)
        return {
            "model": self.classifier.name,
            "weights_hash": self.classifier.weights_hash,
            "dtype": str(self.classifier.dtype).removeprefix("torch."),
            "preprocessing": str(self.classifier.preprocessing),
            "layer": str(layer) if layer else None,
            "method": self.method.method,
            "box": self.method.box,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Lane:
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
    plans: Sequence[Plan], *, batch_size: int, workers: int, details: bool
) -> Iterator[Chunk]:
    """The samples of the first plan, batch by batch, in order, through all plans.

    Plans with the same maker of heat maps share its maps; its seconds count in each of them. The
    classifiers' preprocessing has to be the same.
    """
    preprocessing = plans[0].classifier.preprocessing
    for loaded in load_batches(
        plans[0].samples, preprocessing, batch_size=batch_size, workers=workers
    ):
        usable = [one for one in loaded if isinstance(one, Loaded)]
        made: _Made = {}
        results = [_localize(plan, usable, made, details) for plan in plans]
        found = [_in_order(loaded, of_plan) for of_plan, _ in results]
        yield Chunk(loaded, found, [seconds for _, seconds in results])


def run_into(
    folder: RunFolder, plan: Plan, running: Running, *, with_truth: bool = False
) -> dict[str, float]:
    """Run what is not yet in the folder; returns the seconds of the method and the images run.

    `with_truth` draws the true boxes into the pictures.
    """
    lane = Lane(folder=folder, plan=plan, save_maps=running.save_maps)
    return run_together([lane], running, with_truth=with_truth)[0]


def run_together(
    lanes: Sequence[Lane], running: Running, *, with_truth: bool = False
) -> list[dict[str, float]]:
    """`run_into` for several plans over the same images at once, see `chunks`."""
    samples = list(lanes[0].plan.samples)
    seconds: list[dict[str, float]] = [{"method": 0.0, "images": 0} for _ in lanes]
    stores = [_store(samples, lane) for lane in lanes]
    lacking = [
        {s.image_id for s in samples if _lacks(lane, store, running, s.image_id)}
        for lane, store in zip(lanes, stores, strict=True)
    ]
    open_lanes = [i for i, images in enumerate(lacking) if images]
    if not open_lanes:
        return seconds
    todo = [s for s in samples if any(s.image_id in lacking[i] for i in open_lanes)]
    groups = chunks(
        [replace(lanes[i].plan, samples=todo) for i in open_lanes],
        batch_size=running.batch_size,
        workers=running.workers,
        details=running.pictures or running.masks or any(store is not None for store in stores),
    )
    for chunk in running.track(groups, len(todo), "localizing"):
        for i, found, took in zip(open_lanes, chunk.found, chunk.seconds, strict=True):
            _record(lanes[i], stores[i], chunk.loaded, found, running, with_truth)
            seconds[i] = {
                "method": seconds[i]["method"] + took,
                "images": seconds[i]["images"] + len(chunk),
            }
    for store in stores:
        if store is not None:
            store.finish()
    return seconds


def finish(folder: RunFolder, plan: Plan, running: Running, seconds: Mapping[str, float]) -> Report:
    """Close the folder, write the other formats and count what failed.

    Where no image was run, the seconds of the earlier call are kept.
    """
    folder.finish(seconds=seconds if seconds["images"] else folder.facts.get("seconds", seconds))
    failures, n_images = {}, 0
    for image_id, found in read_predictions(folder.predictions):
        n_images += 1
        if isinstance(found, ImageError):
            failures[image_id] = str(found)
    for name in running.formats:
        lines = read_predictions(folder.predictions, masks=True)
        good = (found for _, found in lines if isinstance(found, Localization))
        FORMATS[name](good, plan.classifier.class_name, folder.path)
    return Report(folder=folder.path, n_images=n_images, failures=failures)


_Made = dict[MapMaker, tuple[Sequence[MapsOfImage], float]]
"""The maps of one batch and the seconds they took, by who made them."""


def _localize(
    plan: Plan, usable: Sequence[Loaded], made: _Made, details: bool
) -> tuple[Sequence[Found], float]:
    """What a plan finds in the images of a batch, and the seconds of its method."""
    if not usable:
        return [], 0.0
    batch, localizer = to_batch(usable, plan.labels_of, plan.selection), plan.method.localizer
    started = perf_counter()
    if not isinstance(localizer, MapLocalizer):
        return localizer.localize(batch, details=details), perf_counter() - started
    if localizer.maker not in made:
        maps = localizer.maker.maps(batch)
        made[localizer.maker] = maps, perf_counter() - started
    maps, making = made[localizer.maker]
    started = perf_counter()
    return localizer.boxes(batch, maps, details=details), making + perf_counter() - started


def _in_order(loaded: Sequence[Loaded | Failed], found: Sequence[Found]) -> list[Found]:
    """What was found in the usable images, with the failed ones put back in their places."""
    rest = iter(found)
    return [
        one.error if isinstance(one, Failed) else _mark_blank(one, next(rest)) for one in loaded
    ]


def _record(
    lane: Lane,
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
                drawn = draw(one, result, lane.plan.classifier, with_truth=with_truth)
                save_picture(_picture(lane, image_id), drawn)
        if image_id in lane.folder.done:
            continue
        naming = lane.plan.classifier.class_name
        lines.append(to_line(image_id, result, naming, masks=running.masks))
        if isinstance(one, Loaded):
            hashes[image_id] = one.sha256
    if lines:
        lane.folder.append(lines, hashes)


def _lacks(lane: Lane, store: MapStore | None, running: Running, image_id: str) -> bool:
    """Whether an image still has to run: its line, or the map or picture asked for, is missing."""
    return (
        image_id not in lane.folder.done
        or (store is not None and not store.has(image_id))
        or (running.pictures and not _picture(lane, image_id).exists())
    )


def _picture(lane: Lane, image_id: str) -> Path:
    return lane.folder.path / "pictures" / f"{image_id}.jpg"


def _store(samples: Sequence[Sample], lane: Lane) -> MapStore | None:
    if lane.save_maps is None:
        return None
    about = {key: lane.plan.about[key] for key in ("method", "model", "weights_hash")}
    size = lane.plan.classifier.preprocessing.size
    return create_maps(lane.save_maps, [s.image_id for s in samples], size, about)


def draw(loaded: Loaded, found: Localization, classifier: Classifier, *, with_truth: bool) -> RGB:
    """The picture of one result; `with_truth` draws the true boxes too."""
    return picture(
        load_rgb(loaded.sample.source),
        found,
        names=[classifier.class_name(label) for label in found.labels],
        frame=loaded.frame,
        truth=loaded.sample.boxes if with_truth else np.zeros((0, 4)),
    )


def _mark_blank(loaded: Loaded, found: Found) -> Found:
    if isinstance(found, Localization) and loaded.blank:
        return replace(found, blank=True)
    return found
