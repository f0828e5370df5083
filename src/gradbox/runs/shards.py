"""The shards of runs: what a worker needs to make them, and how it makes one.

A worker makes whole shards. It may be this process, one of several, or one on another machine: it
builds the classifier from its text and refuses to work where the numbers could differ.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.files import hash_bytes
from gradbox.functions import load_file
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Selection
from gradbox.methods import ready
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.reports.drawing import picture_file
from gradbox.results.facts import versions
from gradbox.results.heatmaps import MapStore, has_maps_from, join_maps
from gradbox.results.inputs import Input
from gradbox.results.listing import Listed
from gradbox.results.sharded import ShardedRun, open_sharded
from gradbox.runs.batch_size import Asked, BatchSize
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
class Task:
    """What a worker elsewhere needs: texts and values, never a module.

    `files` are those of the user's that are loaded before `recipes`, pickled `Recipe`s, can be
    read; `places` are where the runs are, `dataset` the text of the data set of images that are no
    files; `basis` is what `basis_of` gave for the call.
    """

    classifier: Mapping[str, Any]
    preprocessing: Preprocessing
    files: Sequence[str]
    recipes: bytes
    places: Sequence[str]
    dataset: str | None
    basis: Mapping[str, Any]
    how: How


@dataclass(frozen=True)
class Todo:
    """One shard, and the jobs that lack it."""

    number: int
    jobs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of one shard: the seconds of each job's method, its images, the hash of its parts.

    `halved` says that there was no memory for some batch as it was, `error` in one line why
    nothing came of it.
    """

    number: int
    seconds: Mapping[int, float] = field(default_factory=dict)
    images: int = 0
    sha256: str | None = None
    halved: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Step:
    """So many images further, and the shard that is made with them, if one is."""

    images: int
    made: Made | None = None

    def __len__(self) -> int:
        return self.images


class Worker:
    """Makes shards of several runs over the same images."""

    def __init__(self, plans: Sequence[Plan], runs: Sequence[ShardedRun], how: How) -> None:
        self._plans = plans
        self._runs = runs
        self._how = how

    @classmethod
    def of(cls, task: Task) -> "Worker":
        """A worker in a process of its own, or on another machine.

        Raises:
            UsageError: it has other weights, versions or threads than the call was begun with.
        """
        torch.set_num_threads(task.basis["threads"])
        for file in task.files:
            load_file(Path(file))
        recipes = pickle.loads(task.recipes)  # noqa: S301  # of the call that began this process
        loaded = load_classifier(**task.classifier)
        classifier = replace(loaded, preprocessing=task.preprocessing)
        check_basis(task.basis, basis_of(classifier, task.how.batch_size))
        samples = load_dataset(task.dataset).samples if task.dataset else ()
        runs = [open_sharded(place, samples) for place in task.places]
        return cls([recipe.plan(classifier) for recipe in recipes], runs, task.how)

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

    def make(self, todo: Todo) -> Step:
        """Make one shard; what is there already is left as it is."""
        steps = list(self.steps(todo))
        return Step(sum(map(len, steps)), steps[-1].made)

    def steps(self, todo: Todo) -> Iterator[Step]:
        """Make one shard batch by batch; the last step says what was made.

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


def basis_of(classifier: Classifier, batch_size: Asked) -> dict[str, Any]:
    """What the last digit of a number rests on: equal ones give equal bytes."""
    return {
        "versions": versions(),
        "weights_hash": classifier.weights_hash,
        "device": classifier.device.type,
        "dtype": str(classifier.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two of them, each as `threads 1, then 2`."""
    flat = [{**one, **one["versions"]} for one in (before, now)]
    names = [name for name in {**flat[0], **flat[1]} if name != "versions"]
    return [
        f"{name} {flat[0].get(name)}, then {flat[1].get(name)}"
        for name in names
        if flat[0].get(name) != flat[1].get(name)
    ]


def check_basis(said: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse to work where numbers could differ from those of the call.

    Raises:
        UsageError: what differs.
    """
    if changed := differences(said, here):
        raise UsageError(
            f"this worker would give other numbers than run.json promises: {'; '.join(changed)}: "
            "install the same versions and weights on every machine"
        )
