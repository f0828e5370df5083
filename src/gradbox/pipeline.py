"""The jobs, plain functions: `localize`, `locate` and `evaluate`, and `fit` of `runs.fitting`.

`compare` stands in `runs.comparison`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import Any, TypedDict, Unpack, overload

import numpy as np
from PIL import Image

from gradbox.attribution.targets import check_top
from gradbox.datasets import Dataset
from gradbox.errors import ImageError, UsageError
from gradbox.exports import check_formats
from gradbox.files import write_json
from gradbox.images.batches import WORKERS
from gradbox.images.clips import is_clip
from gradbox.localization import (
    ClassFrom,
    Found,
    ImageFile,
    ImageSource,
    Localization,
    Sample,
    Selection,
)
from gradbox.methods import DEFAULT_METHOD, ReadyMethod, ready, rebuilt
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.models.load import load_classifier
from gradbox.results.opening import open_run
from gradbox.runs.batch_size import Asked, BatchSize
from gradbox.runs.evaluation import Part, Protocol, prepare
from gradbox.runs.execution import (
    Job,
    Report,
    Running,
    finish,
    report_of,
    run,
    usual_shard,
)
from gradbox.runs.fitting import fit
from gradbox.runs.plan import Plan, chunks, settled
from gradbox.runs.scoring import score_constants, score_run

__all__ = ["evaluate", "fit", "localize", "locate"]


class _Options(TypedDict, total=False):
    method: Any
    box: Any
    labels: Sequence[str]
    selection: Selection | None
    min_score: float | None
    proposals: int | None
    batch_size: Asked
    workers: int
    details: bool
    masks: bool


@overload
def localize(  # type: ignore[overload-overlap]  # a path and an array can be iterated over, too
    sources: ImageSource, classifier: Classifier | None = None, **options: Unpack[_Options]
) -> Localization: ...


@overload
def localize(
    sources: Iterable[ImageSource | Sample],
    classifier: Classifier | None = None,
    **options: Unpack[_Options],
) -> Iterator[Found]: ...


def localize(
    sources: ImageSource | Iterable[ImageSource | Sample],
    classifier: Classifier | None = None,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = "auto",
    labels: Sequence[str] = (),
    selection: Selection | None = None,
    min_score: float | None = None,
    proposals: int | None = None,
    batch_size: Asked = 16,
    workers: int = WORKERS,
    details: bool = False,
    masks: bool = False,
) -> Localization | Iterator[Found]:
    """Localize one image, or any number in order; the same job as `locate`, without files.

    Args:
        sources: an image file, a Pillow image or an (h, w, 3) uint8 array, or any number of these
            or of a data set's samples.
        classifier: from `load_classifier` or `Classifier.wrap`; by default the one of ImageNet's
            classes that comes with the extra `imagenet`.
        method: text, for instance "sensitivity(target=layer_mean, reduce=max)", or a value, such as
            `Dam(k=3)` or a `MapMaker` or `Localizer` of your own.
        box: text, for instance "top_fraction(0.2, sigma=20)" or "ridge(FILE)", or a value, such as
            `Mass(trim=0.02)` or a `BoxEstimator` of your own.
        labels: classes to locate, by name, wnid or index; none means the recognized one.
        selection: which classes where none is given; the default follows the method.
        min_score: leave out boxes with a score below it, in [0, 1], so that an image may have none;
            for methods whose scores are probabilities of an IoU above 0.5.
        proposals: give each localization this many scored `regions`, best first: those of the
            method, or of its maps.
        batch_size: images in one pass, or "auto": as many as pay; it does not change the result.
        workers: threads that decode images.
        details: also give each localization its heat map, the mask that `dam` has, and those of its
            regions.
        masks: details with the mask of every method's main box, made of heat map and image.

    Returns:
        Of one image its `Localization`. Of several an iterator that gives an `ImageError` in the
        place of an image that cannot be used.

    Raises:
        ImageError: the one image cannot be used.
        UsageError: the call is wrong.
    """
    classifier = classifier or load_classifier()
    check_classifier(classifier)
    alone, several = _one_or_many(sources)
    samples: Iterable[Sample] = map(_sample, count(), several)
    if classifier.preprocessing.reading.is_of_dataset:
        samples = known = list(samples)
        classifier = settled(classifier, lambda: known)
    plan = plan_of(
        samples,
        classifier,
        ready(method, box, classifier, masks=masks, proposals=proposals),
        labels,
        selection,
        min_score,
    )
    size = BatchSize(batch_size, classifier.device.type)
    done = chunks([plan], batch_size=size, workers=workers, details=details or masks)
    results = (
        _named(found, one.sample)
        for chunk in done
        for one, found in zip(chunk.loaded, chunk.found[0], strict=True)
    )
    if not alone:
        return results
    (found,) = results
    if isinstance(found, ImageError):
        raise found
    return found


def locate(
    samples: Sequence[Sample],
    classifier: Classifier,
    out: Path,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = "auto",
    labels: Sequence[str] = (),
    selection: Selection | None = None,
    min_score: float | None = None,
    proposals: int | None = None,
    running: Running | None = None,
) -> Report:
    """Localize images into a folder: `run.json`, `predictions.jsonl` and what `running` asks for.

    The same call into the same folder goes on where an interrupted one stopped. Boxes with a score
    below `min_score` are left out, see `localize`; `proposals` keeps so many scored regions of each
    image.

    Raises:
        UsageError: the call is wrong, or `out` holds something else.
    """
    running = running or Running()
    classifier = settled(classifier, lambda: samples)
    chosen = ready(method, box, classifier, masks=running.masks, proposals=proposals)
    check_formats(running.formats, lambda: (sample.image_id for sample in samples))
    plan = plan_of(samples, classifier, chosen, labels, selection, min_score)
    call = {
        "command": "locate",
        "masks": running.masks,
        **plan.about,
        "labels": list(labels),
        "top": plan.selection.top,
        "near_top": plan.selection.near_top,
        "above": plan.selection.above,
    }
    about = chosen.stamps(given_labels=bool(labels))
    with open_run(
        out,
        call,
        about,
        overwrite=running.overwrite,
        rebuilt=rebuilt,
        resumable=plan.is_comparable,
        shard=running.shard,
        usual_shard=usual_shard(samples, out, running),
    ) as folder:
        (seconds,) = run([Job(folder=folder, plan=plan, save_maps=running.save_maps)], running)
        finish(folder, plan, running, seconds)
        return report_of(folder, out, is_calibrated=chosen.is_calibrated)


def evaluate(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    method: Any = DEFAULT_METHOD,
    box: Any = "auto",
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    strict: bool = True,
    min_score: float | None = None,
    proposals: int | None = None,
    running: Running | None = None,
) -> Report:
    """Localize a data set and score it: `locate`'s files, `metrics.json` and `report.html`.

    The scored unit is an (image, class) pair for `class_from` `truth`, else an image, and any true
    box of the unit counts. Images without a box are left out. The constant baselines are scored on
    the same units. Where images have true masks, masks and filled boxes are scored, too. Boxes with
    a score below `min_score` are left out, see `localize`; a unit without a box is a miss. The best
    `proposals` of each image are kept and scored by their recall where they are asked for.

    Raises:
        UsageError: the call is wrong; a class that the classifier does not know (for `truth`); a
            regressor that was fitted on an image that is scored.
    """
    started = perf_counter()
    running = running or Running()
    protocol = Protocol(
        dataset=dataset,
        part=part or Part(),
        class_from=class_from,
        strict=strict,
        min_score=min_score,
        masks=running.masks,
        proposals=proposals,
    )
    running = protocol.run_by(running)
    classifier = settled(classifier, lambda: protocol.selected)
    evaluation = prepare(protocol, protocol.ready(method, box, classifier), classifier)
    check_formats(running.formats, lambda: (sample.image_id for sample in evaluation.samples))
    with evaluation.open(out, running) as folder:
        job = Job(folder=folder, plan=evaluation.plan, save_maps=running.save_maps)
        (seconds,) = run([job], running, with_truth=True, dataset=dataset.spec)
        finish(folder, evaluation.plan, running, seconds)
        chosen = evaluation.plan.method
        report = report_of(folder, out, is_calibrated=chosen.is_calibrated)
        scores, of_method = score_run(evaluation, folder)
        _, context = score_constants(evaluation, folder)
        name = chosen.name(method, box)
        metrics = {
            "run": name,
            **of_method,
            **context,
            "seconds": {"total": perf_counter() - started, **folder.facts["seconds"]},
        }
        with folder.writing() as path:
            write_json(path / "metrics.json", metrics)
            if len(scores):
                from gradbox.reports.report import write_report
                from gradbox.runs.gallery import gallery

                write_report(
                    path / "report.html",
                    title=f"{name} on {dataset.spec}",
                    runs={name: metrics},
                    context=metrics,
                    cases=gallery(evaluation, scores, folder),
                    failures=report.failures,
                    facts=folder.facts,
                )
    return replace(report, metrics=metrics)


def _one_or_many(sources: Any) -> tuple[bool, Iterable[ImageSource | Sample]]:
    """Whether this is one image, and it or all of them as a sequence."""
    if is_clip(sources):
        raise UsageError(f"{sources} is a clip: give its frames, gradbox.frames({str(sources)!r})")
    one = isinstance(sources, ImageFile | Image.Image) or callable(sources)
    one = one or (isinstance(sources, np.ndarray) and sources.ndim < 4)
    return one, [sources] if one else sources


class _Numbered(Sample):
    """An image that came without an id: its file may lie anywhere, so its path is none."""


def _sample(number: int, source: ImageSource | Sample) -> Sample:
    if isinstance(source, Sample):
        return source
    return _Numbered(image_id=str(number), source=source)


def _named(found: Found, sample: Sample) -> Found:
    """What was found in a file that came without an id, under its path."""
    if not isinstance(sample, _Numbered) or not isinstance(sample.source, ImageFile):
        return found
    path = str(sample.source)
    return found.of(path) if isinstance(found, ImageError) else replace(found, image_id=path)


def plan_of(
    samples: Iterable[Sample],
    classifier: Classifier,
    method: ReadyMethod,
    labels: Sequence[str],
    selection: Selection | None,
    min_score: float | None,
) -> Plan:
    """What is to be localized; the arguments are those of `localize`.

    Raises:
        UsageError: the call is wrong.
    """
    if labels and selection is not None:
        raise UsageError(
            "--label names the classes and --top or --near-top selects them: leave out one"
        )
    named = chain.from_iterable(classifier.class_indices(text) for text in labels)
    indices = tuple(dict.fromkeys(named)) or None
    chosen = selection or classifier.usual_selection(method.class_from)
    if not classifier.has_classes and (indices or chosen.top):
        raise UsageError(
            f"the outputs of {classifier.name} are no classes (head = none): leave out which are "
            "located, and use a target of your own, target=layer_mean or 'eigencam'"
        )
    if classifier.class_names:  # else the first batch tells
        check_top(chosen, len(classifier.class_names))
    return Plan(
        samples=samples,
        classifier=classifier,
        method=method,
        labels_of=lambda _: indices,
        selection=chosen,
        labels=indices or (),
        min_score=min_score,
    )
