"""Label Studio and gradbox's backend as programs, started once for all tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import run
from serving import METHOD, MODEL, Backend, serving
from studio import LabelStudio, running

import gradbox
from gradbox.labelstudio.configuration import written

ROOT = Path(__file__).parents[3]
SIDE = 96
"""Of the scenes, in pixels."""
_OPEN = {"USE_DEFAULT_BANNED_SUBNETS": "false"}


@pytest.fixture(scope="session")
def program() -> Path:
    """Label Studio; GRADBOX_LABEL_STUDIO names one that is installed elsewhere."""
    usual = ROOT / "build" / "labelling" / "label-studio" / "bin" / "label-studio"
    path = Path(os.environ.get("GRADBOX_LABEL_STUDIO", usual))
    if not path.exists():
        pytest.skip(f"{path} is not there: make labelling installs it")
    return path


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept, to be looked at."""
    folder = ROOT / "build" / "labelling" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set `csv:` of 500 generated scenes."""
    out = tmp_path_factory.mktemp("scenes")
    assert run("scenes", 500, "--out", out, "--size", SIDE) == 0
    return out


@pytest.fixture(scope="session")
def empty(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Label Studio whose data base is made, which takes a minute."""
    folder = tmp_path_factory.mktemp("label-studio") / "empty"
    with running(program, folder):
        pass
    return folder


@pytest.fixture(scope="session")
def start(program: Path, empty: Path) -> Callable[..., Any]:
    """Starts another Label Studio, with settings in its environment."""

    @contextmanager
    def started(name: str, **settings: str) -> Iterator[LabelStudio]:
        folder = empty.with_name(name)
        shutil.copytree(empty, folder, dirs_exist_ok=True)
        with running(program, folder, **settings) as made:
            yield made

    return started


@pytest.fixture(scope="session")
def studio(start: Callable[..., Any], scenes: Path) -> Iterator[LabelStudio]:
    """A Label Studio that may talk to this machine, and serves the scenes as local files."""
    local = {
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(scenes.parent),
    }
    with start("open", **_OPEN, **local) as made:
        yield made


@pytest.fixture(scope="session")
def key(studio: LabelStudio) -> str:
    return studio.personal_token()


@pytest.fixture(scope="session")
def backend(
    studio: LabelStudio, key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    log = tmp_path_factory.mktemp("backend") / "log.txt"
    words = ("--model", MODEL, "--method", METHOD, "--masks", "--label-studio", studio.url)
    with serving(log, *words, LABEL_STUDIO_API_KEY=key) as made:
        yield made


@pytest.fixture(scope="session")
def config() -> str:
    return written(gradbox.load_classifier(MODEL).class_names, ["rectangle", "brush"])
