"""`compare`: several methods, and ways to a box, on the same images, in one table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gradbox.bootstrap import mcnemar, paired_difference
from gradbox.classifier import Classifier
from gradbox.datasets import Dataset
from gradbox.errors import ImageError, UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.execution import Lane, Report, Running, finish, run_together
from gradbox.files import hash_bytes, write_json
from gradbox.gallery import gallery
from gradbox.localizers import MapLocalizer, MapMaker
from gradbox.mapstore import open_maps
from gradbox.methods import ClassFrom, build_method
from gradbox.metrics import Scores, is_hit
from gradbox.pipeline import fit
from gradbox.regressor import Learned
from gradbox.report import write_report
from gradbox.results import Found, RunFolder, open_run, read_predictions
from gradbox.scoring import HEADLINE, score_constant
from gradbox.specs import build
from gradbox.trial import Part, Terms, Trial, prepare, without_twins
from gradbox.wsol_maps import wsol_scores


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    """One run: its trial, its folder, and where its heat maps are kept, if they are."""

    name: str
    trial: Trial
    folder: RunFolder
    maps: Path | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Result:
    """What came of one run."""

    entry: _Entry
    scores: Scores
    metrics: dict[str, Any]


def compare(
    dataset: Dataset,
    classifiers: Sequence[Classifier],
    out: Path,
    *,
    runs: Sequence[str],
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    strict: bool = True,
    running: Running | None = None,
) -> Report:
    """Run every 'METHOD | BOX' of `runs` with every classifier and score all on the same images.

    Each run has a folder like `evaluate`'s below `out`; heat maps are made once for all boxes of a
    method. `compare.json` and `report.html` hold the table, best first, with the constant boxes
    and each row's difference to the first. A box that is to be learned is fitted on the other parts
    of the split. An image that failed in one run is scored in none.

    Raises:
        UsageError: the call is wrong, or a box is to be learned and there is no split.
    """
    started = perf_counter()
    running, part = running or Running(), part or Part()
    terms = Terms(dataset=dataset, part=part, class_from=class_from, strict=strict)
    _check(runs, part)
    call = {
        "command": "compare",
        "dataset": dataset.spec,
        "models": {
            classifier.name: {
                "weights_hash": classifier.weights_hash,
                "dtype": str(classifier.dtype).removeprefix("torch."),
                "preprocessing": str(classifier.preprocessing),
            }
            for classifier in classifiers
        },
        **part.about,
        "class_from": class_from,
        "strict": strict,
    }
    folder = open_run(out, call, {"runs": list(runs)}, overwrite=running.overwrite)
    entries: list[_Entry] = []
    for classifier in classifiers:
        prefix = f"{classifier.name}: " if len(classifiers) > 1 else ""
        trials = {
            prefix + text: _trial(terms, classifier, out, text, running)
            for text in map(_tidy, runs)
        }
        entries += _run(trials, out, running)
    found = {e.name: dict(read_predictions(e.folder.predictions)) for e in entries}
    failures = _failures(found.values())
    results = sorted(
        (_result(entry, found[entry.name], failures) for entry in entries),
        key=lambda result: (result.metrics["corloc"] or 0.0, result.metrics["mean_iou"] or 0.0),
        reverse=True,
    )
    first = results[0]
    if not first.scores.units:
        raise UsageError(f"nothing to compare: each image failed, as with {min(failures.items())}")
    context = _context(first, _without(found[first.entry.name], failures))
    context["wsol"] = _of_maps(entries, failures)
    results = [
        replace(one, metrics={**one.metrics, **_against(first.scores, one.scores, strict)})
        for one in results
    ]
    folder.finish(seconds={"total": perf_counter() - started})
    comparison = _table(results, context, failures)
    write_json(out / "compare.json", comparison)
    write_report(
        out / "report.html",
        title=f"{len(results)} runs on {dataset.spec}",
        runs={result.entry.name: result.metrics for result in results},
        context=context,
        cases=gallery(first.entry.trial, first.scores),
        failures=failures,
        facts=folder.facts,
    )
    n_images = len(first.entry.trial.samples)
    return Report(folder=out, n_images=n_images, failures=failures, metrics=comparison)


def _tidy(text: str) -> str:
    """A run as tables write it: one blank on each side of the bar."""
    return " | ".join(half.strip() for half in text.split("|"))


def _halves(text: str) -> tuple[str, str | None]:
    method, bar, box = text.partition(" | ")
    return method, box if bar else None


def _check(runs: Sequence[str], part: Part) -> None:
    """Refuse what can be refused before anything has been computed."""
    if not runs:
        raise UsageError("nothing to compare: give --run 'sensitivity | mass' once or more")
    tidy = [_tidy(text) for text in runs]
    if twice := [text for text in tidy if tidy.count(text) > 1]:
        raise UsageError(f"--run {twice[0]!r} is given twice: leave one out")
    for text in tidy:
        if _is_unfitted(_halves(text)[1]) and len(part.shares) < 2:
            raise UsageError(
                f"--run {text!r} is to be learned from boxes, and there are none apart from those "
                "that are scored: give --split 0.5/0.5, or a fitted one, as in 'ridge(FILE)'"
            )


def _is_unfitted(box: str | None) -> bool:
    options: Any = None if box is None else build(box, ESTIMATORS)
    return isinstance(options, Learned) and options.file is None


def _trial(terms: Terms, classifier: Classifier, out: Path, text: str, running: Running) -> Trial:
    """A run made ready; a box that is to be learned is fitted first, if it is not there yet."""
    method, box = _halves(text)
    if box is not None and _is_unfitted(box):
        file = out / "boxes" / f"{_slug(classifier.name, text)}.safetensors"
        if not file.exists() or running.overwrite:
            scored = terms.part.of(terms.dataset.samples)
            fit(
                replace(terms.dataset, samples=without_twins(terms.others, scored)),
                classifier,
                file,
                box=box,
                method=method,
                class_from=terms.class_from,
                running=replace(running, overwrite=True),
            )
        name = box.partition("(")[0]
        box = f'{name}("{file.as_posix()}")'
    return prepare(terms, build_method(method, box, classifier), classifier)


def _run(trials: Mapping[str, Trial], out: Path, running: Running) -> list[_Entry]:
    """Run the trials of one classifier side by side, each into its folder."""
    makers: dict[str, MapMaker] = {}
    lanes: list[Lane] = []
    entries: list[_Entry] = []
    for name, trial in trials.items():
        plan, maps = trial.plan, None
        localizer, method = plan.method.localizer, plan.method.method
        if isinstance(localizer, MapLocalizer):
            shared = replace(localizer, maker=makers.setdefault(method, localizer.maker))
            plan = replace(plan, method=replace(plan.method, localizer=shared))
            if running.save_maps is not None:
                maps = running.save_maps / _slug(plan.classifier.name, method)
        folder = trial.open(out / _slug(plan.classifier.name, name), overwrite=running.overwrite)
        is_first = maps not in [entry.maps for entry in entries]
        lanes.append(Lane(folder=folder, plan=plan, save_maps=maps if is_first else None))
        entries.append(_Entry(name=name, trial=trial, folder=folder, maps=maps))
    for lane, seconds in zip(lanes, run_together(lanes, running, with_truth=True), strict=True):
        finish(lane.folder, lane.plan, running, seconds)
    return entries


def _slug(model: str, text: str) -> str:
    """A short folder name that differs wherever the model or the text does."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"{words[:48]}-{hash_bytes(f'{model} {text}'.encode())[:6]}"


