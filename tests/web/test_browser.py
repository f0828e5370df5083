"""`gradbox web` as a user has it: the installed command, real files, a real Chromium."""

import csv
import io
import json
import re
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web_page import Page, chromium, until, web

import gradbox
from gradbox import localize
from gradbox.auto.fitted import Fitted
from gradbox.datasets import load_dataset
from gradbox.models.load import SCENES, load_classifier

pytestmark = pytest.mark.slow
SCENE = load_dataset("scenes:10,seed=90").samples


def png(index: int) -> bytes:
    """A scene as a file."""
    source = SCENE[index].source
    assert callable(source)
    stream = io.BytesIO()
    Image.fromarray(source()).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    words = ("--model", SCENES, "--no-foreground", "--max-mb", "1", "--out", "drawn")
    with web(folder, *words) as (found, _):
        yield found


@pytest.fixture(scope="module")
def opened(address: str) -> Iterator[Page]:
    with chromium(address) as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    opened.open()
    return opened


@pytest.mark.parametrize("by", ["drop", "paste"])
def test_an_image_is_shown_with_its_class_map_boxes_and_mask(page: Page, by: str) -> None:
    """What stands in the table is what `localize` finds, and changes as the user asks."""
    page.hand(("scene.png", png(0)), by=by)
    first = until(lambda: page.source("#left img"))
    assert "scene.png: 224 x 224 pixels" in page.text("body")
    classifier, rgb = load_classifier(SCENES), np.asarray(Image.open(io.BytesIO(png(0))))
    found = localize(rgb, classifier, method="auto(foreground=false)")
    assert page.text("#left td") == found.names[0]
    assert cells(page)[2:6] == [f"{edge:.0f}" for edge in found.boxes[0]]
    if by == "paste":
        return
    page.choose("#class", "snail")
    second = until(lambda: changed(page, first))
    assert cells(page)[0] == "snail"
    page.choose("#left .box", "mass")
    third = until(lambda: changed(page, second))
    floor, *others = until(lambda: page.all("#left input[type=range]"))
    assert len(others) == 2
    before = cells(page)
    page.slide(floor, 0.9)
    fourth = until(lambda: changed(page, third))
    at = localize(
        rgb, classifier, method="auto(foreground=false)", box="mass(0.9)", labels=["snail"]
    )
    assert cells(page) != before
    assert cells(page)[2:6] == [f"{edge:.0f}" for edge in at.boxes[0]]
    page.choose("#right .method", "gradcam")
    until(lambda: page.source("#right img"))
    page.driver.find_element("xpath", "//label[contains(., 'Mask')]//input").click()
    until(lambda: changed(page, fourth))
    assert picture(page).width > 3 * 480
    link = page.driver.find_element("css selector", "#left a[download$=json]")
    with urllib.request.urlopen(link.get_attribute("href")) as stream:  # noqa: S310 (its own data)
        line = json.load(stream)
    assert line["names"] == ["snail"]
    assert (line["method"], line["box"], line["floor"]) == ("auto", "mass", 0.9)
    assert line["mask"]["size"] == [224, 224]
    page.choose("#class", "<b>no class</b>")
    assert "has no class '<b>no class</b>'" in until(lambda: page.text("#left .problem"))


def cells(page: Page) -> list[str]:
    return [one.text for one in page.all("#left td")][:7]


def changed(page: Page, before: str) -> str | None:
    now = page.source("#left img")
    return now if now != before else None


def picture(page: Page) -> Image.Image:
    with urllib.request.urlopen(page.source("#left img")) as stream:  # noqa: S310 (its own data)
        return Image.open(io.BytesIO(stream.read()))


def test_an_example_is_one_click_away(page: Page) -> None:
    examples = until(
        lambda: page.all("#examples button.thumbnail-item, #examples .grid-container button")
    )
    assert len(examples) >= 5
    examples[-1].click()
    assert until(lambda: page.source("#left img")).startswith("data:image/jpeg")
    assert "pixels" in page.text("body")


