"""`--engine ray` on a cluster of three nodes: what is killed is made again, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slow_run import N_IMAGES, SHARD, looked_at, parts, start, wait_until

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLUSTER = Path(__file__).parents[1] / "ray_cluster.py"


class Machines:
    """The cluster, in a process of its own."""

    def __init__(self, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(CLUSTER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.address = self._answer()

    def remove_node(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("remove\n")
        self._process.stdin.flush()
        assert self._answer() == "removed"

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    found = Machines()
    yield found
    found.close()


def on_ray(machines: Machines) -> tuple[str, ...]:
    return ("--engine", "ray", "--address", machines.address)


def made(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "shards").glob("*.parquet")}


# The test that takes a node away is the last one.


def test_a_cluster_gives_the_bytes_of_one_process(
    folder: Path, machines: Machines, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = start(folder, out, *on_ray(machines))
    _, said = run.communicate()
    assert run.returncode == 1, said
    assert [line for line in said.splitlines() if "13.png" not in line] == []
    assert parts(out) == parts(undisturbed)
    assert sum(looked_at(folder).values()) == N_IMAGES - 1
    assert json.loads((out / "run.json").read_text())["same_numbers"] is True


@pytest.mark.parametrize("command", ["evaluate", "compare", "fit"])
def test_every_command_gives_what_one_process_does(
    folder: Path, machines: Machines, tmp_path: Path, command: str
) -> None:
    found = []
    for name, words in (("one", ()), ("cluster", on_ray(machines))):
        out = tmp_path / name
        run = start(folder, out, *words, command=command)
        _, said = run.communicate()
        assert run.returncode == (0 if command == "fit" else 1), said  # 13.png is no image
        found.append(results(out))
    assert found[0] == found[1]
    assert found[0]


def results(out: Path) -> dict[str, Any]:
    """What is promised to be the same: the bytes of parts and of what was fitted, and numbers."""
    if out.is_file():
        return {"": out.read_bytes()}
    numbers = {path: timeless(path) for path in out.rglob("metrics.json")}
    parts = {path: path.read_bytes() for path in out.rglob("part-*.parquet")}
    return {str(path.relative_to(out)): found for path, found in {**numbers, **parts}.items()}


def timeless(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    return {name: value for name, value in found.items() if not name.startswith("seconds")}


def test_workers_with_another_version_refuse(folder: Path, tmp_path: Path) -> None:
    about = tmp_path / "site" / "pillow-0.1.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 0.1\n")
    old = Machines(PYTHONPATH=str(about.parents[1]))
    try:
        run = start(folder, tmp_path / "out", *on_ray(old))
        _, said = run.communicate()
    finally:
        old.close()
    assert run.returncode == 2
    (line,) = said.splitlines()
    assert "this worker would give other numbers than run.json promises: pillow" in line
    assert "then 0.1: install the same versions" in line
    assert parts(tmp_path / "out") == {}


def test_a_worker_that_is_killed_costs_the_shard_that_it_was_making(
    folder: Path, machines: Machines, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = start(folder, out, *on_ray(machines))
    wait_until(lambda: len(parts(out)) >= 2)
    os.kill(next(iter(looked_at(folder))), signal.SIGKILL)
    run.communicate()
    assert run.returncode == 1
    assert parts(out) == parts(undisturbed)
    assert sum(looked_at(folder).values()) <= N_IMAGES - 1 + SHARD


def test_a_driver_that_is_killed_loses_nothing_that_was_made(
    folder: Path, machines: Machines, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = start(folder, out, *on_ray(machines))
    wait_until(lambda: len(parts(out)) >= 2)
    run.kill()
    run.communicate()
    time.sleep(3)  # its workers end with it
    before, first = made(out), sum(looked_at(folder).values())
    again = start(folder, out, *on_ray(machines))
    again.communicate()
    assert again.returncode == 1
    after = made(out)
    assert {name: after[name] for name in before} == before
    assert parts(out) == parts(undisturbed)
    assert first + sum(looked_at(folder).values()) <= N_IMAGES - 1 + 2 * SHARD  # two workers


def test_a_node_that_goes_costs_the_shard_that_it_was_making(
    folder: Path, machines: Machines, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = start(folder, out, *on_ray(machines))
    wait_until(lambda: len(parts(out)) >= 2)
    machines.remove_node()
    run.communicate()
    assert run.returncode == 1
    assert parts(out) == parts(undisturbed)
    assert sum(looked_at(folder).values()) <= N_IMAGES - 1 + 2 * SHARD
