"""Pieces of HTML: names are text, downloads hold what is shown, and no answer has a path."""

import base64
import io
import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from networks import classifier
from PIL import Image

from gradbox.errors import UsageError
from gradbox.results.predictions import from_line
from gradbox.web.answers import FAILED, answered, found_html, problem, without_folders
from gradbox.web.explorer import Explorer

NASTY = '<script>alert("1")</script>'


def test_names_are_text_and_downloads_are_what_is_shown() -> None:
    page = Explorer.of(classifier(class_names=[NASTY] * 6), {"sensitivity": "sensitivity"})
    opened = page.open(np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8), "a&b.png")
    found = page.locate(opened, "sensitivity", mask=True)
    html = found_html(opened, found, {"method": "sensitivity"})
    assert NASTY not in html
    assert "&lt;script&gt;" in html
    picture, data = re.findall(r"data:(image/jpeg|application/json);base64,([\w+/=]+)", html)
    with Image.open(io.BytesIO(base64.b64decode(picture[1]))) as image:
        assert image.format == "JPEG"
        assert image.width > 3 * 320  # the photograph, its map and its mask side by side
    line = json.loads(base64.b64decode(data[1]))
    assert line["method"] == "sensitivity"
    assert line["image"] == "a&b.png"
    again = from_line(line, masks=True)
    np.testing.assert_allclose(again.boxes, found.boxes, atol=0.0005)
    np.testing.assert_array_equal(again.mask, found.mask)
    assert 'download="a&amp;b.json"' in html


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/home/ann/fits/fit-1.safetensors: is there", "fit-1.safetensors: is there"),
        (r"C:\Users\ann\x.png is broken", "x.png is broken"),
        ("no class 'animal/dog' (did you mean animal/dog?)", None),
        ("give 1/2 of it, or 3 / 4", None),
        ("csv:/tmp/drawn/boxes.csv, line 3", "csv:boxes.csv, line 3"),
        ("two\nlines", "two lines"),
    ],
)
def test_no_answer_has_a_path(said: str, shown: str | None) -> None:
    assert without_folders(said) == (said if shown is None else shown)


def test_what_fails_is_one_line(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    def wrong() -> str:
        raise UsageError(f"{tmp_path}/a.png: no <good>")

    def broken() -> str:
        raise RuntimeError(f"secret {tmp_path}")

    assert answered(wrong, name="b.png") == problem("b.png: a.png: no <good>")
    assert "&lt;good&gt;" in answered(wrong)
    with caplog.at_level(logging.ERROR):
        said = answered(broken)
    assert said == problem(FAILED)
    assert str(tmp_path) not in said
    assert "secret" in caplog.text  # the terminal has the whole story
