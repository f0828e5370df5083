"""The shards of runs: what a worker needs to make them, and how it makes one."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from gradbox.datasets import load_dataset
from gradbox.files import hash_bytes
from gradbox.localization import Selection
from gradbox.methods import ready
from gradbox.models.classifier import Classifier
from gradbox.reports.drawing import picture_file
from gradbox.results.heatmaps import MapStore, has_maps_from, join_maps
from gradbox.results.inputs import Input
from gradbox.results.listing import Listed
from gradbox.results.sharded import ShardedRun, open_sharded
from gradbox.runs.batch_size import Asked, BatchSize
from gradbox.runs.errands import Made, Setup, Step, Todo
from gradbox.runs.plan import Chunk, Plan, chunks
from gradbox.runs.writing import PICTURES, Writer


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A plan without its images and its classifier."""

    method: Any
    box: Any
    masks: bool
    proposals: int | None
    selection: Selection
    labels: tuple[int, ...]
    min_score: float | None

    @classmethod
    def of(cls, plan: Plan) -> "Recipe":
        """What the plan was made of."""
        chosen = plan.method
        return cls(
            method=chosen.method,
            box=chosen.box,
            masks=chosen.outlines is not None,
            proposals=chosen.proposals,
            selection=plan.selection,
            labels=plan.labels,
            min_score=plan.min_score,
        )

    def plan(self, classifier: Classifier) -> Plan:
        """The plan on a classifier."""
        return Plan(
            samples=(),
            classifier=classifier,
            method=ready(
                self.method, self.box, classifier, masks=self.masks, proposals=self.proposals
            ),
            labels_of=lambda _: None,
            selection=self.selection,
            labels=self.labels,
            min_score=self.min_score,
        )


@dataclass(frozen=True, kw_only=True)
class How:
    """How each shard is made: nothing here changes a number, but `batch_size` in its last digit."""

    batch_size: Asked
    workers: int
    masks: bool = False
    pictures: bool = False
    with_truth: bool = False
    maps: tuple[Path | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunTask:
    """See `Task`: `recipes` are pickled `Recipe`s, `places` are where the runs are.

    `dataset` is the text of the data set of images that are no files.
    """

    setup: Setup
    recipes: bytes
    places: Sequence[str]
    dataset: str | None
    how: How

    def worker(self) -> "RunWorker":
        """See `Task`."""
        classifier = self.setup.load()
        recipes = pickle.loads(self.recipes)  # noqa: S301  # of the call that began this process
        samples = load_dataset(self.dataset).samples if self.dataset else ()
        runs = [open_sharded(place, samples) for place in self.places]
        return RunWorker([recipe.plan(classifier) for recipe in recipes], runs, self.how)


class RunWorker:
    """Makes shards of several runs over the same images."""

    def __init__(self, plans: Sequence[Plan], runs: Sequence[ShardedRun], how: How) -> None:
        self._plans = plans
        self._runs = runs
        self._how = how

    def lacks(self, job: int, number: int) -> bool:
        """Whether a run lacks a shard, or the maps or pictures that are asked for of it."""
        run, folder = self._runs[job], self._maps_of(job)
        if not run.holds(number):
            return True
        if folder is not None and not has_maps_from(folder, number * run.size):
            return True
        if not self._how.pictures:
            return False
        names = [line["image"] for line in run.lines(number) if "error" not in line]
        return not all(picture_file(run.path / PICTURES, name).exists() for name in names)

    def steps(self, todo: Todo) -> Iterator[Step]:
        """See `Worker`; what is there already is left as it is.

        Jobs whose shard has other images, as theirs grew in another order, come one by one.
        """
        lacking = [job for job in todo.jobs if self.lacks(job, todo.number)]
        listed = {job: self._runs[job].listed(todo.number) for job in lacking}
        seconds = dict.fromkeys(lacking, 0.0)
        hashes, images = [], 0
        size = BatchSize(self._how.batch_size, self._plans[0].classifier.device.type)

        def names(job: int) -> list[str]:
            return [one.sample.image_id for one in listed[job]]

        for _, group in groupby(lacking, key=names):
            jobs = {i: self._job(i, todo.number, listed[i]) for i in group}
            for chunk in self._chunks([*jobs.values()], size):
                for (i, job), found, took in zip(
                    jobs.items(), chunk.found, chunk.seconds, strict=True
                ):
                    job.writer.write(chunk.loaded, found)
                    seconds[i] += took
                images += len(chunk)
                yield Step(len(chunk))
            hashes += [hash_bytes(job.close(todo.number)) for job in jobs.values()]
        made = Made(
            number=todo.number,
            seconds=seconds,
            images=images,
            sha256="+".join(hashes) or None,
            halved=size.is_halved,
        )
        yield Step(0, made)

    def _job(self, i: int, number: int, listed: Sequence[Listed]) -> "_Job":
        plan, run = self._plans[i], self._runs[i]
        folder = self._maps_of(i)
        if folder is None:
            return _Job(plan, run, listed, self._how, None)
        first = number * run.size
        return _Job(plan, run, listed, self._how, join_maps(folder, maps_about(plan, run), first))

    def _maps_of(self, job: int) -> Path | None:
        return self._how.maps[job] if self._how.maps else None

    def _chunks(self, jobs: Sequence["_Job"], size: BatchSize) -> Iterator[Chunk]:
        return chunks(
            [job.plan for job in jobs],
            batch_size=size,
            workers=self._how.workers,
            details=any(job.writer.needs_details for job in jobs),
            originals=self._how.pictures,
        )


class _Job:
    """One run's part in a shard that is being made."""

    def __init__(
        self,
        plan: Plan,
        run: ShardedRun,
        listed: Sequence[Listed],
        how: How,
        maps: MapStore | None,
    ) -> None:
        inputs = {one.sample.image_id: one.input for one in listed}
        self.plan = replace(
            plan,
            samples=[one.sample for one in listed],
            labels_of=lambda sample: inputs[sample.image_id].asked,
        )
        self._run = run
        self._lines: list[tuple[Input, Mapping[str, Any]]] = []
        self.writer = Writer(
            sink=self,
            inputs=inputs,
            maps=maps,
            masks=how.masks,
            pictures=run.path / PICTURES if how.pictures else None,
            with_truth=how.with_truth,
        )

    def has(self, _: str) -> bool:
        """See `Sink`: a shard is made whole."""
        return False

    def append(self, lines: Sequence[tuple[Input, Mapping[str, Any]]]) -> None:
        """See `Sink`."""
        self._lines += lines

    def close(self, number: int) -> bytes:
        """Write the part, unless it is there: it holds, whatever came of looking once more."""
        return b"" if self._run.holds(number) else self._run.write(number, self._lines)


def maps_about(plan: Plan, run: ShardedRun) -> dict[str, Any]:
    """What a store of the maps of a run says: its parts are numbered by the images of this run."""
    return {**plan.maps_about, "run": run.store.url, "shard": run.size}
