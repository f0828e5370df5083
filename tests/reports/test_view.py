"""`gradbox view`: the page says what the run says, and a browser filters, sorts and walks it."""

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser
from commands import run
from PIL import Image

from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.reading import Reading
from gradbox.reports import view as view_module
from gradbox.reports.view import write_view

HOSTILE = "</script><img src=x onerror=alert(1)>.png"


@pytest.fixture
def boxes(discs: Path, card: Path, tmp_path: Path) -> Path:
    """A run with heat maps over 24 images, one of a hostile name and one that is broken."""
    (discs / "images" / "03.png").rename(discs / "images" / HOSTILE.replace("/", "-"))
    (discs / "images" / "23.png").write_bytes(b"no image")
    how = ("--method", "sensitivity", "--top", 2, "--save-maps", tmp_path / "maps", "--quiet")
    out = tmp_path / "boxes"
    assert run("locate", discs / "images", "--model", card, "--out", out, *how) == 1
    return out


def records_of(page: Path) -> list[dict[str, Any]]:
    found = re.search(r'<script id="records"[^>]*>(.*?)</script>', page.read_text("utf-8"), re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_says_what_the_run_says(boxes: Path, discs: Path) -> None:
    assert run("view", boxes) == 0
    lines = map(json.loads, (boxes / "predictions.jsonl").read_text("utf-8").splitlines())
    records = records_of(boxes / "view.html")
    assert not (boxes / "view_files").exists()
    for record, line in zip(records, lines, strict=True):
        assert record["id"] == line["image"]
        if "error" in line:
            assert record["error"] == line["error"]
            continue
        assert record["names"] == line["names"]
        np.testing.assert_allclose(record["boxes"], line["boxes"], atol=0.051)  # one decimal
        np.testing.assert_allclose(record["scores"], line["scores"], atol=0.00051)
        photo = Image.open(io.BytesIO(base64.b64decode(record["photo"].partition(",")[2])))
        original = Image.open(discs / "images" / record["id"])
        assert photo.size == original.size == (100, 80)  # smaller than a thumbnail: left as it is
        difference = np.abs(np.asarray(photo, float) - np.asarray(original, float))
        assert difference.mean() < 12  # JPEG of noise
        assert record["map"].startswith("data:image/jpeg")
        assert record["map"] != record["photo"]


def test_no_name_of_an_image_becomes_part_of_the_page(boxes: Path) -> None:
    run("view", boxes)
    text = (boxes / "view.html").read_text("utf-8")
    assert "<img src=x" not in text
    assert any("<img src=x" in record["id"] for record in records_of(boxes / "view.html"))


def test_many_thumbnails_lie_beside_the_page_and_are_not_made_again(
    boxes: Path, discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "EMBEDDED", 1000)
    page = tmp_path / "look" / "page.html"
    files = page.with_name("page_files")
    assert write_view(boxes, page).files == files
    (files / "mine.jpg").write_bytes(b"of the user")
    first = {file: file.stat().st_mtime_ns for file in files.iterdir()}
    named = {r[key] for r in records_of(page) for key in ("photo", "map") if r[key]}
    assert {f"page_files/{file.name}" for file in first} == {*named, "page_files/mine.jpg"}
    assert len(named) == 2 * 23
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(discs / "images" / "00.png")
    write_view(boxes, page)
    again = {file: file.stat().st_mtime_ns for file in files.iterdir()}
    assert len(again) == len(first)
    same = {file for file in first if again.get(file) == first[file]}
    assert len(first) - len(same) == 2  # photo and map of the image that has changed
    assert (files / "mine.jpg").exists()
    monkeypatch.setattr(view_module, "EMBEDDED", 10**9)
    write_view(boxes, page)
    assert [file.name for file in files.iterdir()] == ["mine.jpg"]


def test_images_that_have_moved_or_changed_are_said(
    boxes: Path, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(discs / "images", tmp_path / "moved")
    Image.new("RGB", (10, 10)).save(tmp_path / "moved" / "00.png")
    assert run("view", boxes) == 0
    assert "23 of 24 images have no thumbnail" in capsys.readouterr().err
    assert run("view", boxes, "--images", tmp_path / "moved") == 0
    said = capsys.readouterr().err
    assert "1 of 24 images have no thumbnail, such as 00.png" in said
    assert "was 80 x 100 pixels and is 10 x 10" in said


@pytest.mark.slow
def test_a_sample_is_random_and_in_order(boxes: Path, tmp_path: Path) -> None:
    """Each of 24 images is in a sample of 6 with probability 1/4."""
    page = tmp_path / "page.html"
    names = [record["id"] for record in records_of(write_view(boxes, page).page)]
    counts = dict.fromkeys(names, 0)
    for seed in range(40):
        write_view(boxes, page, limit=6, seed=seed)
        sample = [record["id"] for record in records_of(page)]
        assert len(sample) == 6
        assert sample == sorted(sample, key=names.index)
        for name in sample:
            counts[name] += 1
    assert min(counts.values()) >= 1  # 10 in the mean; less than 1 has a probability of 2e-4
    assert max(counts.values()) <= 22


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere holds no run: give the --out of one"),
        (("boxes", "--out", "page.txt"), "a page ends in .html"),
        (("boxes", "--images", "nowhere"), "--images nowhere is no folder"),
        (("boxes", "--maps", "nowhere"), "nowhere holds no maps"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: tuple[str, ...],
    said: str,
    boxes: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(boxes.parent)
    capsys.readouterr()
    assert run("view", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_run_that_is_damaged_or_too_large_is_said(
    boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = boxes / "view.html"
    monkeypatch.setattr(view_module, "MOST", 20)
    with pytest.raises(UsageError, match="more than 20 images, too many for a page: --limit"):
        write_view(boxes, page)
    lines = (boxes / "predictions.jsonl").read_text("utf-8")
    (boxes / "predictions.jsonl").write_text(lines.replace('"boxes"', '"boxen"', 1), "utf-8")
    with pytest.raises(UsageError, match=r"predictions\.jsonl is damaged"):
        write_view(boxes, page, limit=5)
    (boxes / "predictions.jsonl").unlink()
    with pytest.raises(UsageError, match="holds no finished run"):
        write_view(boxes, page)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(),
        Preprocessing(size=(128, 96), resize=160, color="BGR", scale=255.0, reduced=True),
        Preprocessing(mean=(0.5,), std=(0.25,), reading=Reading(range="asinh", channels=(1,))),
    ],
)
def test_a_preprocessing_is_read_back_from_its_text(preprocessing: Preprocessing) -> None:
    again = Preprocessing.of_text(str(preprocessing), preprocessing.reading)
    assert again == preprocessing
    assert (again.reduced, again.reading) == (preprocessing.reduced, preprocessing.reading)


@pytest.mark.slow
def test_a_browser_filters_sorts_and_walks(boxes: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    run("view", boxes)
    records = records_of(boxes / "view.html")
    good = [record for record in records if "error" not in record]
    with browser() as window:
        window.get((boxes / "view.html").as_uri())

        def css(selector: str) -> Any:
            return window.find_element("css selector", selector)

        def names() -> list[str]:
            script = "return [...cells].sort((a, b) => a[0] - b[0]).map((one) => one[1].title)"
            return window.execute_script(script)

        def count() -> str:
            return css("#count").text

        def press(*keys: str) -> None:
            ActionChains(window).send_keys(*keys).perform()

        assert count() == "24 of 24 images"
        assert names()[:3] == [record["id"] for record in records[:3]]
        # By class: only images with a box of it, and the boxes of others are dashed.
        name = good[0]["names"][0]
        having = [record for record in good if name in record["names"]]
        Select(css("[name=name]")).select_by_value(name)
        assert count() == f"{len(having)} of 24 images"
        dashed = sum(one != name for one in having[0]["names"])
        assert len(window.find_elements("css selector", "#cell-0 rect.other")) == dashed
        css("[type=reset]").click()
        # By score, lowest first.
        Select(css("[name=order]")).select_by_value("low")
        window.execute_script("window.scrollTo(0, 0)")
        shown = names()
        scores = {record["id"]: max(record.get("scores", [-1])) for record in records}
        assert [scores[name] for name in shown] == sorted(scores.values())[: len(shown)]
        low = css("[name=low]")
        low.clear()
        low.send_keys(f"{np.median(list(scores.values())):.3f}")
        least = float(low.get_attribute("value"))
        above = sum(score >= least for score in scores.values())
        assert count() == f"{above} of 24 images"
        css("[type=reset]").click()
        # Keys: the failed, the search, the walk, one image alone, its map.
        css("#grid").send_keys("f")
        assert count() == "1 of 24 images"
        assert css("#cell-0 .failed").text == next(
            one["error"] for one in records if "error" in one
        )
        press("f", "/", "07", Keys.ENTER)
        assert count() == "1 of 24 images"
        css("[type=reset]").click()
        css("#grid").send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ENTER)
        assert css("#one h3").text == records[1]["id"]
        assert len(window.find_elements("css selector", "#one rect")) == len(records[1]["boxes"])
        assert css("#one img").get_attribute("src") == records[1]["photo"]
        press("m")
        assert css("#one img").get_attribute("src") == records[1]["map"]
        press("m", Keys.ARROW_RIGHT)
        assert css("#one h3").text == records[2]["id"]
        press(Keys.ESCAPE)
        assert not css("#one").is_displayed()
        # The mouse shows a map, and takes it away.
        ActionChains(window).move_to_element(css("#cell-0 img")).perform()
        assert css("#cell-0 img").get_attribute("src") == records[0]["map"]
        ActionChains(window).move_to_element(css("h1")).perform()
        assert css("#cell-0 img").get_attribute("src") == records[0]["photo"]
        assert window.get_log("browser") == []
