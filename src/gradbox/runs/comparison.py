"""`compare`: several methods, and ways to a box, on the same images, in one table."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from gradbox.datasets import Dataset
from gradbox.errors import UsageError, expect
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.proposals import Proposals
from gradbox.exports import check_formats
from gradbox.files import hash_bytes, write_json
from gradbox.grammar import Spec
from gradbox.localization import ClassFrom, Sample
from gradbox.methods import METHODS, check_min_score, is_auto, ready_maps, to_estimator
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.reports.report import write_report
from gradbox.results.facts import read_facts
from gradbox.results.failures import KEPT
from gradbox.results.opening import open_run
from gradbox.results.sharded import SHARD
from gradbox.runs.evaluation import Evaluation, Part, Protocol, prepare
from gradbox.runs.execution import Job, Report, Running, finish, run
from gradbox.runs.fitting import fit
from gradbox.runs.gallery import gallery
from gradbox.runs.oddities import file_hashes, without_twins
from gradbox.runs.plan import settled
from gradbox.runs.ranking import Run, rank
from gradbox.specs import as_typed, canonical, part_of
from gradbox.stores import open_store


@dataclass(frozen=True, eq=False)
class MethodAndBox:
    """One run of a comparison, each half as text or value; without a box the method's usual one."""

    method: Any
    box: Any = None

    @classmethod
    def of(cls, given: Any) -> "MethodAndBox":
        """From 'METHOD | BOX' or 'METHOD', a method as a value, or a pair of a method and a box."""
        if isinstance(given, tuple):
            return cls(*given)
        if not isinstance(given, str):
            return cls(given)
        method, _, box = (half.strip() for half in given.partition("|"))
        return cls(method, box or None)

    @property
    def name(self) -> str:
        """What tables call it: one blank on each side of the bar."""
        halves = [as_typed(self.method, canonical(self.method, METHODS))]
        if not is_auto(self.box):
            halves.append(as_typed(self.box, canonical(self.box, ESTIMATORS)))
        return " | ".join(halves)

    @property
    def is_to_fit(self) -> bool:
        """Whether the box is to be learned first."""
        return not is_auto(self.box) and to_estimator(self.box).is_to_fit


def compare(
    dataset: Dataset,
    classifiers: Sequence[Classifier],
    out: Path,
    *,
    runs: Sequence[Any],
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    strict: bool = True,
    min_score: float | None = None,
    proposals: int | None = None,
    running: Running | None = None,
) -> Report:
    """Run every method and box of `runs` with every classifier and score all on the same images.

    A run is a text 'METHOD | BOX' or 'METHOD', a method as a value, or a pair (method, box), each
    as text or value. Each keeps the best `proposals` of each image where they are asked for.

    Each run has a folder like `evaluate`'s below `out`; heat maps are made once for all boxes of a
    method. `compare.json` and `report.html` hold the table, best first, with the constant boxes
    and each row's difference to the first. A box that is to be learned is fitted on the other parts
    of the split. An image that failed in one run is scored in none. Boxes with a score below
    `min_score` are left out of every run, see `localize`.

    Raises:
        UsageError: the call is wrong, or a box is to be learned and there is no split.
    """
    started = perf_counter()
    part = part or Part()
    running = running or Running()
    protocol = Protocol(
        dataset=dataset,
        part=part,
        class_from=class_from,
        strict=strict,
        min_score=min_score,
        masks=running.masks,
        proposals=proposals,
    )
    running = protocol.run_by(running)
    asked = [MethodAndBox.of(given) for given in runs]
    _check(asked, protocol, classifiers)
    classifiers = [settled(one, lambda: protocol.selected) for one in classifiers]
    check_formats(running.formats, lambda: (s.image_id for s in protocol.selected if len(s.boxes)))
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
        "min_score": min_score,
        "proposals": proposals,
    }
    typed = [as_typed(given, one.name) for given, one in zip(runs, asked, strict=True)]
    with ExitStack() as stack:
        folder = stack.enter_context(
            open_run(
                out,
                call,
                {"runs": typed},
                overwrite=running.overwrite,
                usual_shard=None if open_store(out).is_local else SHARD,
            )
        )
        ran: list[Run] = []
        boxed = _boxed(protocol) if any(one.is_to_fit for one in asked) else None
        for classifier, prefix in zip(classifiers, _prefixes(classifiers), strict=True):
            evaluations = {
                prefix + one.name: _prepared(protocol, classifier, out, one, boxed, running)
                for one in asked
            }
            ran += _run(evaluations, out, running, stack)
        ranking = rank(ran, running.track)
        table = ranking.table()
        folder.finish(seconds={"total": perf_counter() - started}, asked=running.asked)
        first = ranking.rows[0]
        with folder.writing() as path:
            write_json(path / "compare.json", table)
            write_report(
                path / "report.html",
                title=f"{len(ran)} runs on {dataset.spec}",
                runs={row.run.name: row.metrics for row in ranking.rows},
                context=ranking.context,
                cases=gallery(first.run.evaluation, first.scores, ran[0].folder),
                failures=ranking.failures,
                facts=folder.facts,
            )
    gone = list(first.run.folder.gone)
    return Report(
        folder=out,
        n_images=len(first.run.evaluation.samples),
        failures=ranking.failures,
        n_gone=len(gone),
        gone=tuple(gone[:KEPT]),
        metrics=table,
    )


