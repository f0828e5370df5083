"""Data sets of every layout, with damaged files and hostile names: one clear error, or a result."""

import os
import random
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from layouts import EVALUATED, TRAINED, Build, Facts, Names
from mutations import damaged, hostile, ruin

import gradbox
from gradbox.datasets import LOADERS, load_dataset
from gradbox.errors import UsageError
from gradbox.models.load import load_classifier
from gradbox.training.labels import read_labels
from gradbox.training.records import TrainingOptions
from gradbox.training.train import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

CASES = 10
"""Of each layout, at scale 1."""


def test_every_layout_is_attacked() -> None:
    kinds = {text.partition(":")[0] for text in EVALUATED}
    assert kinds == LOADERS.keys() - {"scenes"}  # which reads no file


def _used(text: str, network: gradbox.Classifier, out: Path, rng: random.Random) -> Any:
    """The data set after its images were located, or, every third time, scored as well."""
    dataset, running = load_dataset(text), gradbox.Running(overwrite=True)
    has_boxes = not text.startswith(("folder:", "list:"))
    if rng.randrange(3) or not has_boxes:
        gradbox.locate(dataset.samples, network, out, method="sensitivity", running=running)
    else:
        given = rng.choice(("truth", "predicted"))
        gradbox.evaluate(
            dataset, network, out, method="sensitivity", class_from=given, running=running
        )
    return dataset


def _train(text: str, out: Path) -> None:
    options = TrainingOptions(size=16, epochs=1, batch_size=4)
    train(text, out=out, options=options, device="cpu", overwrite=True)


def _built(folder: Path, build: Build, names: Names) -> Facts:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return build(folder, names)


def _is_one_line(error: UsageError, names: Iterable[str] = ()) -> None:
    """The command line escapes what names bring in; the rest has to be one line as it stands."""
    brought = {ord(char): None for name in names for char in name if not char.isprintable()}
    assert str(error).translate(brought).isprintable(), error


@pytest.mark.parametrize("text", EVALUATED)
def test_files(
    text: str,
    tally: Any,
    rng: random.Random,
    scale: float,
    network: gradbox.Classifier,
    tmp_path: Path,
) -> None:
    found, folder = tally(f"data set {text}"), tmp_path / "data"
    for i in range(round(CASES * scale)):
        _built(folder, EVALUATED[text], Names())
        with found.one(f"{text} {i} {ruin(folder, rng)!r}"):
            try:
                _used(text.replace("{}", str(folder)), network, tmp_path / "out", rng)
            except UsageError as error:
                _is_one_line(error)


@pytest.mark.parametrize("text", EVALUATED)
def test_names(
    text: str,
    tally: Any,
    rng: random.Random,
    scale: float,
    network: gradbox.Classifier,
    tmp_path: Path,
) -> None:
    """What is loaded without a word about missing files is what was built, to the last name."""
    found, folder = tally(f"names in {text}"), tmp_path / "data"
    for i in range(round(CASES * scale)):
        names = _hostile_names(rng)
        with found.one(f"{text} {i} {names}"):
            try:
                expected = _built(folder, EVALUATED[text], names)
                where = text.replace("{}", str(folder))
                dataset = _used(where, network, tmp_path / "out", rng)
            except UsageError as error:
                _is_one_line(error, (*names.stems, *names.classes))
            else:
                if not any("no such file" in problem for problem in dataset.problems):
                    assert {s.image_id: s.label for s in dataset.samples} == expected
                    assert all(os.path.exists(s.source) for s in dataset.samples)


def _hostile_names(rng: random.Random) -> Names:
    """Usual names, but for one image or one class."""
    usual = Names()
    if rng.randrange(2):
        return Names(stems=(hostile(rng, ".JPEG"), *usual.stems[1:]))
    return Names(classes=(hostile(rng), usual.classes[1]))


@pytest.mark.parametrize("text", TRAINED)
def test_training(text: str, tally: Any, rng: random.Random, scale: float, tmp_path: Path) -> None:
    found, folder = tally(f"train {text}"), tmp_path / "data"
    where = text.replace("{}", str(folder))
    for i in range(round(CASES * scale)):
        names = rng.choice((Names(), _hostile_names(rng)))
        with found.one(f"{text} {i} {names}"):
            try:
                expected = _built(folder, TRAINED[text], names)
                if names == Names():
                    ruin(folder, rng)
                else:
                    found_labels = {one.image_id: one.labels for one in read_labels(where)}
                    assert found_labels == {name: (label,) for name, label in expected.items()}
                _train(where, tmp_path / "out")
            except UsageError as error:
                _is_one_line(error, (*names.stems, *names.classes))


def test_class_names(
    tally: Any, rng: random.Random, scale: float, card: Path, tmp_path: Path
) -> None:
    """A list with one class a line, beside a card: as many names as were written, or an error."""
    found, listed = tally("class names"), card.with_name("classes.txt")
    card.write_text(card.read_text().replace('["disc", "bar", "cross"]', '"classes.txt"'))
    for i in range(round(CASES * scale)):
        names = [hostile(rng), "bar", "cross"]
        content = "\n".join(names).encode("utf-8", "surrogateescape")
        is_damaged = bool(rng.randrange(2))
        listed.write_bytes(damaged(content, rng) if is_damaged else content)
        with found.one(f"{i} {names}"):
            try:
                classifier = load_classifier(str(card), device="cpu")
            except UsageError as error:
                _is_one_line(error)
            else:
                lines = re.split("\r\n|\r|\n", content.decode(errors="replace"))
                assert is_damaged or list(classifier.class_names) == lines
