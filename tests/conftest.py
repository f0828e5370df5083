"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import object_stores
import pytest
from hypothesis import settings
from PIL import Image

# A busy machine makes a quick example slow now and then; pytest's own time limit ends what hangs.
settings.register_profile("gradbox", settings.default, deadline=None)
settings.load_profile("gradbox")

CARD = """
[model]
architecture = "network.py:build"
classes = ["disc", "bar", "cross"]

[input]
size = [64, 64]
resize = "squash"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""

NETWORK = '''
import torch
from torch import nn


def build():
    """A small network with seeded random weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )


def build_nan():
    """The same network with a weight that is not a number."""
    network = build()
    network[0].weight.data[0, 0, 0, 0] = float("nan")
    return network
'''


def pytest_addoption(parser: pytest.Parser) -> None:
    """The size of the campaign."""
    parser.addoption("--scale", default="0.4", help="times the size of the short campaign")
    parser.addoption("--campaign-seed", default="0", help="seed of the campaign")


@pytest.fixture(autouse=True)
def _without_the_extra(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default as where the extra `imagenet` is not installed, which is quick on small networks.

    Tests that are about the default with its foreground are marked `foreground`.
    """
    if "foreground" not in request.keywords:
        monkeypatch.setattr("gradbox.auto.method.is_installed", lambda name: False)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with the real classifiers and photographs, where there is one."""
    folder = os.environ.get("GRADBOX_ASSETS")
    if not folder:
        pytest.skip("GRADBOX_ASSETS is not set: the real classifiers and photographs are not here")
    return Path(folder)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """The model card of a small untrained network with the classes disc, bar and cross."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "network.py").write_text(NETWORK)
    (folder / "card.toml").write_text(CARD)
    return folder / "card.toml"


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """A `csv:` data set of 24 images, each with one bright disc on a dark, noisy ground."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "discs"
    (folder / "images").mkdir(parents=True)
    rows = ["image,width,height,class,xmin,ymin,xmax,ymax"]
    for i in range(24):
        image = rng.integers(0, 40, (80, 100, 3), dtype=np.uint8)
        radius, x, y = (
            int(rng.integers(12, 24)),
            int(rng.integers(26, 74)),
            int(rng.integers(26, 54)),
        )
        cv2.circle(image, (x, y), radius, (230, 200, 170), -1)
        Image.fromarray(image).save(folder / "images" / f"{i:02}.png")
        box = (x - radius, y - radius, x + radius + 1, y + radius + 1)
        rows.append(f"{i:02}.png,100,80,disc,{','.join(map(str, box))}")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures of noise, a PNG and a JPEG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, size in (("a.png", (60, 90)), ("b.jpg", (120, 80))):
        image = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def _s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    for name in ("pyarrow", "moto"):
        pytest.importorskip(name)
    with object_stores.s3(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(scope="session")
def _gs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    for name in ("pyarrow", "gcp_storage_emulator"):
        pytest.importorskip(name)
    with object_stores.gs(tmp_path_factory.mktemp("gs")) as environment:
        yield environment


@pytest.fixture
def s3(_s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL below which a test may write: a folder of its own in a bucket of moto's server."""
    return _folder_in("s3", _s3_server, monkeypatch)


@pytest.fixture
def gs(_gs_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The same in a bucket of an emulator of Google's store."""
    return _folder_in("gs", _gs_server, monkeypatch)


def _folder_in(scheme: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return f"{scheme}://{object_stores.BUCKET}/{uuid4().hex}"