HOSTILE = {
    "text.jpg": (b"hello", "text.jpg: this is no image of a known format"),
    "empty.png": (b"", "empty.png: the file is empty"),
    "cut.png": (png(0)[:20_000], "cut.png: the image is broken"),
    "thin.png": ((20_000, 1), "thin.png: the image has 20,000 x 1 pixels, one side more than 50"),
    "bomb.png": ((13_000, 13_000), "bomb.png: the image has 13,000 x 13,000 pixels, more than 50"),
    "large.jpg": (b"x" * 1_100_000, 'exceed the maximum allowed size of 1.0 Mb: "large.jpg"'),
    "<b>x</b>.png": (b"hello", ": this is no image of a known format"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_upload_is_one_clear_line(name: str, page: Page, folder: Path) -> None:
    content, line = HOSTILE[name]
    if isinstance(content, tuple):
        stream = io.BytesIO()
        Image.new("1", content).save(stream, "PNG")
        content = stream.getvalue()
    page.hand((name, content))
    said = until(lambda: page.text(".problem") or page.text(".toast-body"))
    assert line in said
    assert_no_path(page.driver.page_source, folder)
    page.hand(("scene.png", png(1)))  # and the next image is looked at as if nothing had been
    until(lambda: page.source("#left img"))


def assert_no_path(source: str, folder: Path) -> None:
    """No folder is named, but for Gradio's own of temporary files, whose name says nothing."""
    rest = re.sub(rf"{folder}/gradbox-web-\w+", "", source)
    for secret in (folder, Path.home(), Path(gradbox.__file__).parents[1], sys.prefix):
        assert f"{secret}/" not in rest


def test_boxes_are_drawn_fitted_and_the_fit_is_used(page: Page, folder: Path) -> None:
    """The boxes on disk are those that were drawn, to a pixel of the screen."""
    until(lambda: [one for one in page.all("button[role=tab]") if "Draw" in one.text])[0].click()
    until(lambda: page.all(".drop"))
    page.hand(*((sample.image_id, png(i)) for i, sample in enumerate(SCENE)))
    until(lambda: "0 boxes on 0 of 10 images; 10 more images needed" in page.text("#counts"))
    page.all("#fit")[0].click()
    assert "0 images have a box: draw on at least 10" in until(
        lambda: page.text("#fitted .problem")
    )
    for i, sample in enumerate(SCENE):
        until(lambda sample=sample: shown(page).startswith(sample.image_id))
        canvas = until(lambda: page.all("#annotator canvas"))[0]
        width, height = canvas.size["width"], canvas.size["height"]
        scale = min(width, height) / 224
        xmin, ymin, xmax, ymax = ((sample.boxes[0] - 112) * scale).tolist()
        page.drag(canvas, (xmin, ymin, xmax, ymax))
        until(lambda i=i: f"{i + 1} boxes on {i + 1} of 10" in page.text("#counts"))
        next(one for one in page.all("button") if one.text == "Next").click()
    page.all("#fit")[0].click()
    table = until(lambda: page.text("#fitted table"), 120)
    rows = ["before", "after", "center(0.8)", "center(mean)", "whole"]
    assert [line.split()[0] for line in table.splitlines()[1:]] == rows
    with (folder / "drawn" / "boxes.csv").open() as stream:
        drawn = {
            row["image"]: [float(row[edge]) for edge in ("xmin", "ymin", "xmax", "ymax")]
            for row in csv.DictReader(stream)
        }
    for sample in SCENE:
        np.testing.assert_allclose(drawn[sample.image_id], sample.boxes[0], atol=1.5)
    fitted = Fitted.load(folder / "drawn" / "fit-1.safetensors")
    assert f"{100 * fitted.rungs[0].corloc:.1f}" in table.splitlines()[1]
    page.all("button[role=tab]")[0].click()
    until(lambda: page.all("#right .method input"))
    page.choose("#right .method", "auto, fit-1")
    page.hand(("scene.png", png(2)))
    until(lambda: page.source("#right img"))
    page.open()  # what was drawn is there in a new page
    until(lambda: [one for one in page.all("button[role=tab]") if "Draw" in one.text])[0].click()
    until(lambda: "10 boxes on 10 of 10 images" in page.text("#counts"))


def shown(page: Page) -> str:
    return page.all("#image input")[0].get_attribute("value")


def test_nothing_leaves_the_machine(page: Page, address: str) -> None:
    """Chromium's own record of what was asked for, in all that this browser has done."""
    page.hand(("scene.png", png(0)))
    until(lambda: page.source("#left img"))
    asked = page.addresses()
    assert len(asked) > 20
    assert {url for url in asked if not url.startswith(address)} == set()
    page.driver.set_script_timeout(20)
    ended = (
        "const done = arguments[1]; fetch(arguments[0]).then(() => done('sent'), () => done('no'))"
    )
    assert page.driver.execute_async_script(ended, "http://127.0.0.1:9/") == "no"
    refused = [one["message"] for one in page.log("browser")]
    assert any("Content Security Policy" in one for one in refused)  # not tried, and refused there


def status(address: str, path: str, **headers: str) -> int:
    request = urllib.request.Request(address + path, headers=headers)  # noqa: S310 (http, ours)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/proxy=http://example.org",
        "/gradio_api/mcp/sse",
        "/gradio_api/runs",
        "/monitoring",
        "/docs",
        "/openapi.json",
    ],
)
def test_doors_of_gradio_that_the_page_does_not_need_are_closed(address: str, path: str) -> None:
    """The command was started with GRADIO_ALLOWED_PATHS=/, which would open the first of them."""
    assert status(address, path) in (400, 403, 404)
    assert status(address, "/") == 200


def test_it_answers_this_machine_alone(address: str) -> None:
    assert status(address, "/", Host="evil.example") == 403
    assert status(address, "/", Origin="http://evil.example") == 403
    port = int(address.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it tells the address to the outside
        outside = probe.getsockname()[0]
    if not outside.startswith("127."):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((outside, port), timeout=5)


def test_no_endpoint_can_be_called_by_name(address: str) -> None:
    with urllib.request.urlopen(f"{address}/gradio_api/info", timeout=20) as stream:  # noqa: S310
        assert json.load(stream) == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_it_ends_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with web(tmp_path, "--model", SCENES, "--method", "sensitivity") as (_, process):
        assert list(tmp_path.glob("gradbox-web-*"))
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert [one.name for one in tmp_path.iterdir()] == ["web.log"]
    assert "Traceback" not in (tmp_path / "web.log").read_text()
