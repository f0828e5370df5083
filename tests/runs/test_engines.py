"""Runs by several processes, whose call or whose workers are killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

N_IMAGES, SHARD, BATCH = 30, 4, 2
NET = '''
import os
import time

from torch import nn


class Slow(nn.Module):
    """Says in a file who has looked at how many images, and takes its time."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        here = os.path.dirname(__file__)
        with open(os.path.join(here, "log"), "a") as log:
            log.write(f"{os.getpid()} {len(x)}\\n")
        time.sleep(0.1)
        return self.head(self.features(x).relu().mean((2, 3)))


def slow():
    import torch

    torch.manual_seed(0)
    return Slow()
'''
CARD = """
[model]
architecture = "net.py:slow"

[input]
size = [16, 16]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, of which one is none, and a slow network."""
    folder = tmp_path_factory.mktemp("engines")
    (folder / "photos").mkdir()
    for i in range(N_IMAGES):
        pixels = np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{i:02}.png")
    (folder / "photos" / "13.png").write_bytes(b"no image")
    (folder / "net.py").write_text(NET)
    (folder / "card.toml").write_text(CARD)
    return folder


def start(folder: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "log").unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "gradbox.cli", "locate", str(folder / "photos"), "--quiet"),
        *("--model", str(folder / "card.toml"), "--method", "sensitivity", "--device", "cpu"),
        *("--shard", str(SHARD), "--batch-size", str(BATCH), "--threads", "1"),
        *("--out", str(out), *words),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Path:
    """The run of one process."""
    run = start(folder, folder / "one")
    run.communicate()
    assert run.returncode == 1  # 13.png is no image
    assert sum(looked_at(folder).values()) == N_IMAGES - 1
    return folder / "one"


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").glob("*.parquet")}


def looked_at(folder: Path) -> dict[int, int]:
    """How many images each process has looked at, beside the one that a network is tried on."""
    count: dict[int, int] = {}
    for line in (folder / "log").read_text().splitlines():
        process, images = map(int, line.split())
        count[process] = count.get(process, 0) + images
    return {process: images - 1 for process, images in count.items() if images > 1}


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


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
