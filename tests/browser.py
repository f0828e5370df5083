"""A real browser, driven as a user would: Chromium through its own driver."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def chromium() -> str:
    """Its path; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no chromium here")
    return found


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator[Any]:
    """A window without a screen; needs selenium and chromedriver."""
    webdriver = pytest.importorskip("selenium.webdriver")
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("there is no chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for word in (
        *("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"),
        *("no-first-run", "disable-background-networking", "disable-component-update"),
        *("disable-sync", f"window-size={width},{height}"),
    ):
        options.add_argument(f"--{word}")
    service = webdriver.ChromeService(executable_path=driver)
    window = webdriver.Chrome(options=options, service=service)
    try:
        yield window
    finally:
        window.quit()
