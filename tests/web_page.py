"""A real Chromium on the page of `gradbox web`, which runs in a process of its own."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from browser import browser

T = TypeVar("T")
_DROP = """
const data = new DataTransfer();
for (const [name, text] of arguments[1]) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  data.items.add(new File([bytes], name));
}
const options = {bubbles: true, cancelable: true};
options[arguments[2] === "drop" ? "dataTransfer" : "clipboardData"] = data;
const made = arguments[2] === "drop" ? DragEvent : ClipboardEvent;
arguments[0].dispatchEvent(new made(arguments[2], options));
"""


@contextmanager
def web(folder: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a `gradbox web` started in a folder, and its process, ended at the end."""
    log = folder / "web.log"
    command = [sys.executable, "-m", "gradbox.cli", "web", *words]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(folder), "GRADIO_ALLOWED_PATHS": "/"},
        )
    try:
        found = until(lambda: re.search(r"open (http://\S+) ;", log.read_text()), 120)
        yield found[1], process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def until(look: Callable[[], T | None], seconds: float = 30) -> T:
    """What is looked for, once it is there; a browser may be about to change what is looked at."""
    ended = time.monotonic() + seconds
    error: Exception | None = None
    while time.monotonic() < ended:
        try:
            found = look()
            if found:
                return found
        except Exception as one:
            error = one
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s") from error


class Page:
    """What a user does and sees."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver, self.address = driver, address

    def open(self) -> None:
        """The page anew."""
        self.driver.get(self.address)
        until(lambda: self.all(".drop input[type=file]"))

    def all(self, css: str) -> list[Any]:
        """The elements of a selector that can be seen; inputs of files cannot."""
        found = self.driver.find_elements("css selector", css)
        return [one for one in found if "file" in css or one.is_displayed()]

    def text(self, css: str) -> str:
        """The text of the first of them, empty where there is none."""
        return next((one.text for one in self.all(css)), "")

    def source(self, css: str) -> str:
        """The `src` of a picture."""
        found = self.all(css)
        return found[0].get_attribute("src") if found else ""

    def hand(self, *files: tuple[str, bytes], by: str = "drop") -> None:
        """Drop files onto the field of the open tab, or paste them."""
        (field,) = self.all(".drop")
        target = field.find_element("css selector", ".upload-container") if by == "drop" else field
        coded = [(name, base64.b64encode(data).decode()) for name, data in files]
        self.driver.execute_script(_DROP, target, coded, by)

    def choose(self, css: str, text: str) -> None:
        """Type into a list of choices."""
        from selenium.webdriver.common.keys import Keys

        field = self.all(f"{css} input")[0]
        field.click()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)
        time.sleep(0.3)
        field.send_keys(Keys.ENTER)

    def slide(self, field: Any, value: float) -> None:
        """Move a slider."""
        moved = "arguments[0].value = arguments[1];"
        sent = "arguments[0].dispatchEvent(new Event('input', {bubbles: true}));"
        self.driver.execute_script(moved + sent, field, value)

    def drag(self, field: Any, box: tuple[float, float, float, float]) -> None:
        """Draw a box, in pixels from the middle of an element."""
        from selenium.webdriver import ActionChains

        xmin, ymin, xmax, ymax = (round(edge) for edge in box)
        across, down = xmax - xmin, ymax - ymin
        steps = ActionChains(self.driver, duration=20)
        steps.move_to_element_with_offset(field, xmin, ymin).click_and_hold()
        steps.move_by_offset(across // 2, down // 2)
        steps.move_by_offset(across - across // 2, down - down // 2).release().perform()

    def addresses(self) -> set[str]:
        """What was asked for since the last call, without what the page holds itself."""
        messages = [json.loads(one["message"])["message"] for one in self.log("performance")]
        asked = {
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        }
        return {url for url in asked if not url.startswith(("data:", "blob:"))}

    def log(self, kind: str) -> list[Any]:
        """What Chromium has noted since the last call."""
        return self.driver.get_log(kind)


@contextmanager
def chromium(address: str) -> Iterator[Page]:
    """A page of its own."""
    with browser(1400, 1300) as window:
        page = Page(window, address)
        page.open()
        yield page
