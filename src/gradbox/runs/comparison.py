"""`compare`: several methods, and ways to a box, on the same images, in one table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from gradbox.models.classifier import Classifier
from gradbox.datasets import Dataset
from gradbox.errors import UsageError
from gradbox.estimators.untrained import ESTIMATORS
from gradbox.runs.execution import Lane, Report, Running, finish, run_together
from gradbox.files import hash_bytes, write_json
from gradbox.runs.gallery import gallery
from gradbox.attribution.maps import MapLocalizer, MapMaker
from gradbox.methods import ClassFrom, build_maps, build_method
from gradbox.pipeline import fit
from gradbox.estimators.learned import Learned
from gradbox.reports.report import write_report
from gradbox.results.run_folder import open_run
from gradbox.specs import Spec, build
from gradbox.runs.ranking import Entry, stand
from gradbox.runs.evaluation import Part, Terms, Trial, prepare, without_twins


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
    part = part or Part()
    terms = Terms(dataset=dataset, part=part, class_from=class_from, strict=strict)
    running = terms.run_by(running or Running())
    _check(runs, part, classifiers)
    call = {
        "command": "compare",
        "dataset": dataset.spec,
        "models": {
            classifier.name: {
                "weights_hash": classifier.weights_hash,
                "dtype": str(classifier.dtype).removeprefix("torch."),
                "preprocessing": str(classifier.preprocessing),
                "layer": classifier.layer,
            }
            for classifier in classifiers
        },
        **part.about,
        "class_from": class_from,
        "strict": strict,
    }
    folder = open_run(out, call, {"runs": list(runs)}, overwrite=running.overwrite)
    entries: list[Entry] = []
    for classifier, prefix in zip(classifiers, _prefixes(classifiers), strict=True):
        trials = {
            prefix + text: _trial(terms, classifier, out, text, running)
            for text in map(_tidy, runs)
        }
        entries += _run(trials, out, running)
    standings = stand(entries, running.track)
    table = standings.table()
    write_json(out / "compare.json", table)
    folder.finish(seconds={"total": perf_counter() - started})
    first = standings.results[0]
    write_report(
        out / "report.html",
        title=f"{len(entries)} runs on {dataset.spec}",
        runs={one.entry.name: one.metrics for one in standings.results},
        context=standings.context,
        cases=gallery(first.entry.trial, first.scores),
        failures=standings.failures,
        facts=folder.facts,
    )
    return Report(
        folder=out,
        n_images=len(first.entry.trial.samples),
        failures=standings.failures,
        metrics=table,
    )


def _tidy(text: str) -> str:
    """A run as tables write it: one blank on each side of the bar."""
    return " | ".join(half.strip() for half in text.split("|"))


def _halves(text: str) -> tuple[str, str | None]:
    method, bar, box = text.partition(" | ")
    return method, box if bar else None


def _prefixes(classifiers: Sequence[Classifier]) -> list[str]:
    """What tells the runs of several models apart: a card's short name where no other has it."""
    names = [classifier.name for classifier in classifiers]
    stems = [Path(name).stem if name.endswith(".toml") else name for name in names]
    told_apart = stems if len(set(stems)) == len(stems) else names
    return [f"{name}: " if len(names) > 1 else "" for name in told_apart]


def _check(runs: Sequence[str], part: Part, classifiers: Sequence[Classifier]) -> None:
    """Refuse what can be refused before anything has been computed."""
    if not runs:
        raise UsageError("nothing to compare: give --run 'sensitivity | mass' once or more")
    models = [classifier.name for classifier in classifiers]
    if twice := [name for name in models if models.count(name) > 1]:
        raise UsageError(f"--model {twice[0]} is given twice: leave one out")
    tidy = [_tidy(text) for text in runs]
    if twice := [text for text in tidy if tidy.count(text) > 1]:
        raise UsageError(f"--run {twice[0]!r} is given twice: leave one out")
    for text in tidy:
        method, box = _halves(text)
        to_fit = _is_unfitted(box)
        for classifier in classifiers:
            if to_fit:
                build_maps(method, classifier)
            else:
                build_method(method, box, classifier)
        if to_fit and len(part.shares) < 2:
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
        box = str(Spec(name, (file.as_posix(),), {}))
    return prepare(terms, build_method(method, box, classifier), classifier)


def _run(trials: Mapping[str, Trial], out: Path, running: Running) -> list[Entry]:
    """Run the trials of one classifier side by side, each into its folder."""
    makers: dict[str, MapMaker] = {}
    lanes: list[Lane] = []
    entries: list[Entry] = []
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
        entries.append(Entry(name=name, trial=trial, folder=folder, maps=maps))
    for lane, seconds in zip(lanes, run_together(lanes, running, with_truth=True), strict=True):
        finish(lane.folder, lane.plan, running, seconds)
    return entries


def _slug(model: str, text: str) -> str:
    """A short folder name that differs wherever the model or the text does."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"{words[:48]}-{hash_bytes(f'{model} {text}'.encode())[:6]}"
