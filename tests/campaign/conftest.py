"""Sizes and seed of the campaign, and its table at the end: `make campaign SCALE=20`."""

import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import gradbox
from gradbox.datasets.scenes import write
from gradbox.models.load import SCENES, load_classifier

COLUMNS = ("kind", "tried", "failed", "worst s", "memory MB")


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> float:
    """How many times as much as in the short run."""
    return float(request.config.getoption("--scale"))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Chance with the seed of the campaign, another one for each test."""
    return random.Random(f"{request.config.getoption('--campaign-seed')} {request.node.name}")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `csv:` data set of small scenes."""
    folder = tmp_path_factory.mktemp("campaign") / "scenes"
    write(folder, 12, seed=3, size=(64, 64))
    return folder


@pytest.fixture(scope="session")
def network() -> gradbox.Classifier:
    """The classifier of scenes, on the CPU."""
    return load_classifier(SCENES, device="cpu")


class Tally:
    """What was tried of one kind, what failed, and how long the slowest took."""

    def __init__(self, kind: str) -> None:
        self.kind, self.tried, self.worst = kind, 0, 0.0
        self.failures: list[str] = []

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        """One try; an exception that leaves it is a failure."""
        self.tried += 1
        started = time.perf_counter()
        try:
            yield
        except Exception as error:  # whatever it is, the campaign counts it and goes on
            self.failures.append(f"{what}: {type(error).__name__}: {error}")
        self.worst = max(self.worst, time.perf_counter() - started)


@pytest.fixture
def tally(record_property: Callable[[str, Any], None], request: pytest.FixtureRequest) -> Any:
    """Make with the name of a kind; the test fails at its end if anything did."""
    made: list[Tally] = []

    def start(kind: str) -> Tally:
        made.append(Tally(kind))
        return made[-1]

    yield start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for one in made:
        row = (one.kind, one.tried, len(one.failures), round(one.worst, 2), round(memory))
        record_property("campaign", row)
    failures = [text for one in made for text in one.failures]
    assert not failures, f"{len(failures)} failed, such as\n" + "\n".join(failures[:8])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of all kinds."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == "campaign"
    ]
    if rows:
        terminalreporter.section("campaign")
        for row in (COLUMNS, *sorted(map(tuple, rows))):
            terminalreporter.write_line("  ".join(f"{value!s:>12}" for value in row))
