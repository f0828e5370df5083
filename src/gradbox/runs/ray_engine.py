"""`--engine ray`: shards made by the workers of a Ray cluster, which only says who makes which."""

import logging
import os
import re
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from gradbox.errors import GradboxWarning, UsageError
from gradbox.models.classifier import Classifier
from gradbox.runs.errands import Elsewhere, Made, Step, Task, Todo, Worker

_LISTENS = (
    "Ray listens on all interfaces of this machine, and asks the clouds' metadata addresses "
    "whether it runs in one: say --allow-listen for a cluster of its own here, or --address to "
    "join one"
)
_ADDRESS = re.compile(r"(?:ray://)?\[?([^/\[\]]+)\]?:(\d{1,5})")
has_joined = False
"""Whether this process is, or was, in a cluster."""
_PATIENCE = 10.0
"""Seconds in which a cluster has to take a connection; Ray itself takes minutes to give up."""


@dataclass(frozen=True, kw_only=True)
class Ray:
    """A cluster: the one at `address`, or with `allow_listen` one that is started here.

    Up to `workers` work at a time, as many as there is room for without a number; each has
    `threads` cores, 1 where nobody says, and a GPU where the classifier is on one.
    """

    address: str | None = None
    allow_listen: bool = False
    workers: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if find_spec("ray") is None:
            raise UsageError("--engine ray needs Ray: pip install 'gradbox[ray]'")
        where = self._where
        if where == "local" and not self.allow_listen:
            raise UsageError(_LISTENS)
        if where not in ("local", "auto") and not _ADDRESS.fullmatch(where):
            raise UsageError(f"--address {where}: write HOST:PORT or ray://HOST:PORT")

    @property
    def needs_shards(self) -> bool:
        """See `Engine`."""
        return True

    @property
    def _where(self) -> str:
        """The cluster to join; `local` is one of its own, whatever other clusters are here."""
        return self.address or os.environ.get("RAY_ADDRESS") or "local"

    @property
    def usual_threads(self) -> int:
        """See `Engine`: one core a worker finds room on every machine."""
        return 1

    def sized(self, classifier: Classifier, shards: int) -> "Ray":
        """See `Engine`: a cluster has its own size."""
        return self

    def steps(self, todo: Sequence[Todo], here: Worker, task: Callable[[], Task]) -> Iterator[Step]:
        """See `Engine`."""
        if at := _ADDRESS.fullmatch(self._where):
            try:
                socket.create_connection((at[1], int(at[2])), _PATIENCE).close()
            except (OSError, OverflowError) as error:
                raise UsageError(f"no Ray cluster at {self._where}: {error}") from error
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray

        was_there = ray.is_initialized()
        if not was_there:
            self._join()
        try:
            yield from self._made(todo, task())
        finally:
            if not was_there:
                ray.shutdown()

    def _join(self) -> None:
        global has_joined
        import ray

        where = self._where
        try:
            with _silent():
                ray.init(
                    address=where,
                    include_dashboard=False if where == "local" else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except Exception as error:  # of many kinds: what is wrong with an address, or a start
            said = str(error).strip().splitlines() or [repr(error)]
            here = (
                "no Ray cluster could be started here"
                if where == "local"
                else (f"no Ray cluster at {where}")
            )
            raise UsageError(f"{here}: {said[0]}") from error
        has_joined = True

    def _made(self, todo: Sequence[Todo], task: Task) -> Iterator[Step]:
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        DataContext.get_current().enable_progress_bars = False
        on_gpu = task.setup.basis["device"] == "cuda"
        _warn_of_small_machines(task.setup.basis["threads"])
        rows = [{"shard": one.number, "jobs": list(one.jobs)} for one in todo]
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _RayWorker,
            fn_constructor_args=(task,),
            batch_size=1,
            compute=ActorPoolStrategy(
                min_size=1, max_size=min(self.workers or len(rows), len(rows))
            ),
            num_cpus=task.setup.basis["threads"],
            num_gpus=1 if on_gpu else 0,
        )
        try:
            for row in made.iter_rows():
                yield _step(row)
        except ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            raise UsageError(
                f"the Ray cluster is gone ({said[-1] if said else error!r}): what was made is "
                "kept, and the same call goes on"
            ) from error


def _warn_of_small_machines(threads: int) -> None:
    """Say why nothing happens where no machine has room for a worker; one may still join."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    sizes = [node["Resources"].get("CPU", 0) for node in nodes if node["Alive"]]
    if max(sizes, default=0) < threads:
        warnings.warn(
            f"no machine of the cluster has {threads} cores yet, which each worker waits for; "
            "--threads says how many it has",
            GradboxWarning,
            stacklevel=2,
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on stderr, where Ray's own log says how loud it is; what is wrong is raised."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _RayWorker:
    """An actor, which takes shards as rows of a table."""

    def __init__(self, task: Task) -> None:
        self._worker = Elsewhere(task)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        jobs = tuple(int(job) for job in batch["jobs"][0])
        made = self._worker.make(Todo(int(batch["shard"][0]), jobs)).made
        assert made is not None
        fields = asdict(made)
        seconds = [fields.pop("seconds")]
        return {"seconds": seconds, **{name: [value] for name, value in fields.items()}}


def _step(row: dict[str, Any]) -> Step:
    seconds = {int(job): took for job, took in (row["seconds"] or {}).items() if took is not None}
    return Step(row["images"], Made(**{**row, "seconds": seconds}))
