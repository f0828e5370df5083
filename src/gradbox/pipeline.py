"""The jobs: `localize`, `locate`, `fit` and `evaluate`, plain functions behind the command line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gradbox.classifier import Classifier
from gradbox.datasets import Dataset, limit, split
from gradbox.errors import ImageError, UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.execution import LabelsOf, Plan, Running, chunks, run_into
from gradbox.exports import FORMATS
from gradbox.files import write_json
from gradbox.loading import WORKERS, Loaded, hash_source, load_batches, to_batch
from gradbox.localization import ImageSource, Localization, Sample, Selection
from gradbox.methods import (
    DEFAULT_METHOD,
    ClassFrom,
    Method,
    build_maps,
    build_method,
    selection_for,
)
from gradbox.regression import TrainingBatch, targets_for
from gradbox.regression import fit as fit_regressor
from gradbox.regressor import Regressor, Ridge, Sgd
from gradbox.results import Found, RunFolder, open_run, read_predictions
from gradbox.scoring import TrueUnit, baselines, score, summary, true_units
from gradbox.specs import build


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


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a job did: the images in its folder, those that failed with the reason, the scores."""

    folder: Path
    n_images: int
    failures: Mapping[str, str]
    metrics: Mapping[str, Any] | None = None


def localize(
    sources: Iterable[ImageSource],
    classifier: Classifier,
    *,
    method: str = DEFAULT_METHOD,
    box: str | None = None,
    labels: Sequence[str] = (),
    selection: Selection | None = None,
    batch_size: int = 16,
    details: bool = False,
) -> Iterator[Found]:
    """Localize images, in order; the same job as `locate`, without files.

    Args:
        sources: image files, Pillow images or (h, w, 3) uint8 arrays, any number.
        classifier: from `load_classifier` or `Classifier.wrap`.
        method: for instance "sensitivity" or "sensitivity(target=layer_mean, reduce=max)".
        box: for instance "mass", "top_fraction(0.2, sigma=20)" or "ridge(FILE)".
        labels: classes to locate, by name, wnid or index; none means the recognized one.
        selection: which classes where none is given; the default follows the method.
        batch_size: images in one pass; it does not change the result.
        details: also give each localization its heat map, mask and regions.

    Yields:
        A `Localization`, or an `ImageError` in the place of an image that cannot be used.
    """
    samples = (
        Sample(image_id=str(s) if isinstance(s, (str, Path)) else str(i), source=s)
        for i, s in enumerate(sources)
    )
    plan = _plan(samples, classifier, build_method(method, box, classifier), labels, selection)
    for chunk in chunks(plan, batch_size=batch_size, workers=WORKERS, details=details):
        yield from chunk.found


def locate(
    samples: Sequence[Sample],
    classifier: Classifier,
    out: Path,
    *,
    method: str = DEFAULT_METHOD,
    box: str | None = None,
    labels: Sequence[str] = (),
    selection: Selection | None = None,
    running: Running | None = None,
) -> Report:
    """Localize images into a folder: `run.json`, `predictions.jsonl` and what `running` asks for.

    The same call into the same folder goes on where an interrupted one stopped.

    Raises:
        UsageError: the call is wrong, or `out` holds something else.
    """
    running = running or Running()
    ready = build_method(method, box, classifier)
    plan = _plan(samples, classifier, ready, labels, selection)
    call = {
        "command": "locate",
        "images": len(samples),
        **_about(plan),
        "labels": list(labels),
        "top": plan.selection.top,
        "near_top": plan.selection.near_top,
    }
    about = {"supervision": ready.supervision(given_labels=bool(labels))}
    folder = open_run(out, call, about, overwrite=running.overwrite)
    seconds = run_into(folder, plan, running)
    return _finish(folder, plan, running, seconds)


def evaluate(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    method: str = DEFAULT_METHOD,
    box: str | None = None,
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    strict: bool = True,
    running: Running | None = None,
) -> Report:
    """Localize a data set and score it: `locate`'s files and `metrics.json`.

    The scored unit is an (image, class) pair for `class_from` `truth`, else an image, and any true
    box of the unit counts. Images without a box are left out. The constant baselines are scored on
    the same units.

    Raises:
        UsageError: the call is wrong; a class that the classifier does not know (for `truth`); a
            regressor that was fitted on an image that is scored.
    """
    started = perf_counter()
    running, part = running or Running(), part or Part()
    ready = build_method(method, box, classifier)
    chosen = class_from or ready.class_from
    selected = part.of(dataset.samples)
    samples, units = _with_units(dataset, selected, classifier, chosen)
    _refuse_training_images(ready, samples)
    plan = Plan(
        samples=samples,
        classifier=classifier,
        method=ready,
        labels_of=_labels_of(units, chosen),
        selection=selection_for(chosen),
    )
    call = {
        "command": "evaluate",
        "dataset": dataset.spec,
        "split": list(part.shares),
        "part": part.number if part.shares else None,
        "seed": part.seed,
        "limit": part.limit,
        "class_from": chosen,
        "strict": strict,
        **_about(plan),
    }
    supervision = ready.supervision(given_labels=chosen == "truth")
    folder = open_run(out, call, {"supervision": supervision}, overwrite=running.overwrite)
    seconds = run_into(folder, plan, running, with_truth=True)
    report = _finish(folder, plan, running, seconds)
    found = dict(read_predictions(folder.predictions))
    fitting = part.others(dataset.samples)
    metrics = {
        "supervision": supervision,
        **summary(score(units, found, chosen, classifier.class_name), strict=strict),
        "n_failed": len(report.failures),
        "n_without_unit": len(selected) - len(samples),
        "baselines": baselines(units, found, fitting=fitting or samples, oracle=not fitting),
        "seconds": {"total": perf_counter() - started, **seconds},
    }
    write_json(out / "metrics.json", metrics)
    return replace(report, metrics=metrics)


