"""The report: one file that needs nothing else, the same each time, and a table that sorts."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradbox.reports.report import FEW, Case, write_report
from gradbox.results.failures import Failures
from gradbox.scores.boxes import Scores, Unit
from gradbox.scores.units import summary

TRUTH = np.array([[10.0, 10.0, 50.0, 50.0]])


def metrics(widths: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Scores of boxes of these widths, by class, against a true one that is 40 wide."""
    images = count()
    units = [
        Unit.of(
            next(images),
            np.array([10.0, 10.0, 10.0 + width, 50.0]),
            TRUTH,
            (100, 100),
            label=label,
            recognized=width > 20,
            pointed=True,
        )
        for label, of_class in widths.items()
        for width in of_class
    ]
    return {"supervision": "none", **summary(Scores.of(units))}


FIRST = metrics({"ant": [40] * FEW, "bee": [40, 10, 10], "<b>wasp</b>": [10] * (FEW - 1)})
BASELINE = {**metrics({"ant": [20] * 5}), "oracle": True}


def write(
    path: Path,
    runs: Mapping[str, Any],
    cases: Sequence[Case] = (),
    baseline: Mapping[str, Any] = BASELINE,
) -> str:
    write_report(
        path,
        title="a <title>",
        runs=runs,
        context={"baselines": {"center(0.8)": baseline}, "problems": ["2 images of one colour"]},
        cases=cases,
        failures=Failures([("torn.jpg", "the file is truncated")]),
        facts={"call": {"method": "sensitivity"}},
    )
    return path.read_text("utf-8")


def picture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (500, 1000, 3))
    return noise.astype(np.uint8)


