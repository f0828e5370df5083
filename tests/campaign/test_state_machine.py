"""The run folder as a state machine: whatever a user does between calls, a call gives the truth."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from PIL import Image

import gradbox
from gradbox import files
from gradbox.errors import UsageError
from gradbox.images.find import find_images
from gradbox.models.load import load_classifier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

NAMES = st.sampled_from(["a.png", "b.png", "c.png", "d.png", "e\n.png"])
BOXES = st.sampled_from(["mass", "whole"])


def how(box: str) -> dict[str, str]:
    """What each call runs."""
    return {"method": "sensitivity", "box": box}


class RunFolder(RuleBasedStateMachine):
    """Images that come and go, a folder that is damaged, calls that are stopped and repeated."""

    network: gradbox.Classifier

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        (self.root / "in").mkdir()
        self.contents: dict[str, int] = {}
        self.listed: set[str] = set()
        self.box: str | None = None
        self.versions = 0

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(name=NAMES)
    def add_or_replace(self, name: str) -> None:
        self.versions += 1
        self.contents[name] = self.versions
        size = (8 + self.versions % 40, 60 - self.versions % 40)
        pixels = np.random.default_rng(self.versions).integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.root / "in" / name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self.contents.pop(name, None) is not None:
            (self.root / "in" / name).unlink()

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.contents and old != new:
            self.contents[new] = self.contents.pop(old)
            (self.root / "in" / old).rename(self.root / "in" / new)

    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        names = ("predictions.jsonl", "images.jsonl", "images.sha256")
        path = self.root / "out" / data.draw(st.sampled_from(names))
        if path.exists():
            size = path.stat().st_size
            os.truncate(path, data.draw(st.integers(0, size)))

    @rule(after=st.integers(0, 12), box=BOXES, overwrite=st.booleans())
    def stop(self, after: int, box: str, overwrite: bool) -> None:
        """A call that ends at the n-th file that would get its name, as a kill does."""
        if not self.contents:
            return
        replace, left = os.replace, iter(range(after))

        def stopped(*given: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            replace(*given)

        files.os.replace = stopped  # type: ignore[attr-defined]
        try:
            self._call(box, overwrite=overwrite)
        except KeyboardInterrupt:
            pass
        except UsageError:
            assert self.box != box
            return
        finally:
            files.os.replace = replace  # type: ignore[attr-defined]
        self._take_note()

    @rule(box=BOXES, overwrite=st.booleans())
    def repeat(self, box: str, overwrite: bool) -> None:
        if not self.contents:
            return
        try:
            report = self._call(box, overwrite=overwrite)
        except UsageError as error:
            assert not overwrite
            assert self.box not in (None, box), error
            return
        self._take_note()
        assert report.n_images == len(self.contents)
        texts = (self.root / "out/predictions.jsonl").read_bytes().splitlines()
        lines = [json.loads(text) for text in texts]
        there = [line for line in lines if line["image"] in self.contents]
        assert [line["image"] for line in there] == sorted(self.contents)
        assert {line["image"] for line in lines} == set(self.contents) | set(report.gone)
        alone = gradbox.localize(
            [self.root / "in" / line["image"] for line in there], self.network, **how(box)
        )
        for line, found in zip(there, alone, strict=True):
            assert isinstance(found, gradbox.Localization)
            assert (line["height"], line["width"]) == found.size
            np.testing.assert_allclose(line["boxes"], found.boxes, atol=2)
        assert not list((self.root / "out").rglob("*.partial"))

    def _call(self, box: str, *, overwrite: bool) -> Any:
        samples = find_images([self.root / "in"])
        running = gradbox.Running(overwrite=overwrite, batch_size=2)
        return gradbox.locate(samples, self.network, self.root / "out", running=running, **how(box))

    def _take_note(self) -> None:
        """Which call the folder now holds."""
        path = self.root / "out" / "run.json"
        if path.exists():
            self.box = json.loads(path.read_text())["call"]["box"].partition("(")[0]


def test_the_run_folder(scale: float, card: Path, tally: Any) -> None:
    RunFolder.network = load_classifier(str(card), device="cpu")
    runs = round(40 * scale)
    found = tally("state machine")
    found.tried = runs
    run_state_machine_as_test(
        RunFolder,
        settings=settings(
            max_examples=runs,
            stateful_step_count=14,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