def fit(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    box: str = "ridge",
    method: str = DEFAULT_METHOD,
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    running: Running | None = None,
) -> Regressor:
    """Learn the linear map from heat maps to boxes (A3) and write it to `out`, a safetensors file.

    Raises:
        UsageError: the call is wrong, too few images have a box, or `out` is there and not to be
            overwritten.
    """
    running = running or Running()
    if out.exists() and not running.overwrite:
        raise UsageError(f"{out} is there already: give another --out, or --overwrite")
    options: Any = build(box, ESTIMATORS)
    if not isinstance(options, (Ridge, Sgd)):
        raise UsageError(f"{box} has nothing to fit: use ridge or sgd, as in 'ridge(grid=14)'")
    localizer, text, usual = build_maps(method, classifier)
    chosen = class_from or usual
    selected = (part or Part()).of(dataset.samples)
    samples, units = _with_units(dataset, selected, classifier, chosen)
    labels_of, selection = _labels_of(units, chosen), selection_for(chosen)

    def rows() -> Iterator[TrainingBatch]:
        loaded = load_batches(
            samples,
            classifier.preprocessing,
            batch_size=running.batch_size,
            workers=running.workers,
        )
        for group in running.track(loaded, len(samples), "mapping"):
            usable = [one for one in group if isinstance(one, Loaded)]
            if not usable:
                continue
            maps = localizer.maps(to_batch(usable, labels_of, selection))
            heatmaps, targets, hashes = [], [], []
            for one, of_image in zip(usable, maps, strict=True):
                if isinstance(of_image, ImageError):
                    continue
                for unit, labelled in zip(units[one.sample.image_id], of_image, strict=True):
                    for target in targets_for(unit.boxes, one.frame, options.boxes):
                        heatmaps.append(labelled.heatmap)
                        targets.append(target)
                        hashes.append(one.sha256)
            if heatmaps:
                yield np.stack(heatmaps), np.stack(targets), hashes

    regressor = fit_regressor(
        options, rows(), method=text, model=classifier.name, model_hash=classifier.weights_hash
    )
    regressor.save(out)
    return regressor


def _plan(
    samples: Iterable[Sample],
    classifier: Classifier,
    method: Method,
    labels: Sequence[str],
    selection: Selection | None,
) -> Plan:
    indices = tuple(dict.fromkeys(classifier.class_index(text) for text in labels)) or None
    return Plan(
        samples=samples,
        classifier=classifier,
        method=method,
        labels_of=lambda _: indices,
        selection=selection or selection_for(method.class_from),
    )


def _about(plan: Plan) -> dict[str, Any]:
    classifier, method = plan.classifier, plan.method
    return {
        "model": classifier.name,
        "weights_hash": classifier.weights_hash,
        "dtype": str(classifier.dtype).removeprefix("torch."),
        "preprocessing": str(classifier.preprocessing),
        "layer": str(layer) if (layer := getattr(method.localizer, "layer", None)) else None,
        "method": method.method,
        "box": method.box,
    }


def _finish(
    folder: RunFolder, plan: Plan, running: Running, seconds: Mapping[str, float]
) -> Report:
    folder.finish(seconds=seconds)
    failures, n_images = {}, 0
    for image_id, found in read_predictions(folder.predictions):
        n_images += 1
        if isinstance(found, ImageError):
            failures[image_id] = str(found)
    for name in running.formats:
        good = (f for _, f in read_predictions(folder.predictions) if isinstance(f, Localization))
        FORMATS[name](good, plan.classifier.class_name, folder.path)
    return Report(folder=folder.path, n_images=n_images, failures=failures)


def _with_units(
    dataset: Dataset, selected: Sequence[Sample], classifier: Classifier, class_from: ClassFrom
) -> tuple[Sequence[Sample], Mapping[str, Sequence[TrueUnit]]]:
    """The images that have something to score, and what."""
    index_of = cache(classifier.class_index)
    units = {s.image_id: true_units(s, class_from, index_of) for s in selected if len(s.boxes)}
    samples = [sample for sample in selected if units.get(sample.image_id)]
    if not samples:
        raise UsageError(f"{dataset.spec}: none of {len(selected)} images has a box with its class")
    return samples, {sample.image_id: units[sample.image_id] for sample in samples}


def _labels_of(units: Mapping[str, Sequence[TrueUnit]], class_from: ClassFrom) -> LabelsOf:
    def given(sample: Sample) -> tuple[int, ...]:
        return tuple(u.index for u in units[sample.image_id] if u.index is not None)

    return given if class_from == "truth" else lambda _: None


def _refuse_training_images(method: Method, samples: Sequence[Sample]) -> None:
    if method.regressor is None:
        return
    hashes = {}
    for sample in samples:
        try:
            hashes[hash_source(sample.source)] = sample.image_id
        except (ImageError, OSError):
            continue  # it cannot have been fitted on, and is reported when its turn comes
    if seen := method.regressor.trained_on(hashes):
        example = min(hashes[digest] for digest in seen)
        raise UsageError(
            f"{method.box} was fitted on {len(seen)} of these images ({example}, ...): scoring "
            "them would be testing on the training set; take another --part of the --split"
        )
