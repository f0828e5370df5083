"""Runs by several processes, whose call or whose workers are killed."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from slow_run import N_IMAGES, SHARD, looked_at, parts, start, wait_until

from gradbox.errors import UsageError
from gradbox.runs.engines import Local
from gradbox.runs.errands import Made, Step, Todo
from gradbox.runs.sharding import made_by


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_killed_worker_is_one_line_and_the_same_call_goes_on(
    folder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = start(folder, out, "--processes", "2")
    wait_until(lambda: len(parts(out)) >= 2)
    os.kill(next(iter(looked_at(folder))), signal.SIGKILL)
    _, said = run.communicate()
    assert run.returncode == 2
    (line,) = said.splitlines()
    assert line.startswith("gradbox: a process of --processes ended of itself")
    first, made = looked_at(folder), parts(out)
    again = start(folder, out, "--processes", "2")
    again.communicate()
    assert again.returncode == 1
    assert made.items() <= parts(undisturbed).items()
    assert parts(out) == parts(undisturbed)
    looks = sum(first.values()) + sum(looked_at(folder).values())
    assert looks <= N_IMAGES - 1 + 2 * SHARD  # each of the two was at one


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_workers_of_a_call_end_with_it(
    folder: Path, undisturbed: Path, tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "out"
    run = start(folder, out, "--processes", "2")
    wait_until(lambda: len(parts(out)) >= 2)
    wait_until(lambda: len(looked_at(folder)) == 2)
    if how == signal.SIGINT:
        os.killpg(run.pid, how)  # as Ctrl-C in a terminal does
    else:
        run.kill()
    _, said = run.communicate()
    wait_until(lambda: not any(is_alive(process) for process in looked_at(folder)))
    if how == signal.SIGINT:
        assert run.returncode == 130
        assert said.splitlines() == [
            "gradbox: stopped; what was done is kept: the same call goes on from there"
        ]
    first = sum(looked_at(folder).values())
    start(folder, out, "--processes", "2").communicate()
    assert parts(out) == parts(undisturbed)
    assert first + sum(looked_at(folder).values()) <= N_IMAGES - 1 + 2 * SHARD


@pytest.mark.slow
def test_a_worker_whose_disk_is_full_leaves_the_shards_to_the_others(
    folder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """The limit on the size of a file, of one process alone, stands for the disk."""
    out = tmp_path / "out"
    run = start(folder, out, "--processes", "2")
    wait_until(lambda: len(parts(out)) >= 1)
    (folder / "full").touch()
    _, said = run.communicate()
    assert run.returncode == 2
    (line,) = said.splitlines()
    assert "shards could not be made" in line
    assert "File too large" in line
    made = parts(out)
    assert len(parts(undisturbed)) - len(made) <= 2  # it waits after each
    assert list((out / "shards").glob(".*")) == []
    again = start(folder, out)
    again.communicate()
    assert again.returncode == 1
    assert parts(out) == parts(undisturbed)
    assert sum(looked_at(folder).values()) <= 2 * SHARD  # what was made is not made again


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    from gradbox.runs.ray_engine import Ray

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for given in (address, f"ray://{address}"):
            started = time.monotonic()
            with pytest.raises(UsageError, match=f"no Ray cluster at {given}: .*refused"):
                list(Ray(address=given).steps([], Unused(), Unused().task))
            assert time.monotonic() - started < 10
    with pytest.raises(UsageError, match=r"no Ray cluster at nowhere\.invalid:6379"):
        list(Ray(address="nowhere.invalid:6379").steps([], Unused(), Unused().task))
    for wrong in ("host", "host:port", "ray://host", ":6379"):
        with pytest.raises(UsageError, match="write HOST:PORT or ray://HOST:PORT"):
            Ray(address=wrong)


@pytest.mark.parametrize(
    ("made_at", "asked"), [((), 3), ((0,), 11), ((0, 5, 12), 20)], ids=["none", "one", "some"]
)
def test_a_call_ends_soon_where_no_shard_can_be_made(made_at: tuple[int, ...], asked: int) -> None:
    """After three where none was made, else after ten in a row: here there are twenty."""
    seen = []

    class Failing(Local):
        def steps(self, todo: Any, here: Any, task: Any) -> Iterator[Step]:
            for one in todo:
                seen.append(one.number)
                error = None if one.number in made_at else "no room"
                yield Step(0, Made(number=one.number, error=error))

    made: list[Made] = []
    lacking = 20 - len(made_at)
    with pytest.raises(UsageError, match=rf"{lacking} of 20 shards could not be made.*no room"):
        made.extend(made_by(Failing(), [Todo(i) for i in range(20)], Unused(), Unused().task, iter))
    assert len(seen) == asked
    assert [one.number for one in made] == list(made_at)


class Unused:
    """There is no cluster to work on."""

    def steps(self, todo: Todo) -> Iterator[Step]:
        raise AssertionError

    def task(self) -> NoReturn:
        raise AssertionError