def _prefixes(classifiers: Sequence[Classifier]) -> list[str]:
    """What tells the runs of several models apart: a card's short name where no other has it."""
    names = [classifier.name for classifier in classifiers]
    stems = [Path(name).stem if name.endswith(".toml") else name for name in names]
    told_apart = stems if len(set(stems)) == len(stems) else names
    return [f"{name}: " if len(names) > 1 else "" for name in told_apart]


def _check(
    runs: Sequence[MethodAndBox], protocol: Protocol, classifiers: Sequence[Classifier]
) -> None:
    """Refuse what can be refused before anything has been computed."""
    expect(classifiers, Sequence, "give a list, as in [classifier]")
    for classifier in classifiers:
        check_classifier(classifier)
    if not runs:
        raise UsageError("nothing to compare: give --run 'sensitivity | mass' once or more")
    models = [classifier.name for classifier in classifiers]
    if twice := [name for name in models if models.count(name) > 1]:
        raise UsageError(f"--model {twice[0]} is given twice: leave one out")
    names = [one.name for one in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"--run {twice[0]!r} is given twice: leave one out")
    if protocol.proposals is not None:
        Proposals(count=protocol.proposals)
    for one in runs:
        check_min_score(protocol.min_score, one.method, one.box)
        for classifier in classifiers:
            if one.is_to_fit:
                ready_maps(one.method, classifier, one.box)
            else:
                protocol.ready(one.method, one.box, classifier)
        if one.is_to_fit and len(protocol.part.shares) < 2:
            raise UsageError(
                f"--run {one.name!r} is to be learned from boxes, and there are none apart from "
                "those that are scored: give --split 0.5/0.5, or a fitted one, as in 'ridge(FILE)'"
            )


@dataclass(frozen=True)
class _Boxed:
    """The images that boxes are learned from, and a hash of their files, boxes and classes."""

    samples: Sequence[Sample]
    truth: str


def _boxed(protocol: Protocol) -> _Boxed:
    samples = without_twins(protocol.others, protocol.selected)
    digest = sha256(b"[")
    for number, one in enumerate(samples):
        hashed = next((of_file for _, of_file in file_hashes([one])), None)
        known = json.dumps([one.image_id, hashed, one.boxes.tolist(), one.labels, one.label])
        digest.update(f"{', ' if number else ''}{known}".encode())
    digest.update(b"]")
    return _Boxed(samples, digest.hexdigest())


def _prepared(
    protocol: Protocol,
    classifier: Classifier,
    out: Path,
    one: MethodAndBox,
    boxed: _Boxed | None,
    running: Running,
) -> Evaluation:
    """A run made ready; a box that is to be learned is fitted first, if it is not there yet."""
    box = one.box
    if boxed is not None and one.is_to_fit:
        if not open_store(out).is_local:
            raise UsageError(
                f"--run {one.name!r} is to be learned, into a file on this machine: give --out a "
                "folder here, or fit it first, as in 'ridge(FILE)'"
            )
        file = out / "boxes" / f"{_slug(classifier.name, one.name)}.safetensors"
        if running.overwrite or not _is_fitted_on(file, boxed.truth):
            fit(
                replace(protocol.dataset, samples=boxed.samples),
                classifier,
                file,
                box=box,
                method=one.method,
                class_from=protocol.class_from,
                running=replace(running, overwrite=True),
            )
            write_json(file.with_suffix(".json"), {"truth": boxed.truth})
        kind = canonical(part_of(box, ESTIMATORS), ESTIMATORS).partition("(")[0]
        box = str(Spec(kind, (file.as_posix(),), {}))
    return prepare(protocol, protocol.ready(one.method, box, classifier), classifier)


def _is_fitted_on(file: Path, truth: str) -> bool:
    """Whether a fitted box is there, and the images and boxes are those that it has seen."""
    try:
        known = json.loads(file.with_suffix(".json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return file.exists() and bool(known == {"truth": truth})


def _run(
    evaluations: Mapping[str, Evaluation], out: Path, running: Running, stack: ExitStack
) -> list[Run]:
    """Run the evaluations of one classifier side by side, each into its folder, held in `stack`."""
    jobs: list[Job] = []
    runs: list[Run] = []
    for name, evaluation in evaluations.items():
        plan, maps = evaluation.plan, None
        if running.save_maps is not None:
            maps = running.save_maps / _slug(plan.classifier.name, plan.method.text)
        place = out / _slug(plan.classifier.name, name)
        refitted = _box_hash(place) != plan.about["box_hash"]
        folder = stack.enter_context(
            evaluation.open(place, replace(running, overwrite=running.overwrite or refitted))
        )
        is_first = maps not in [run.maps for run in runs]
        jobs.append(Job(folder=folder, plan=plan, save_maps=maps if is_first else None))
        runs.append(Run(name=name, evaluation=evaluation, folder=folder, maps=maps))
    dataset = evaluation.protocol.dataset.spec
    ran = run(jobs, running, with_truth=True, dataset=dataset)
    for one, seconds in zip(runs, ran, strict=True):
        finish(one.folder, one.evaluation.plan, replace(running, save_maps=one.maps), seconds)
    return runs


def _box_hash(place: Path) -> str | None:
    """The hash of the learned box that the run in this folder was made with."""
    try:
        known: str | None = read_facts(open_store(place))["call"]["box_hash"]
    except (UsageError, KeyError, TypeError):
        return None
    return known


def _slug(model: str, text: str) -> str:
    """A short folder name that differs wherever the model or the text does."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"{words[:48]}-{hash_bytes(f'{model} {text}'.encode())[:6]}"
