"""Who makes the shards of a run: this process, several of this machine, or a cluster."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from threading import Thread
from typing import Literal, Protocol, runtime_checkable

import torch

from gradbox.errors import UsageError
from gradbox.images.batches import cores
from gradbox.models.classifier import Classifier
from gradbox.runs.errands import Elsewhere, Step, Task, Todo, Worker

SMALL = 5_000_000
"""Parameters up to which a network is small: several processes are faster than its threads."""


_MOMENT = 0.5
"""Seconds in which a Ctrl-C that has ended the workers is heard here, too, on a busy machine."""


@runtime_checkable
class Engine(Protocol):
    """Makes shards, in any order and anywhere."""

    @property
    def threads(self) -> int | None:
        """The threads of each worker where somebody says."""
        ...

    @property
    def usual_threads(self) -> int | None:
        """Those where nobody says and the run is new; None for those of this process."""
        ...

    @property
    def needs_shards(self) -> bool:
        """Whether it can make nothing but shards."""
        ...

    def sized(self, classifier: Classifier, shards: int) -> "Engine":
        """The engine for this network and so many shards."""
        ...

    def steps(self, todo: Sequence[Todo], here: Worker, task: Callable[[], Task]) -> Iterator[Step]:
        """What is done, as it is done; each shard comes once, made or with its error.

        Args:
            todo: the shards.
            here: a worker of this process.
            task: what a worker elsewhere needs.

        Raises:
            UsageError: no worker can be had.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Local:
    """This machine: `processes` that build the classifier each, or this one where it is 1.

    With "auto" a network of up to `SMALL` parameters on a CPU has a process for each core, where
    there are as many shards; others have this process, and its threads.
    """

    processes: int | Literal["auto"] = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("processes", self.processes), ("threads", self.threads)):
            if isinstance(value, int) and value < 1:
                raise UsageError(f"{name}={value}: 1 or more")

    @property
    def needs_shards(self) -> bool:
        """See `Engine`."""
        return self.processes != 1

    @property
    def usual_threads(self) -> int | None:
        """See `Engine`: the cores, shared out among the processes."""
        is_one = self.processes in (1, "auto")
        return None if is_one else max(1, cores() // int(self.processes))

    def sized(self, classifier: Classifier, shards: int) -> "Local":
        """See `Engine`."""
        if self.processes != "auto":
            return self
        parameters = sum(one.numel() for one in classifier.module.parameters())
        is_small = classifier.device.type == "cpu" and parameters <= SMALL
        return replace(self, processes=cores() if is_small and shards >= cores() else 1)

    def steps(self, todo: Sequence[Todo], here: Worker, task: Callable[[], Task]) -> Iterator[Step]:
        """See `Engine`."""
        if self.processes == 1 or len(todo) < 2:
            for one in todo:
                yield from here.steps(one)
            return
        assert isinstance(self.processes, int)
        context = multiprocessing.get_context("spawn")
        count = min(self.processes, len(todo))
        with ProcessPoolExecutor(count, context, _begin, (task(),)) as pool:
            try:
                yield from _as_done(pool, todo)
            finally:
                pool.shutdown(cancel_futures=True)


def _as_done(pool: ProcessPoolExecutor, todo: Sequence[Todo]) -> Iterator[Step]:
    """The steps of a pool as they come; a process that died leaves the rest to the next call."""
    try:
        running: set[Future[Step]] = {pool.submit(_make, one) for one in todo}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        time.sleep(_MOMENT)
        raise UsageError(
            "a process of --processes ended of itself, or could not start (out of memory?): what "
            "was made is kept, the same call goes on; give fewer"
        ) from error


_worker: Elsewhere | None = None


def _begin(task: Task) -> None:
    global _worker  # one a process
    Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the call to speak of
    torch.set_num_interop_threads(1)
    _worker = Elsewhere(task)


def _end_with_parent() -> None:
    """Leave nobody at work on a run whose call was killed, which a pool of itself does not see."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(todo: Todo) -> Step:
    assert _worker is not None
    return _worker.make(todo)
