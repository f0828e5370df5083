"""Runs by several processes, whose call or whose workers are killed."""

import os
import signal
import socket
import time
from pathlib import Path
from typing import NoReturn

import pytest
from slow_run import N_IMAGES, SHARD, looked_at, parts, start, wait_until


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


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    from gradbox.errors import UsageError
    from gradbox.runs.ray_engine import Ray

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for given in (address, f"ray://{address}"):
            started = time.monotonic()
            with pytest.raises(UsageError, match=f"no Ray cluster at {given}: .*refused"):
                list(Ray(address=given).steps([], unused, unused))
            assert time.monotonic() - started < 10
    with pytest.raises(UsageError, match=r"no Ray cluster at nowhere\.invalid:6379"):
        list(Ray(address="nowhere.invalid:6379").steps([], unused, unused))
    for wrong in ("host", "host:port", "ray://host", ":6379"):
        with pytest.raises(UsageError, match="write HOST:PORT or ray://HOST:PORT"):
            Ray(address=wrong)


def unused() -> NoReturn:
    raise AssertionError("there is no cluster to work on")
