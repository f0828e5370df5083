"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with the real classifiers and photographs, where there is one."""
    folder = os.environ.get("GRADBOX_ASSETS")
    if not folder:
        pytest.skip("GRADBOX_ASSETS is not set: the real classifiers and photographs are not here")
    return Path(folder)
