"""Running plans into runs in shards, by whichever engine."""

import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from gradbox.errors import GradboxWarning, UsageError
from gradbox.progress import Track
from gradbox.results.sharded import ShardedRun
from gradbox.runs.engines import Engine
from gradbox.runs.errands import Made, Setup, Step, Task, Todo, Worker, basis_of, differences
from gradbox.runs.plan import Plan
from gradbox.runs.shards import How, Recipe, RunTask, RunWorker

_HOPELESS, _WITHOUT_ANY = 10, 3
"""Shards in a row that could not be made after which a call ends, and where none was made yet."""


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
    here = RunWorker(plans, runs, how)
    todo = _todo(here, runs)
    seconds: list[dict[str, float]] = [{"method": 0.0, "images": 0} for _ in runs]
    if not todo:
        return seconds
    classifier = plans[0].classifier
    engine = engine.sized(classifier, len(todo))
    set_threads(engine, begun_with=runs[0].facts.get("basis", {}).get("threads"))
    basis = basis_of(classifier, how.batch_size)
    for run in runs:
        _begin(run, basis)

    def task() -> RunTask:
        _check_sendable(plans)
        return RunTask(
            setup=Setup.of(classifier, basis),
            recipes=packed([Recipe.of(plan) for plan in plans]),
            places=[run.store.url for run in runs],
            dataset=dataset,
            how=how,
        )

    count = sum(runs[one.jobs[0]].listing.count(one.number) for one in todo)
    for made in made_by(engine, todo, here, task, lambda steps: track(steps, count, "localizing")):
        if made.halved:
            for run in runs:
                _mix(run, ["out of memory: some batches were halved"])
        for i, took in made.seconds.items():
            seconds[i]["method"] += took
            seconds[i]["images"] += made.images
    return seconds


def set_threads(engine: Engine, *, begun_with: int | None = None) -> None:
    """Take the threads that somebody said, that the run was begun with, or that are usual."""
    threads = engine.threads or begun_with or engine.usual_threads
    if threads is not None:
        torch.set_num_threads(threads)


def made_by(
    engine: Engine,
    todo: Sequence[Todo],
    here: Worker,
    task: Callable[[], Task],
    tracked: Callable[[Iterator[Step]], Iterable[Step]],
) -> Iterator[Made]:
    """The shards that an engine makes, as they come.

    Raises:
        UsageError: at the end, some shard could not be made; soon, where none can.
    """
    errors: dict[int, str] = {}
    count = in_a_row = 0
    for step in tracked(engine.steps(todo, here, task)):
        if step.made is None:
            continue
        if step.made.error is None:
            count, in_a_row = count + 1, 0
            yield step.made
            continue
        errors[step.made.number] = step.made.error
        in_a_row += 1
        if in_a_row == (_HOPELESS if count else _WITHOUT_ANY):
            break
    if errors:
        number = min(errors)
        raise UsageError(
            f"{len(todo) - count} of {len(todo)} shards could not be made, {number} since "
            f"{errors[number]}; what was made is kept, and the same call makes the rest"
        )


def _todo(here: RunWorker, runs: Sequence[ShardedRun]) -> list[Todo]:
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


def _check_sendable(plans: Sequence[Plan]) -> None:
    """Refuse a method that a process elsewhere cannot build."""
    for plan in plans:
        if not plan.method.is_comparable:
            raise UsageError(
                f"{plan.method.text} is an object that a process elsewhere cannot build: give a "
                "dataclass, or stay in this process"
            )


def packed(value: Any) -> bytes:
    """What a worker elsewhere is told, pickled.

    Raises:
        UsageError: a value of the user's that cannot be.
    """
    try:
        return pickle.dumps(value)
    except Exception as error:  # of any kind, of whatever a value of the user's holds
        raise UsageError(
            f"the method cannot be sent to another process ({error}): stay in this process"
        ) from error
