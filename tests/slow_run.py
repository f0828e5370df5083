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
import resource
import signal
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
        if os.path.exists(os.path.join(here, "full")):  # for the first process that looks
            os.remove(os.path.join(here, "full"))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
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
classes = ["a", "b", "c"]

[input]
size = [16, 16]
"""


def prepare(folder: Path) -> Path:
    """Photographs with boxes, of which one is none, and the network; gives the folder back."""
    (folder / "images").mkdir()
    rows = ["image,width,height,class,xmin,ymin,xmax,ymax"]
    for i in range(N_IMAGES):
        draw(folder / "images" / f"{i:02}.png", i)
        rows.append(f"{i:02}.png,30,20,a,{i % 9},{i % 7},{12 + i % 9},{12 + i % 7}")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    (folder / "images" / "13.png").write_bytes(b"no image")
    (folder / "net.py").write_text(NET)
    (folder / "card.toml").write_text(CARD)
    return folder


COMMANDS: dict[str, tuple[str, ...]] = {
    "locate": ("locate", "{folder}/images", "--method", "sensitivity", "--quiet"),
    "evaluate": ("evaluate", "csv:{folder}", "--method", "sensitivity", "--quiet"),
    "compare": (
        *("compare", "csv:{folder}", "--quiet"),
        *("--run", "sensitivity | mass", "--run", "sensitivity(reduce=max) | threshold(0.3)"),
    ),
    "fit": ("fit", "csv:{folder}", "--method", "sensitivity", "--box", "ridge(grid=3, folds=2)"),
}


def start(folder: Path, out: Path, *words: str, command: str = "locate") -> subprocess.Popen[str]:
    (folder / "log").unlink(missing_ok=True)
    asked = [
        *(sys.executable, "-m", "gradbox.cli"),
        *(word.format(folder=folder) for word in COMMANDS[command]),
        *("--model", str(folder / "card.toml"), "--device", "cpu"),
        *("--shard", str(SHARD), "--batch-size", str(BATCH), "--threads", "1"),
        *("--out", str(out), *words),
    ]
    return subprocess.Popen(asked, stderr=subprocess.PIPE, text=True, start_new_session=True)


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
