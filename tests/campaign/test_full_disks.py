"""A disk without room: one line, nothing half under a final name, and then the call goes on."""

import json
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import content, end, maps, start

import gradbox
from gradbox.models.load import SCENES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

MODEL = (
    "--model",
    SCENES,
    "--device",
    "cpu",
    "--method",
    "sensitivity",
    "--batch-size",
    "4",
    "--quiet",
)
ROOM = 64 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of its own, which `resize` makes small or large."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "campaign", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here, which takes root's rights: {error}")
    yield folder
    _run("umount", str(folder))


def resize(disk: Path, size: int) -> None:
    _run("mount", "-o", f"remount,size={size}", str(disk))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)


def test_a_full_disk(
    tally: Any,
    rng: random.Random,
    scale: float,
    scenes: Path,
    network: gradbox.Classifier,
    disk: Path,
    tmp_path: Path,
) -> None:
    """Whatever it was that did not fit, what stands there is whole, and the same call goes on."""

    def call(said: Path = Path(os.devnull)) -> int:
        words = ("locate", str(scenes / "images"), *MODEL, "--pictures", "--format", "csv,coco")
        where = ("--out", str(disk / "run"), "--save-maps", str(disk / "maps"))
        return end(start([*words, *where], said))

    assert call() == 0
    expected, saved = content(disk / "run"), maps(disk / "maps")
    needed = sum(path.stat().st_blocks * 512 for path in disk.rglob("*"))
    found, full = tally("full disk"), tally("full disk that stopped a call")
    for i in range(round(6 * scale)):
        _empty(disk)
        with found.one(str(i)):
            resize(disk, rng.randrange(4096, needed))
            said = tmp_path / "said"
            if (code := call(said)) == 2:
                full.tried += 1
                lines = said.read_text().splitlines()
                assert len(lines) == 1, lines
                assert "No space left on device" in lines[0]
            else:
                assert code == 0, said.read_text()
            _is_whole(disk, expected)
            resize(disk, ROOM)
            assert call() == 0
            assert content(disk / "run") == expected
            assert maps(disk / "maps") == saved


def _empty(disk: Path) -> None:
    for child in disk.iterdir():
        shutil.rmtree(child)


def _is_whole(disk: Path, expected: dict[str, bytes]) -> None:
    """Each file that has its final name can be read to its end."""
    for path in disk.rglob("*"):
        name = path.relative_to(disk).as_posix()
        if not path.is_file() or "/." in f"/{name}":
            continue
        if path.suffix == ".npy":
            np.load(path)
        elif path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            assert [json.loads(line) for line in path.read_bytes().splitlines()]
        else:
            assert path.read_bytes() == expected[name.removeprefix("run/")]


def test_a_file_size_limit_is_a_full_disk(
    tally: Any,
    rng: random.Random,
    scale: float,
    scenes: Path,
    tmp_path: Path,
    network: gradbox.Classifier,
) -> None:
    """Whatever file cannot grow: exit code 2, nothing half under a final name, then it goes on."""
    call = ("locate", str(scenes / "images"), *MODEL, "--format", "csv")
    end(start([*call, "--out", str(tmp_path / "whole")]))
    found = tally("file size limit")
    for i in range(round(6 * scale)):
        out = tmp_path / f"run{i}"
        with found.one(str(i)):
            child = os.fork()
            if not child:
                limit = rng.randrange(200, 4000) + i
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                os._exit(end(start([*call, "--out", str(out)])))
            assert end(child) in (0, 2)
            assert end(start([*call, "--out", str(out)])) == 0
            for name in ("predictions.jsonl", "boxes.csv", "images.sha256"):
                assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
