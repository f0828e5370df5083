"""Commands killed at random instants: let go on, they leave what they leave undisturbed."""

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from processes import content, end, maps, start

import gradbox
from gradbox.datasets.csv import load
from gradbox.models.load import SCENES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

MODEL = ("--model", SCENES, "--device", "cpu", "--batch-size", "2")
METHOD = ("--method", "sensitivity")
SETS = ("--split", "0.5/0.5", "--part", "2")
RUNS = ("--run", "sensitivity | ridge(grid=4, folds=2)", "--run", "sensitivity | mass")
SAVED = ("--out", "{out}/run", "--save-maps", "{out}/maps")
COMMANDS: dict[str, tuple[str, ...]] = {
    "locate": (
        "locate",
        "{data}/images",
        *MODEL,
        *METHOD,
        "--pictures",
        "--format",
        "csv,coco,yolo,voc",
    ),
    "locate in shards": ("locate", "{data}/images", *MODEL, *METHOD, "--shard", "4"),
    "evaluate": ("evaluate", "csv:{data}", *MODEL, *METHOD, "--pictures"),
    "compare": ("compare", "csv:{data}", *MODEL, *SETS, *RUNS),
    "fit": ("fit", "csv:{data}", *MODEL, *METHOD, "--box", "ridge(grid=4, folds=2)", "--overwrite"),
    "train": ("train", "{data}/by_class", "--arch", "small", "--size", "48", "--epochs", "2"),
}
OUT: dict[str, tuple[str, ...]] = {
    "fit": ("--out", "{out}/box.safetensors"),
    "train": ("--out", "{out}/model", "--device", "cpu", "--batch-size", "4"),
}
"""Where a command writes, where that is no run folder with maps beside it."""

KILLS = 8
"""Of each command, at scale 1."""

IN_A_ROW = 4
"""Kills after which a command is let through."""


@pytest.fixture(scope="module")
def data(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes as a data set and, as image files by class, to train with."""
    folder = tmp_path_factory.mktemp("kills") / "data"
    shutil.copytree(scenes, folder)
    for i, sample in enumerate(load(str(scenes)).samples):
        path = folder / "by_class" / f"class{i % 2}" / sample.image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "images" / sample.image_id, path)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_kills_at_random_instants(
    name: str,
    tally: Any,
    rng: random.Random,
    scale: float,
    data: Path,
    network: gradbox.Classifier,
    tmp_path: Path,
) -> None:
    def call(out: Path) -> int:
        words = (*COMMANDS[name], *OUT.get(name, SAVED))
        return start([word.format(data=data, out=out) for word in words])

    started = time.monotonic()
    assert end(call(tmp_path / "whole")) == 0
    usual = time.monotonic() - started
    expected = _left(tmp_path / "whole")
    found, kills, cases = tally(f"kill {name}"), tally(f"kills of {name}"), 0
    while kills.tried < round(KILLS * scale):
        cases += 1
        out = tmp_path / str(cases)
        with found.one(f"{name} {cases}"):
            for _ in range(IN_A_ROW):
                if (code := end(call(out), rng.uniform(0, usual))) != -signal.SIGKILL:
                    break
                kills.tried += 1
            else:
                code = end(call(out))
            assert code == 0
            assert not _different(_left(out), expected)
        shutil.rmtree(out, ignore_errors=True)


def _different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What only one of two holds, or each with other bytes."""
    names = {kind: one[kind].keys() | other[kind].keys() for kind in one}
    return sorted(n for k in names for n in names[k] if one[k].get(n) != other[k].get(n))


def _left(out: Path) -> dict[str, Any]:
    stores = {path.parent for path in out.glob("maps/**/maps.json")}
    saved = {f"{store.relative_to(out)}": maps(store) for store in stores}
    return {"files": content(out), "maps": saved}
