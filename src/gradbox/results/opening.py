"""Which run a folder holds, and whether a call goes on with it."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradbox.errors import UsageError
from gradbox.results.facts import RUN, read_facts, versions, write_facts
from gradbox.results.lock import held
from gradbox.results.parquet import require_pyarrow
from gradbox.results.place import STAGING, clean, remove_run, take_place, visible
from gradbox.results.run_folder import RunFolder
from gradbox.results.sharded import ShardedRun
from gradbox.stores import Store, open_store

FORMAT = 2
"""Counts the layouts of the folder; version 0.1 wrote none."""
SHARDED = 3
"""The layout of a run in shards."""
KEPT = ("basis", "mixed", "same_numbers", "why_not")
"""What a call that goes on leaves said of a run in shards, unless it says more."""

AnyRun = RunFolder | ShardedRun


@contextmanager
def open_run(
    place: Path,
    call: Mapping[str, Any],
    about: Mapping[str, Any],
    *,
    overwrite: bool,
    rebuilt: Callable[[str], str] = str,
    resumable: bool = True,
    shard: int | None = None,
    usual_shard: int | None = None,
) -> Iterator[AnyRun]:
    """Hold the folder for a run: a new one, or the one of an earlier run of the same call.

    Args:
        place: the folder, or an address of an object store.
        call: what makes a call the same, ready for JSON.
        about: what else `run.json` says.
        overwrite: start anew where the folder holds another call's run or other files. The run that
            is there stays until the new one is finished; in an object store it is removed first.
            Other files stay.
        rebuilt: from a `method` or `box` that another version wrote to its present text.
        resumable: whether equal calls are the same at all; where not, a run is never gone on with.
        shard: how many images a shard has, None where nobody said.
        usual_shard: what a new run has then; None is a run of lines.

    Raises:
        UsageError: the folder holds something else and `overwrite` is not given, another call holds
            it, or nothing can be written there.
    """
    run = {"call": dict(call), **about, "versions": versions(), "finished": False}
    asked = _Asked(run, rebuilt, resumable, shard, usual_shard)
    store = open_store(place)
    if not store.is_local:
        if overwrite:
            remove_run(store)
        yield asked.run_in(store, may_be_others=overwrite)
        return
    path = store.path("")
    with held(path):
        take_place(path)
        clean(path)
        target = path
        if overwrite and any(visible(path)):
            target = path / STAGING
            if not asked.goes_on(target):
                shutil.rmtree(target, ignore_errors=True)
        target.mkdir(exist_ok=True)
        yield asked.run_in(open_store(target))
        take_place(path)


class _Asked:
    """A call, held against the run that is there."""

    def __init__(
        self,
        run: Mapping[str, Any],
        rebuilt: Callable[[str], str],
        resumable: bool,
        shard: int | None,
        usual_shard: int | None,
    ) -> None:
        self._run = run
        self._rebuilt = rebuilt
        self._resumable = resumable
        self._shard = shard
        self._usual = usual_shard

    def run_in(self, store: Store, *, may_be_others: bool = False) -> AnyRun:
        """The run in this store, begun or gone on with; beside other files if they may be there."""
        goes_on = store.exists(RUN)
        if goes_on:
            shard = self._checked(store)
        elif not may_be_others and any(
            visible(store.path("")) if store.is_local else store.names()
        ):
            raise UsageError(f"{store.url} holds other files: give another --out, or --overwrite")
        else:
            shard = self._shard or self._usual
        if shard is not None:
            require_pyarrow()
        layout = {"format": FORMAT} if shard is None else {"format": SHARDED, "shard": shard}
        run = {**layout, **self._run}
        if not goes_on:
            write_facts(store, run)
        elif shard is not None:
            known = read_facts(store)
            run |= {name: known[name] for name in KEPT if name in known}
        return RunFolder(store.path(""), run) if shard is None else ShardedRun(store, run, shard)

    def goes_on(self, path: Path) -> bool:
        """Whether an unfinished run of the same call is there."""
        try:
            self._checked(open_store(path))
        except UsageError:
            return False
        return True

    def _checked(self, store: Store) -> int | None:
        """The size of the shards of the run that is there, once it is of the same call."""
        facts = read_facts(store)
        if facts.get("format") not in (FORMAT, SHARDED):
            raise UsageError(
                f"{store.url} holds a run of another version of gradbox, which is read but not "
                "gone on with: give another --out, or --overwrite"
            )
        before = dict(facts.get("call", {}))
        for part in ("method", "box"):
            if isinstance(before.get(part), str):
                before[part] = self._rebuilt(before[part])
        call = self._run["call"]
        now = json.loads(json.dumps(call))
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            key = changed[0]
            raise UsageError(
                f"{store.url} holds another run ({key} was {before.get(key)!r}, is now "
                f"{now.get(key)!r}): give another --out, or --overwrite"
            )
        if not self._resumable:
            raise UsageError(
                f"{store.url} holds a run of {call['method']} already, and whether that is the "
                "same cannot be told: its classifier is a function without a file, or its method "
                "no dataclass; give another --out, or --overwrite"
            )
        shard: int | None = facts.get("shard")
        if self._shard not in (None, shard):
            written = "without shards" if shard is None else f"in shards of {shard}"
            raise UsageError(
                f"{store.url} holds a run {written}: leave out --shard, give another --out, or "
                "--overwrite"
            )
        return shard
