"""Runs over a few images by a network that takes its time and says who has looked at what."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from noise import draw

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


def prepare(folder: Path) -> Path:
    """Photographs, of which one is none, and the network; gives the folder back."""
    (folder / "photos").mkdir()
    for i in range(N_IMAGES):
        draw(folder / "photos" / f"{i:02}.png", i)
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


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").glob("*.parquet")}


def looked_at(folder: Path) -> dict[int, int]:
    """How many images each process has looked at, beside the one that a network is tried on."""
    count: dict[int, int] = {}
    for line in (folder / "log").read_text().splitlines():
        process, images = map(int, line.split())
        count[process] = count.get(process, 0) + images
    return {process: images - 1 for process, images in count.items() if images > 1}


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)
