"""Ten small images and a network for them; some more, and a slow network that says what it saw."""

from pathlib import Path

import pytest
from noise import draw
from slow_run import N_IMAGES, looked_at, prepare, start

import gradbox
from gradbox.models.load import load_classifier


@pytest.fixture
def network(card: Path) -> gradbox.Classifier:
    return load_classifier(str(card), device="cpu")


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    folder = tmp_path / "ten"
    folder.mkdir()
    for i in range(10):
        draw(folder / f"{i}.png", i)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("slow"))


@pytest.fixture(scope="session")
def undisturbed(folder: Path) -> Path:
    """The run of one process over the images of `folder`."""
    run = start(folder, folder / "one")
    run.communicate()
    assert run.returncode == 1  # 13.png is no image
    assert sum(looked_at(folder).values()) == N_IMAGES - 1
    return folder / "one"