def test_it_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    """What a browser would fetch: each src, href and url() is inside the file."""
    text = write(tmp_path / "report.html", {"one": FIRST}, [Case("best", "a.png", picture())])
    fetched = re.findall(r"""(?:src|href|srcset|action|data)\s*=\s*["']?([^"'\s>]+)""", text)
    fetched += re.findall(r"""url\(["']?([^)"']+)""", text)
    assert any(place.startswith("data:image/jpeg;base64,") for place in fetched)
    assert all(place.startswith(("data:", "#")) for place in fetched)
    assert not re.search(r"<link|@import|<!DOCTYPE svg|<\?xml|<iframe", text)
    addresses = set(re.findall(r"https?://[^\"'\s<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_it_says_what_it_was_given(tmp_path: Path) -> None:
    """CorLoc by hand: 11 of 22 units are hit; the pointing game hits all."""
    text = write(tmp_path / "report.html", {"sensitivity | mass": FIRST})
    for said in (
        "a &lt;title&gt;",
        "22 images, 22 scored units",
        "sensitivity | mass",
        "<td>50.0<small>",
        "<td>100.0</td>",
        "2 images of one colour",
        "torn.jpg: the file is truncated",
        "&#34;method&#34;: &#34;sensitivity&#34;",
        "oracle",
    ):
        assert said in text
    assert text.count("</svg>") == 2 + 5  # a swatch each row, and the figures
    assert "<b>wasp" not in text


def test_small_classes_are_marked(tmp_path: Path) -> None:
    text = write(tmp_path / "report.html", {"one": FIRST})
    marked = re.findall(r'<tr class="few">\s*<td>([^<]+)</td>', text)
    assert marked == ["&lt;b&gt;wasp&lt;/b&gt; *", "bee *"]


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the clock, of chance or of what was drawn before is in it."""
    first = write(tmp_path / "a.html", {"one": FIRST}, [Case("best", "a.png", picture())])
    write(tmp_path / "b.html", {"other": BASELINE})
    assert write(tmp_path / "c.html", {"one": FIRST}, [Case("best", "a.png", picture())]) == first


def test_a_full_gallery_stays_below_three_megabytes(tmp_path: Path) -> None:
    """Twelve pictures of noise, which compresses worst."""
    cases = [Case("best", f"{i}.png", picture(i)) for i in range(12)]
    write(tmp_path / "report.html", {"one": FIRST}, cases)
    assert (tmp_path / "report.html").stat().st_size < 3_000_000


def test_many_runs_differ_in_their_lines(tmp_path: Path) -> None:
    """No two rows of twelve have the same swatch."""
    compared = {
        **FIRST,
        "difference": {"corloc": [-0.1, -0.2, 0.0], "mean_iou": [0, 0, 0]},
        "mcnemar": 0.25,
        "seconds_per_image": 0.0123,
    }
    text = write(tmp_path / "report.html", {f"run {i}": compared for i in range(12)})
    table = text[text.index('<table id="scores">') : text.index("</table>")]
    swatches = re.findall(r'stroke="(#\w+)" stroke-width="4" stroke-dasharray="([\d ]*)"', table)
    assert len(swatches) == 13
    assert len(set(swatches)) == 13
    for said in ("-10.0<small>-20.0 to 0.0</small>", "0.250", "0.012"):
        assert said in table


def test_the_figure_by_recognition_has_the_runs_that_know_it(tmp_path: Path) -> None:
    """The attention map knows no class; two networks recognize different numbers of images."""
    runs = {
        "none": {**FIRST, "by_recognized": None},
        "some": FIRST,
        "all": metrics({"ant": [40] * FEW, "bee": [40] * 3, "<b>wasp</b>": [40] * (FEW - 1)}),
    }
    compared = {name: {**run, "seconds_per_image": 1.0} for name, run in runs.items()}
    text = write(tmp_path / "report.html", compared)
    assert "Success by recognition" in text
    few = FEW + 1  # of 2 * few images: all those of ants, and one bee
    for said in (f"{few} to {2 * few}", f"0 to {few}"):
        assert f"n = {said}" in text


def filled(iou: float) -> dict[str, Any]:
    """Mask scores of 22 images with this IoU, precision and boundary F, and a recall of 1."""
    means = dict.fromkeys(("mean_iou", "mean_precision", "mean_boundary_f"), iou)
    means["mean_recall"] = 1.0
    return {"n_masks": 22, **means, **{f"{key}_interval": [0.125, 0.875] for key in means}}


def test_masks_have_a_table_where_they_are_known(tmp_path: Path) -> None:
    """A run with a mask has two rows, one without has its box, and the true box stands last."""
    perfect = {"true_box_filled": filled(0.75)}
    own = filled(0.5)
    own["difference"] = {"mean_iou": [0.25, 0.2, 0.3], "mean_boundary_f": [-0.01, None, None]}
    runs = {
        "dam": {**FIRST, "masks": {"mask": own, "box_filled": filled(0.25), **perfect}},
        "sensitivity | mass": {**FIRST, "masks": {"box_filled": filled(0.625), **perfect}},
    }
    constant = {**BASELINE, "masks": {"box_filled": filled(0.375)}}
    text = write(
        tmp_path / "report.html",
        {n: {**r, "seconds_per_image": 1.0} for n, r in runs.items()},
        baseline=constant,
    )
    table = text[text.index('<table id="masks">') :]
    table = table[: table.index("</table>")]
    cells = re.findall(
        r'<td>([^<]+)</td><td class="left">([^<]+)</td>\s*<td>([\d.]+)<small>', table
    )
    assert cells == [
        ("dam", "own mask", "50.0"),
        ("dam", "box, filled", "25.0"),
        ("sensitivity | mass", "box, filled", "62.5"),
        ("center(0.8) (oracle)", "box, filled", "37.5"),
        ("true box (oracle)", "box, filled", "75.0"),
    ]
    assert table.count("12.5 to 87.5") == 5 * 4
    assert table.count("<td>25.0<small>20.0 to 30.0</small></td>") == 1
    assert table.count("<td>-1.0<small></small></td>") == 1
    assert 'id="masks"' not in write(tmp_path / "other.html", {"one": {**FIRST, "masks": {}}})


def of_all_boxes(ap: float, *, by_class: bool = True) -> dict[str, Any]:
    """Scores of all boxes at both thresholds, with another recall at each."""
    numbers = {"ap30": ap, "ap50": ap / 2, "recall30": 0.625, "recall50": 0.375}
    counts = {"n_true_boxes": 40, "n_predicted_boxes": 44, "n_classes": 3}
    return {"by_class": by_class, **numbers, **counts, "ap50_interval": [0.125, 0.875]}


def test_all_boxes_have_a_table_where_they_were_scored(tmp_path: Path) -> None:
    """A run of several classes, one without, a baseline; what version 0.1 wrote has none."""
    runs = {
        "dam": {**FIRST, "detection": of_all_boxes(0.5)},
        "mass": {**FIRST, "detection": of_all_boxes(0.25, by_class=False)},
    }
    text = write(
        tmp_path / "report.html",
        {n: {**r, "seconds_per_image": 1.0} for n, r in runs.items()},
        baseline={**BASELINE, "detection": of_all_boxes(0.125)},
    )
    table = text[text.index('<table id="detections">') :]
    table = table[: table.index("</table>")]
    rows = re.findall(
        r'<td>([^<]+)</td><td class="left">([^<]+)</td>\s*<td>([\d.]+)</td><td>([\d.]+)<', table
    )
    assert rows == [
        ("dam", "of its class", "50.0", "25.0"),
        ("mass", "any", "25.0", "12.5"),
        ("center(0.8) (oracle)", "of its class", "12.5", "6.2"),
    ]
    assert table.count("<td>62.5</td><td>37.5</td><td>44</td>") == 3
    assert "all 40 true boxes" in text
    assert 'id="detections"' not in write(tmp_path / "other.html", {"one": FIRST})


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no chromium here to open the report in")
    return found


def dump(page: Path, profile: Path) -> str:
    """The document after its scripts have run."""
    command = [
        chromium(),
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--user-data-dir={profile}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clicks", "order"),
    [
        ([], ["<b>wasp</b>", "ant", "bee"]),
        ([0], ["<b>wasp</b>", "ant", "bee"]),
        ([0, 0], ["bee", "ant", "<b>wasp</b>"]),
        ([1], ["ant", "<b>wasp</b>", "bee"]),  # 10, 9 and 3 units: as numbers, not as text
        ([1, 1], ["bee", "<b>wasp</b>", "ant"]),
        ([2], ["ant", "bee", "<b>wasp</b>"]),  # CorLoc 100, 33.3 and 0
    ],
)
def test_a_browser_sorts_the_classes(clicks: list[int], order: list[str], tmp_path: Path) -> None:
    text = write(tmp_path / "plain.html", {"one": FIRST})
    clicking = "".join(f"table.tHead.rows[0].cells[{column}].click();" for column in clicks)
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{clicking}</script></body>"), "utf-8")
    document = dump(page, tmp_path / "profile")
    rows = document[document.index('<table id="classes">') :]
    names = re.findall(r"<tr[^>]*>\s*<td>([^<]+?)(?: \*)?</td>", rows)
    assert [name.replace("&lt;", "<").replace("&gt;", ">") for name in names] == order
