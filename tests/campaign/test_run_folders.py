"""A run folder cut, emptied, swapped and shared: what comes out is what it should be."""

import json
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import content, end, start

import gradbox
from gradbox.errors import UsageError
from gradbox.images.find import find_images
from gradbox.models.load import SCENES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

METHOD = "sensitivity"
MODEL = ("--model", SCENES, "--device", "cpu", "--method", METHOD)
"""What is attacked is the run, not what it runs."""


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
    gradbox.evaluate(dataset, network, tmp_path / "whole", method=METHOD, running=running)
    other = tmp_path / "other"
    gradbox.evaluate(dataset, network, other, method=METHOD, box="whole", running=running)
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
                    gradbox.evaluate(dataset, network, run, method=METHOD, running=running)
                except UsageError as error:
                    assert file.name in str(error) or "another run" in str(error), error
                else:
                    assert content(run) == expected


def test_two_callers(
    tally: Any, scale: float, scenes: Path, tmp_path: Path, network: gradbox.Classifier
) -> None:
    """Of callers at the same time one works; the others are refused or find it done."""
    call = ("locate", str(scenes / "images"), *MODEL, "--quiet")
    found = tally("two callers")
    for i in range(round(4 * scale)):
        out = tmp_path / str(i)
        with found.one(str(i)):
            children = [start([*call, "--out", str(out)]) for _ in range(3)]
            codes = sorted(end(child, None) for child in children)
            assert codes[0] == 0
            assert set(codes) <= {0, 2}
            lines = (out / "predictions.jsonl").read_text().splitlines()
            images = {path.name for path in (scenes / "images").iterdir()}
            assert sorted(json.loads(line)["image"] for line in lines) == sorted(images)


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


def test_memory_grows_by_the_list_of_the_images_alone(
    tally: Any, scale: float, scenes: Path, tmp_path: Path, network: gradbox.Classifier
) -> None:
    """A run over many more images takes at most 60 MB more, or 6 KB for each that it knows of.

    Counted in processes of their own. A decoded image, or a map, would be 12 KB or more.
    """
    found = tally("memory")
    images = sorted((scenes / "images").iterdir())
    peaks = []
    for count in (200, round(800 * scale)):
        folder = tmp_path / f"in{count}"
        folder.mkdir()
        for i in range(count):
            (folder / f"{i:06}{images[0].suffix}").symlink_to(images[i % len(images)])
        with found.one(str(count)):
            call = ["locate", str(folder), *MODEL, "--quiet"]
            child = start([*call, "--out", str(tmp_path / f"out{count}")])
            _, status, usage = os.wait4(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            peaks.append(usage.ru_maxrss / 1024)
    with found.one("growth"):
        assert peaks[1] - peaks[0] < max(60, round(800 * scale) * 6 / 1024), peaks
