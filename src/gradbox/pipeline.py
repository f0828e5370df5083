"""The jobs, plain functions: `localize`, `locate` and `evaluate`, and `fit` of `runs.fitting`.

`compare` stands in `runs.comparison`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from gradbox.datasets import Dataset
from gradbox.errors import ImageError, UsageError
from gradbox.files import write_json
from gradbox.images.batches import WORKERS
from gradbox.localization import ClassFrom, Found, ImageSource, Sample, Selection
from gradbox.methods import DEFAULT_METHOD, ReadyMethod, ready, rebuilt
from gradbox.models.classifier import Classifier
from gradbox.reports.report import write_report
from gradbox.results.predictions import read_predictions
from gradbox.results.run_folder import open_run
from gradbox.runs.evaluation import Part, Protocol, prepare
from gradbox.runs.execution import Job, Plan, Report, Running, chunks, finish, report_of, run
from gradbox.runs.fitting import fit
from gradbox.runs.gallery import gallery

__all__ = ["evaluate", "fit", "localize", "locate"]


def localize(
    sources: Iterable[ImageSource],
    classifier: Classifier,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = None,
    labels: Sequence[str] = (),
    selection: Selection | None = None,
    batch_size: int = 16,
    details: bool = False,
) -> Iterator[Found]:
    """Localize images, in order; the same job as `locate`, without files.

    Args:
        sources: image files, Pillow images or (h, w, 3) uint8 arrays, any number.
        classifier: from `load_classifier` or `Classifier.wrap`.
        method: text, for instance "sensitivity(target=layer_mean, reduce=max)", or a value, such as
            `Dam(k=3)` or a `MapMaker` or `Localizer` of your own.
        box: text, for instance "top_fraction(0.2, sigma=20)" or "ridge(FILE)", or a value, such as
            `Mass(trim=0.02)` or a `BoxEstimator` of your own.
        labels: classes to locate, by name, wnid or index; none means the recognized one.
        selection: which classes where none is given; the default follows the method.
        batch_size: images in one pass; it does not change the result.
        details: also give each localization its heat map, mask and regions.

    Yields:
        A `Localization`, or an `ImageError` in the place of an image that cannot be used.
    """
    samples = (Sample(image_id=str(i), source=source) for i, source in enumerate(sources))
    plan = _plan(samples, classifier, ready(method, box, classifier), labels, selection)
    for chunk in chunks([plan], batch_size=batch_size, workers=WORKERS, details=details):
        for one, found in zip(chunk.loaded, chunk.found[0], strict=True):
            yield _named(found, one.sample)


def locate(
    samples: Sequence[Sample],
    classifier: Classifier,
    out: Path,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = None,
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
    chosen = ready(method, box, classifier)
    if running.masks and chosen.box is not None:
        raise UsageError(
            f"{chosen.text} with a box makes no masks to write: use dam without a box, or leave "
            "the masks out"
        )
    plan = _plan(samples, classifier, chosen, labels, selection)
    call = {
        "command": "locate",
        "images": len(samples),
        **plan.about,
        "labels": list(labels),
        "top": plan.selection.top,
        "near_top": plan.selection.near_top,
        "masks": running.masks,
    }
    about = {"supervision": chosen.supervision(given_labels=bool(labels))}
    folder = open_run(
        out,
        call,
        about,
        overwrite=running.overwrite,
        rebuilt=rebuilt,
        resumable=chosen.is_comparable,
    )
    (seconds,) = run([Job(folder=folder, plan=plan, save_maps=running.save_maps)], running)
    finish(folder, plan, running, seconds)
    return report_of(folder, read_predictions(folder.predictions))


def evaluate(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = None,
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
    protocol = Protocol(dataset=dataset, part=part or Part(), class_from=class_from, strict=strict)
    running = protocol.run_by(running or Running())
    evaluation = prepare(protocol, ready(method, box, classifier), classifier)
    folder = evaluation.open(out, overwrite=running.overwrite)
    job = Job(folder=folder, plan=evaluation.plan, save_maps=running.save_maps)
    (seconds,) = run([job], running, with_truth=True)
    finish(folder, evaluation.plan, running, seconds)
    found = dict(read_predictions(folder.predictions))
    report, scores = report_of(folder, found.items()), evaluation.score(found)
    name = evaluation.plan.method.name(method, box)
    metrics = {
        "run": name,
        **evaluation.metrics(scores, found, folder),
        **evaluation.context(found, folder.hashes),
        "seconds": {"total": perf_counter() - started, **folder.facts["seconds"]},
    }
    write_json(out / "metrics.json", metrics)
    if scores.units:
        write_report(
            out / "report.html",
            title=f"{name} on {dataset.spec}",
            runs={name: metrics},
            context=metrics,
            cases=gallery(evaluation, scores),
            failures=report.failures,
            facts=folder.facts,
        )
    return replace(report, metrics=metrics)


def _named(found: Found, sample: Sample) -> Found:
    """The same under the path that was given, which may lie anywhere; else under its number."""
    if not isinstance(sample.source, (str, Path)):
        return found
    name = str(sample.source)
    return found.of(name) if isinstance(found, ImageError) else replace(found, image_id=name)


def _plan(
    samples: Iterable[Sample],
    classifier: Classifier,
    method: ReadyMethod,
    labels: Sequence[str],
    selection: Selection | None,
) -> Plan:
    indices = tuple(dict.fromkeys(classifier.class_index(text) for text in labels)) or None
    return Plan(
        samples=samples,
        classifier=classifier,
        method=method,
        labels_of=lambda _: indices,
        selection=selection or Selection.usual(method.class_from),
    )
