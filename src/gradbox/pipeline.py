"""The jobs: `localize`, `locate`, `fit` and `evaluate`, plain functions behind the command line."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gradbox.datasets import Dataset
from gradbox.errors import ImageError, UsageError
from gradbox.estimators.fitting import TrainingBatch, targets_for
from gradbox.estimators.fitting import fit as fit_regressor
from gradbox.estimators.learned import Regressor, Ridge, Sgd
from gradbox.estimators.untrained import ESTIMATORS
from gradbox.files import write_json
from gradbox.images.batches import WORKERS, Loaded, load_batches, to_batch
from gradbox.localization import ImageSource, Sample, Selection
from gradbox.methods import (
    DEFAULT_BOX,
    DEFAULT_LEARNED,
    DEFAULT_METHOD,
    ClassFrom,
    Method,
    build_maps,
    build_method,
    layer_name,
    selection_for,
)
from gradbox.models.classifier import Classifier
from gradbox.reports.report import write_report
from gradbox.results.run_folder import Found, open_run, read_predictions
from gradbox.runs.evaluation import Part, Terms, labels_of_units, prepare, with_units
from gradbox.runs.execution import Plan, Report, Running, chunks, finish, run_into
from gradbox.runs.gallery import gallery
from gradbox.specs import build


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
    for chunk in chunks([plan], batch_size=batch_size, workers=WORKERS, details=details):
        yield from chunk.found[0]


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
    if running.masks and ready.box is not None:
        raise UsageError(
            f"{ready.method} with a box makes no masks to write: use dam without a box, or leave "
            "the masks out"
        )
    plan = _plan(samples, classifier, ready, labels, selection)
    call = {
        "command": "locate",
        "images": len(samples),
        **plan.about,
        "labels": list(labels),
        "top": plan.selection.top,
        "near_top": plan.selection.near_top,
        "masks": running.masks,
    }
    about = {"supervision": ready.supervision(given_labels=bool(labels))}
    folder = open_run(out, call, about, overwrite=running.overwrite)
    seconds = run_into(folder, plan, running)
    return finish(folder, plan, running, seconds)


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
    """Localize a data set and score it: `locate`'s files, `metrics.json` and `report.html`.

    The scored unit is an (image, class) pair for `class_from` `truth`, else an image, and any true
    box of the unit counts. Images without a box are left out. The constant baselines are scored on
    the same units. Where images have true masks, masks and filled boxes are scored, too.

    Raises:
        UsageError: the call is wrong; a class that the classifier does not know (for `truth`); a
            regressor that was fitted on an image that is scored.
    """
    started = perf_counter()
    terms = Terms(dataset=dataset, part=part or Part(), class_from=class_from, strict=strict)
    running = terms.run_by(running or Running())
    trial = prepare(terms, build_method(method, box, classifier), classifier)
    folder = trial.open(out, overwrite=running.overwrite)
    seconds = run_into(folder, trial.plan, running, with_truth=True)
    report = finish(folder, trial.plan, running, seconds)
    found = dict(read_predictions(folder.predictions))
    scores = trial.score(found)
    name = method if trial.plan.method.box is None else f"{method} | {box or DEFAULT_BOX}"
    metrics = {
        "run": name,
        **trial.metrics(scores, found, folder),
        **trial.context(found, folder.hashes),
        "seconds": {"total": perf_counter() - started, **folder.facts["seconds"]},
    }
    write_json(out / "metrics.json", metrics)
    if scores.units:
        write_report(
            out / "report.html",
            title=f"{name} on {dataset.spec}",
            runs={name: metrics},
            context=metrics,
            cases=gallery(trial, scores),
            failures=report.failures,
            facts=folder.facts,
        )
    return replace(report, metrics=metrics)


def fit(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    box: str = DEFAULT_LEARNED,
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
        raise UsageError(f"{box} has nothing to fit: use ridge or sgd, as in '{DEFAULT_LEARNED}'")
    localizer, text, usual = build_maps(method, classifier)
    chosen = class_from or usual
    selected = (part or Part()).of(dataset.samples)
    samples, units = with_units(dataset, selected, classifier, chosen)
    labels_of, selection = labels_of_units(units, chosen), selection_for(chosen)

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
        options,
        rows(),
        method=text,
        model=classifier.name,
        model_hash=classifier.weights_hash,
        layer=layer_name(localizer),
        preprocessing=str(classifier.preprocessing),
        image_labels=chosen == "truth",
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
