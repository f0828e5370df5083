"""What an engine has done, and by whom: shards, workers, and what they need to be elsewhere.

A worker makes whole shards. It may be this process, one of several, or one on another machine: it
builds the classifier from its text and refuses to work where the numbers could differ.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from gradbox.errors import UsageError
from gradbox.functions import load_file, loaded_files
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.results.facts import versions
from gradbox.runs.batch_size import Asked

PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds that a worker waits after a shard that it could not make, twice as long after each in a
row: meanwhile others take the next ones."""


@dataclass(frozen=True)
class Todo:
    """One shard, and the jobs that lack it."""

    number: int
    jobs: tuple[int, ...] = (0,)


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


@runtime_checkable
class Worker(Protocol):
    """Makes shards."""

    def steps(self, todo: Todo) -> Iterator[Step]:
        """Make one shard batch by batch; the last step says what was made."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a worker elsewhere comes to the same classifier: texts and values, never a module.

    `files` are those of the user's that are loaded before the pickles of a task can be read;
    `basis` is what `basis_of` gave for the call.
    """

    classifier: Mapping[str, Any]
    preprocessing: Preprocessing
    files: Sequence[str]
    basis: Mapping[str, Any]

    @classmethod
    def of(cls, classifier: Classifier, basis: Mapping[str, Any]) -> "Setup":
        """The setup for a classifier of this process.

        Raises:
            UsageError: it was made in Python.
        """
        if classifier.loading is None:
            raise UsageError(
                f"{classifier.name} was made in Python, and a process elsewhere builds it from "
                "its text: take it from load_classifier, or stay in this process"
            )
        return cls(
            classifier=dict(classifier.loading),
            preprocessing=classifier.preprocessing,
            files=loaded_files(),
            basis=basis,
        )

    def load(self) -> Classifier:
        """The classifier, in a process of its own, or on another machine.

        Raises:
            UsageError: it has other weights, versions or threads than the call was begun with.
        """
        torch.set_num_threads(self.basis["threads"])
        for file in self.files:
            load_file(Path(file))
        loaded = load_classifier(**self.classifier)
        classifier = replace(loaded, preprocessing=self.preprocessing)
        check_basis(self.basis, basis_of(classifier, self.basis["batch_size"]))
        return classifier


@runtime_checkable
class Task(Protocol):
    """What a worker elsewhere is made of."""

    @property
    def setup(self) -> Setup:
        """How it comes to the classifier."""
        ...

    def worker(self) -> Worker:
        """The worker.

        Raises:
            UsageError: it would give other numbers than the call was begun with.
        """
        ...


class Elsewhere:
    """A worker in a process of its own: nothing that is wrong there is an exception of it."""

    def __init__(self, task: Task) -> None:
        self._worker: Worker | None = None
        self._refused = ""
        self._pause = PAUSE
        try:
            self._worker = task.worker()
        except (OSError, UsageError) as error:
            self._refused = str(error)

    def make(self, todo: Todo) -> Step:
        """A shard, or in one line why it could not be made here."""
        try:
            if self._worker is None:
                raise UsageError(self._refused)
            steps = list(self._worker.steps(todo))
        except (OSError, UsageError) as error:
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return Step(0, Made(number=todo.number, error=str(error)))
        self._pause = PAUSE
        return Step(sum(map(len, steps)), steps[-1].made)


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
