"""A run folder cut, emptied, swapped, killed and shared: what comes out is what it should be."""

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradbox
from gradbox.cli import main
from gradbox.datasets.scenes import write
from gradbox.errors import UsageError
from gradbox.images.find import find_images
from gradbox.models.load import SCENES, load_classifier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

COUNT = 12


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign") / "scenes"
    write(folder, COUNT, seed=3, size=(64, 64))
    return folder


@pytest.fixture(scope="module")
def network() -> gradbox.Classifier:
    return load_classifier(SCENES, device="cpu")


def content(folder: Path) -> dict[str, Any]:
    """All that a run left, times and the writer's own files aside."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in path.parts):
            continue
        if path.suffix == ".html" or "parts/" in name:
            continue  # holds times; the maps are compared one by one
        data = path.read_bytes().replace(str(folder).encode(), b"OUT")
        found[name] = _timeless(json.loads(data)) if path.suffix == ".json" else data
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if "second" not in k and k != "files"}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def maps(folder: Path) -> dict[str, bytes]:
    store = gradbox.open_maps(folder)
    return {name: store[name].tobytes() for name in sorted(store.images)}


def test_every_file_cut_emptied_and_swapped(
    tally: Any,
    rng: random.Random,
    scale: float,
    scenes: Path,
    network: gradbox.Classifier,
    tmp_path: Path,
) -> None:
    """The next call ends in one line, or in what an undisturbed run gives."""
    dataset, running = gradbox.load_dataset(f"csv:{scenes}"), gradbox.Running(formats=("csv",))
    gradbox.evaluate(dataset, network, tmp_path / "whole", running=running)
    other = tmp_path / "other"
    gradbox.evaluate(dataset, network, other, box="whole", running=running)
    expected = content(tmp_path / "whole")
    files = [p for p in sorted((tmp_path / "whole").iterdir()) if p.is_file() and p.name[0] != "."]
    found = tally("run file")
    for file in files:
        data = file.read_bytes()
        states = [b"", data[:-1], data + b"x", (other / file.name).read_bytes()]
        states += [data[: rng.randrange(len(data))] for _ in range(round(4 * scale))]
        for i, state in enumerate(states):
            run = tmp_path / "run"
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(tmp_path / "whole", run)
            (run / file.name).write_bytes(state)
            with found.one(f"{file.name} {i}"):
                try:
                    gradbox.evaluate(dataset, network, run, running=running)
                except UsageError as error:
                    assert file.name in str(error) or "another run" in str(error), error
                else:
                    assert content(run) == expected


def _child(words: Sequence[str]) -> int:
    """Run a command in a fork, which has everything imported; its process id."""
    child = os.fork()
    if child:
        return child
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.argv = ["gradbox", *words]
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    finally:
        os._exit(70)


def test_kills_at_random_instants(
    tally: Any,
    rng: random.Random,
    scale: float,
    scenes: Path,
    network: gradbox.Classifier,
    tmp_path: Path,
) -> None:
    """Killed again and again and then let go on, a command leaves what it leaves undisturbed."""
    model = ("--model", SCENES, "--device", "cpu", "--batch-size", "2")
    formats = ("--format", "csv,coco,yolo,voc")
    commands = {
        "locate": ("locate", str(scenes / "images"), *model, "--pictures", *formats),
        "evaluate": ("evaluate", f"csv:{scenes}", *model, "--pictures"),
        "compare": (
            "compare",
            f"csv:{scenes}",
            *model,
            "--split",
            "0.5/0.5",
            "--part",
            "2",
            "--run",
            "sensitivity | ridge(grid=4, folds=2)",
            "--run",
            "sensitivity | mass",
        ),
    }
    for name, command in commands.items():
        whole = tmp_path / name / "whole"
        started = time.monotonic()
        _wait(_child([*command, "--out", str(whole), "--save-maps", f"{whole}-maps"]), None)
        usual = time.monotonic() - started
        found = tally(f"kill {name}")
        kills, cases = 0, 0
        while kills < round(8 * scale):
            cases += 1
            run = tmp_path / name / str(cases)
            call = [*command, "--out", str(run), "--save-maps", f"{run}-maps"]
            with found.one(f"{name} {cases}"):
                while (code := _wait(_child(call), rng.uniform(0, usual))) == -signal.SIGKILL:
                    kills += 1
                    if kills % 4 == 0:
                        code = _wait(_child(call), None)
                        break
                assert code == 0
                assert content(run) == content(whole)
                for store in whole.parent.glob(f"{whole.name}-maps/**/maps.json"):
                    again = Path(str(store.parent).replace(f"{whole}-maps", f"{run}-maps"))
                    assert maps(again) == maps(store.parent)


def _wait(child: int, seconds: float | None) -> int:
    """The exit code of a process, killed after so long."""
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_two_callers(
    tally: Any, scale: float, scenes: Path, tmp_path: Path, network: gradbox.Classifier
) -> None:
    """Of callers at the same time one works; the others are refused or find it done."""
    call = ("locate", str(scenes / "images"), "--model", SCENES, "--device", "cpu", "--quiet")
    found = tally("two callers")
    for i in range(round(4 * scale)):
        out = tmp_path / str(i)
        with found.one(str(i)):
            children = [_child([*call, "--out", str(out)]) for _ in range(3)]
            codes = sorted(_wait(child, None) for child in children)
            assert codes[0] == 0
            assert set(codes) <= {0, 2}
            lines = (out / "predictions.jsonl").read_text().splitlines()
            assert len({json.loads(line)["image"] for line in lines}) == len(lines) == COUNT


def test_a_file_size_limit_is_a_full_disk(
    tally: Any,
    rng: random.Random,
    scale: float,
    scenes: Path,
    tmp_path: Path,
    network: gradbox.Classifier,
) -> None:
    """Whatever file cannot grow: exit code 2, nothing half under a final name, then it goes on."""
    call = (
        "locate",
        str(scenes / "images"),
        "--model",
        SCENES,
        "--device",
        "cpu",
        "--format",
        "csv",
    )
    _wait(_child([*call, "--out", str(tmp_path / "whole")]), None)
    found = tally("file size limit")
    for i in range(round(6 * scale)):
        out = tmp_path / f"run{i}"
        with found.one(str(i)):
            child = os.fork()
            if not child:
                limit = rng.randrange(200, 4000) + i
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                os._exit(_wait(_child([*call, "--out", str(out)]), None))
            assert _wait(child, None) in (0, 2)
            assert _wait(_child([*call, "--out", str(out)]), None) == 0
            for name in ("predictions.jsonl", "boxes.csv", "images.sha256"):
                assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_threads(tally: Any, scale: float, scenes: Path, network: gradbox.Classifier) -> None:
    """One classifier in eight threads gives what it gives alone, with every usual method."""
    sources = [sample.source for sample in find_images([scenes / "images"])]
    for method in ("sensitivity", "dam", "sensitivity(target=layer_mean)"):
        found = tally(f"threads {method}")
        alone = [gradbox.localize(one, network, method=method).boxes for one in sources]  # type: ignore[arg-type]

        def again(
            number: int, method: str = method, alone: Any = alone, found: Any = found
        ) -> None:
            at = number % len(sources)
            with found.one(f"{method} {number}"):
                boxes = gradbox.localize(sources[at], network, method=method).boxes  # type: ignore[arg-type]
                np.testing.assert_allclose(boxes, alone[at], atol=2)

        with ThreadPoolExecutor(8) as pool:
            one = partial(again, method=method, alone=alone, found=found)
            list(pool.map(one, range(round(24 * scale))))


def test_memory_does_not_grow_with_the_images(
    tally: Any, scale: float, scenes: Path, tmp_path: Path, network: gradbox.Classifier
) -> None:
    """Four times as many images take at most 60 MB more, counted in processes of their own."""
    found = tally("memory")
    images = sorted((scenes / "images").iterdir())
    peaks = []
    for count in (round(200 * scale), round(800 * scale)):
        folder = tmp_path / f"in{count}"
        folder.mkdir()
        for i in range(count):
            (folder / f"{i:06}{images[0].suffix}").symlink_to(images[i % len(images)])
        with found.one(str(count)):
            call = ["locate", str(folder), "--model", SCENES, "--device", "cpu", "--quiet"]
            child = _child([*call, "--out", str(tmp_path / f"out{count}")])
            _, status, usage = os.wait4(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            peaks.append(usage.ru_maxrss / 1024)
    with found.one("growth"):
        assert peaks[1] - peaks[0] < 60, peaks