def _failures(found: Iterable[Mapping[str, Found]]) -> dict[str, str]:
    return {
        image_id: str(one)
        for of_run in found
        for image_id, one in of_run.items()
        if isinstance(one, ImageError)
    }


def _without(found: Mapping[str, Found], failures: Mapping[str, str]) -> dict[str, Found]:
    return {i: ImageError(failures[i]) if i in failures else one for i, one in found.items()}


def _result(entry: _Entry, found: Mapping[str, Found], failures: Mapping[str, str]) -> _Result:
    trial = entry.trial
    scores = trial.score(_without(found, failures))
    seconds = entry.folder.facts["seconds"]
    metrics = trial.metrics(scores, found)
    metrics["seconds_per_image"] = seconds["method"] / max(seconds["images"], 1)
    write_json(entry.folder.path / "metrics.json", metrics)
    return _Result(entry=entry, scores=scores, metrics=metrics)


def _of_maps(entries: Iterable[_Entry], failures: Mapping[str, str]) -> dict[str, Any]:
    """The scores of the saved maps by wsolevaluation's protocol, by method."""
    first_of: dict[Path, _Entry] = {}
    for entry in entries:
        if entry.maps is not None:
            first_of.setdefault(entry.maps, entry)
    scores = {}
    for maps, entry in first_of.items():
        if (maps / "maps.npy").exists():
            trial = entry.trial
            scores[entry.name.partition(" | ")[0]] = wsol_scores(
                open_maps(maps),
                [sample for sample in trial.samples if sample.image_id not in failures],
                {image_id: units[0].boxes for image_id, units in trial.units.items()},
                trial.plan.classifier.preprocessing.frame,
            )
    return scores


def _context(first: _Result, found: Mapping[str, Found]) -> dict[str, Any]:
    """The constant boxes with their differences to the first run, and the data's oddities."""
    trial = first.entry.trial
    context = trial.context(found, first.entry.folder.hashes)
    for row in context["baselines"].values():
        shares = (row["share_of_height"], row["share_of_width"])
        constant = score_constant(trial.units, found, shares)
        row |= _against(first.scores, constant, trial.terms.strict)
    return context


def _against(first: Scores, other: Scores, strict: bool) -> dict[str, Any]:
    """How much better than the first, with 95 % intervals, and McNemar's p-value for CorLoc."""
    if first is other or not first.units:
        return {}
    hits = [is_hit(scores.ious, strict=strict) for scores in (other, first)]
    pairs = {
        "corloc": [one.astype(np.float64) for one in hits],
        "mean_iou": [other.ious, first.ious],
    }
    difference = {}
    for name, (a, b) in pairs.items():
        spread = paired_difference(a, b, first.image_ids)
        difference[name] = [spread.mean, spread.low, spread.high]
    return {"difference": difference, "mcnemar": mcnemar(*hits)}


def _table(
    results: Sequence[_Result], context: Mapping[str, Any], failures: Mapping[str, str]
) -> dict[str, Any]:
    """What `compare.json` says."""
    kept = (*HEADLINE, "pointing_game", "supervision", "n_failed", "seconds_per_image")
    more = ("difference", "mcnemar")
    first = results[0].metrics
    return {
        "n_images": first["n_images"],
        "n_units": first["n_units"],
        "iou_threshold": first["iou_threshold"],
        "iou_strict": first["iou_strict"],
        "runs": [
            {
                "run": result.entry.name,
                "folder": result.entry.folder.path.name,
                "model": result.entry.trial.plan.classifier.name,
                "method": result.entry.trial.plan.method.method,
                "box": result.entry.trial.plan.method.box,
                "class_from": result.entry.trial.class_from,
                **{k: result.metrics[k] for k in (*kept, *more) if k in result.metrics},
            }
            for result in results
        ],
        **context,
        "failures": dict(failures),
    }
