"""Running plans into runs in shards, by whichever engine."""

import pickle
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gradbox.errors import GradboxWarning, UsageError
from gradbox.functions import loaded_files
from gradbox.progress import Track
from gradbox.results.sharded import ShardedRun
from gradbox.runs.engines import Engine
from gradbox.runs.plan import Plan
from gradbox.runs.shards import How, Recipe, Task, Todo, Worker, basis_of, differences


def run_shards(
    plans: Sequence[Plan],
    runs: Sequence[ShardedRun],
    engine: Engine,
    how: How,
    *,
    verify: bool,
    retry: bool,
    dataset: str | None,
    track: Track,
) -> list[dict[str, float]]:
    """Make the shards that the runs lack.

    Returns:
        The seconds of the method and the number of images run, of each plan.

    Raises:
        UsageError: some shard could not be made; what was made is kept.
    """
    for plan, run in zip(plans, runs, strict=True):
        run.samples = plan.samples if isinstance(plan.samples, Sequence) else ()
        run.check(plan.samples, plan.labels_of, verify=verify, retry=retry)
    here = Worker(plans, runs, how)
    todo = _todo(here, runs)
    seconds: list[dict[str, float]] = [{"method": 0.0, "images": 0} for _ in runs]
    if not todo:
        return seconds
    classifier = plans[0].classifier
    engine = engine.sized(classifier, len(todo))
    begun_with = runs[0].facts.get("basis", {}).get("threads")
    threads = engine.threads or begun_with or engine.usual_threads
    if threads is not None:
        torch.set_num_threads(threads)
    basis = basis_of(classifier, how.batch_size)
    for run in runs:
        _begin(run, basis)

    def task() -> Task:
        return Task(
            classifier=_loading(plans[0]),
            preprocessing=classifier.preprocessing,
            files=loaded_files(),
            recipes=_packed([Recipe.of(plan) for plan in plans]),
            places=[run.store.url for run in runs],
            dataset=dataset,
            basis=basis,
            how=how,
        )

    count = sum(runs[one.jobs[0]].listing.count(one.number) for one in todo)
    errors: dict[int, str] = {}
    steps = engine.steps(todo, here, task)
    for step in track(steps, count, "localizing"):
        if step.made is None:
            continue
        if step.made.error is not None:
            errors[step.made.number] = step.made.error
        if step.made.halved:
            for run in runs:
                _mix(run, ["out of memory: some batches were halved"])
        for i, took in step.made.seconds.items():
            seconds[i]["method"] += took
            seconds[i]["images"] += step.made.images
    if errors:
        number = min(errors)
        raise UsageError(
            f"{len(errors)} of {len(todo)} shards could not be made, {number} since "
            f"{errors[number]}; what was made is kept, and the same call makes the rest"
        )
    return seconds


def _todo(here: Worker, runs: Sequence[ShardedRun]) -> list[Todo]:
    """The shards that are lacking, each with the runs that lack it."""
    found = []
    for number in range(max(run.listing.pieces for run in runs)):
        shown = (job for job, run in enumerate(runs) if number < run.listing.pieces)
        if jobs := tuple(job for job in shown if here.lacks(job, number)):
            found.append(Todo(number, jobs))
    return found


def _begin(run: ShardedRun, basis: dict[str, Any]) -> None:
    """Let `run.json` say what equal bytes rest on, and where parts were made otherwise before."""
    known = run.facts
    changed = differences(known["basis"], basis) if "basis" in known and run.numbers else []
    run.note({"basis": basis})
    _mix(run, changed)
    if changed := run.run["mixed"]:
        warnings.warn(
            f"{run.store.url}: parts may differ in their last digits from those of one run "
            f"({'; '.join(changed)})",
            GradboxWarning,
            stacklevel=3,
        )


def _mix(run: ShardedRun, more: Sequence[str]) -> None:
    """Let `run.json` say what else its parts were not all made with."""
    mixed = [*dict.fromkeys([*run.run.get("mixed", ()), *more])]
    why = [*mixed, *_unsure(run.run["basis"])]
    run.note({"mixed": mixed, "same_numbers": not why, "why_not": why})
    run.save()


def _unsure(basis: Mapping[str, Any]) -> list[str]:
    """Why another run of the call may have other last digits."""
    found = []
    if basis["device"] != "cpu":
        found.append(f"device {basis['device']}: its sums have no fixed order")
    if basis["batch_size"] == "auto":
        found.append("batch_size auto: batches depend on time")
    return found


def _loading(plan: Plan) -> dict[str, Any]:
    """How a worker elsewhere loads the classifier."""
    given = plan.classifier.loading
    if given is None:
        raise UsageError(
            f"{plan.classifier.name} was made in Python, and a process elsewhere builds it from "
            "its text: take it from load_classifier, or stay in this process"
        )
    if not plan.method.is_comparable:
        raise UsageError(
            f"{plan.method.text} is an object that a process elsewhere cannot build: give a "
            "dataclass, or stay in this process"
        )
    return dict(given)


def _packed(recipes: Sequence[Recipe]) -> bytes:
    try:
        return pickle.dumps(recipes)
    except Exception as error:  # of any kind, of whatever a value of the user's holds
        raise UsageError(
            f"the method cannot be sent to another process ({error}): stay in this process"
        ) from error
