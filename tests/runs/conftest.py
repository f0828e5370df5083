"""Ten small images, and a network for them."""

from pathlib import Path

import pytest
from noise import draw

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
