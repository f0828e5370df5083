"""The scripts for the papers' tables run, and say what was measured and what the paper has."""

import ast
import csv
import importlib
import json
import runpy
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradbox.datasets import load_dataset, scenes
from gradbox.localization import Sample
from gradbox.models.load import SCENES, load_classifier
from gradbox.models.sources import UNTRAINED

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("paper_*.py"))
Run = Callable[..., list[dict[str, str]]]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_script_imports_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gradbox"):
            module = importlib.import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                is_module = (
                    find_spec(f"{node.module}.{name}") if hasattr(module, "__path__") else None
                )
                assert hasattr(module, name) or is_module, f"{node.module}: {name}"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small scenes on disk."""
    folder = tmp_path_factory.mktemp("scenes") / "drawn"
    scenes.write(folder, 24, seed=3, size=(64, 64))
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script with the shipped classifier; the rows of its tables, by the column's title."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def call(script: str, *arguments: str, out: bool = True) -> list[dict[str, str]]:
        given = [*arguments, "--model", SCENES]
        given += ["--out", str(tmp_path / "out")] if out else []
        monkeypatch.setattr(sys, "argv", [script, *given])
        runpy.run_path(str(FOLDER / f"{script}.py"), run_name="__main__")
        rows: list[dict[str, str]] = []
        header: list[str] = []
        for line in capsys.readouterr().out.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not line.startswith("|"):
                header = []
            elif not header:
                header = cells
            elif set(line) != {"|", "-"}:
                rows.append(dict(zip(header, cells, strict=True)))
        return rows

    return call


@pytest.fixture
def papers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import papers

    return papers


def measured(folder: Path) -> dict[str, Any]:
    table = json.loads((folder / "compare.json").read_text("utf-8"))
    return {row["run"]: row for row in table["runs"]} | table["baselines"]


def test_each_script_of_a_table_is_run_here() -> None:
    assert SCRIPTS == ["paper_a_imagenet", "paper_a_sigma", "paper_a_voc", "paper_b"]


@pytest.mark.slow
def test_sigma_has_the_papers_number_beside_the_measured_one(
    run: Run, drawn: Path, tmp_path: Path
) -> None:
    rows = {row["box"]: row for row in run("paper_a_sigma", f"csv:{drawn}")}
    # Table 2 of the paper, and this run's own file.
    for sigma, paper in {10: "27.2", 20: "38.4", 30: "32.5"}.items():
        box = f"top_fraction(0.2, sigma={sigma})"
        ours = measured(tmp_path / "out")[f"sensitivity(target=layer_mean, reduce=max) | {box}"]
        assert rows[f"`{box}`"]["the paper"] == paper
        assert rows[f"`{box}`"]["CorLoc %"] == f"{100 * ours['corloc']:.1f}"
        assert rows[f"`{box}`"]["supervision"] == "none"


@pytest.mark.slow
def test_imagenet_fits_on_one_part_and_scores_the_other(
    run: Run, drawn: Path, tmp_path: Path
) -> None:
    rows = run("paper_a_imagenet", f"csv:{drawn}", "--enough", "1")
    by_name = {row["method, box"]: row for row in rows if "method, box" in row}
    ours = measured(tmp_path / "out")["sensitivity | ridge(grid=14)"]
    first = by_name["`sensitivity`, `ridge(grid=14)`"]
    assert first["supervision"] == "18 boxes"  # three quarters of 24 images of one object
    assert first["the paper"].startswith("68.76")
    assert first["CorLoc %"] == f"{100 * ours['corloc']:.1f}"
    assert by_name["`center(mean)`"]["the paper"] == "12.34"
    worst = [float(row["mean IoU"]) for row in rows if "class" in row]
    assert worst == sorted(worst)
    assert 2 <= len(worst) <= 5  # six images of twelve classes are scored


def test_the_rows_of_table_1_have_the_means_that_the_paper_prints() -> None:
    printed = {"Siva 2012": 30.2, "Shi 2013": 36.2, "Cinbis 2014": 38.8, "Li 2016": 31.8}
    printed |= {"Cho 2015": 36.6, "the paper": 41.0}  # the paper's own row is said to be 40.1
    with (FOLDER / "paper_a_voc.csv").open(encoding="utf-8") as stream:
        rows = {row.pop("method"): list(map(float, row.values())) for row in csv.DictReader(stream)}
    assert {name: len(values) for name, values in rows.items()} == dict.fromkeys(printed, 20)
    for name, values in rows.items():
        assert np.mean(values) == pytest.approx(printed[name], abs=0.05)


@pytest.mark.slow
def test_voc_fits_on_one_split_and_scores_the_classes_of_the_other(
    run: Run, drawn: Path, tmp_path: Path
) -> None:
    folder = as_voc(drawn, tmp_path / "VOC2007")
    split = f"voc:{folder}@2007"
    rows = run("paper_a_voc", f"{split}/test", "--fit", f"{split}/trainval", "--enough", "4")
    by_class = {row["class"]: row for row in rows}
    assert list(by_class) == ["cat", "dog", "mean of these classes", "all images, any box"]
    # Of the 12 images of the split each shows a dog, every third also a cat.
    assert [row["images"] for row in rows] == ["4", "12", "", "12"]
    # Twelve images with four cats beside their dogs: 16 objects, or the largest of each image.
    assert {"`ridge(grid=14, boxes=each)`, 16 boxes", "`ridge(grid=14)`, 12 boxes"} <= set(rows[0])
    assert [row["the paper"] for row in rows] == ["36.9", "29.6", "33.2", ""]  # (36.9 + 29.6) / 2


@pytest.mark.slow
def test_paper_b_scores_both_settings_and_shows_whole_histograms(run: Run, drawn: Path) -> None:
    rows = run("paper_b", f"csv:{drawn}", "--limit", "4")
    settings = {row["setting"]: row for row in rows if "mean IoU" in row}
    # The classes of scenes are no cats, cycles or bottles, so all images are the only set.
    assert {name: row["supervision"] for name, row in settings.items()} == {
        "the paper's text": "none",
        "the authors' program": "image labels",
    }
    assert all(row["images"] == "4" and row["the paper"] == "0.468" for row in settings.values())
    histograms = [row for row in rows if "0.9 to 1.0" in row]
    assert len(histograms) == 2
    for row in histograms:
        assert sum(float(share) for name, share in row.items() if " to " in name) == 100
    assert [row["0.20"] for row in rows if row.get("setting, classes") == "the paper"] == ["80"]


def test_a_class_is_scored_with_its_own_boxes_on_the_images_that_show_it(papers: Any) -> None:
    both = Sample(
        image_id="both",
        source="both.jpg",
        boxes=np.array([[0, 0, 9, 9], [1, 1, 4, 4], [5, 5, 8, 8]], dtype=np.float64),
        labels=("sofa", "cat", "cat"),
    )
    sofa = Sample(image_id="sofa", source="a.jpg", boxes=both.boxes[:1], labels=("sofa",))
    units = papers.units_of([both, sofa], {"cat"})
    assert list(units) == ["both"]
    assert units["both"][0].boxes.tolist() == [[1, 1, 4, 4], [5, 5, 8, 8]]
    assert [len(of[0].boxes) for of in papers.units_of([both, sofa]).values()] == [3, 1]


def test_labels_of_other_data_sets_mean_classes_of_voc(papers: Any) -> None:
    knows_imagenet = load_classifier("torchvision/squeezenet1_1", weights=UNTRAINED)
    meanings = {
        "airplanes": "aeroplane",  # Caltech-101's own word
        "n02123045": "cat",  # tabby
        "flamingo": "bird",
        "sheep": "sheep",
        "panda": "panda",
        "no such thing": "no such thing",
    }
    assert {label: papers.voc_class(label, knows_imagenet) for label in meanings} == meanings
    # The tenth class of another classifier is no bird.
    assert papers.voc_class("10", load_classifier(SCENES)) == "10"


def as_voc(drawn: Path, folder: Path) -> Path:
    """The scenes as VOC 2007, half of them trainval; each shows a dog, every third also a cat."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for i, sample in enumerate(load_dataset(f"csv:{drawn}").samples):
        assert isinstance(sample.source, Path)
        Image.open(sample.source).save(folder / "JPEGImages" / f"{i:02}.jpg")
        x0, y0, x1, y1 = sample.boxes[0].astype(int)
        objects = "".join(
            f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x0 + 1}</xmin>"
            f"<ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for name in (("dog", "cat") if i % 3 == 0 else ("dog",))
        )
        size = "<size><width>64</width><height>64</height><depth>3</depth></size>"
        (folder / "Annotations" / f"{i:02}.xml").write_text(
            f"<annotation>{size}{objects}</annotation>", encoding="utf-8"
        )
    for split, numbers in {"trainval": range(12), "test": range(12, 24)}.items():
        names = "\n".join(f"{i:02}" for i in numbers)
        (folder / "ImageSets/Main" / f"{split}.txt").write_text(names, encoding="utf-8")
    return folder


def test_dam_is_shown_beside_the_map_and_by_the_size_of_the_object(run: Run, drawn: Path) -> None:
    rows = run("dam", f"csv:{drawn}", "--limit", "4")
    by_run = {row["run"]: row for row in rows if "mean IoU" in row}
    assert {"`dam`", "`sensitivity`, `mass`", "`center(0.8)`"} <= set(by_run)


def test_masks_are_shown_best_first_and_what_is_left_out_counts_0(run: Run, drawn: Path) -> None:
    rows = run("masks", f"csv:{drawn}", "--limit", "4", "--dam", "dam(k=2, abstain=1)", out=False)
    shares = {row["mask"]: float(row["mean IoU %"]) for row in rows}
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert len(shares) == 8
    assert shares["`dam(k=2, abstain=1)`: union of the regions"] == 0
    assert shares["`dam(k=2, abstain=1)`: box, filled"] == 0
    assert shares["true box, filled (oracle)"] > shares["`center(0.8)`, filled"] > 0


def test_outlines_are_shown_beside_the_map_alone_on_two_halves(run: Run, drawn: Path) -> None:
    given = ("--method", "eigencam", "--box", "mass", "--limit", "2")
    halves = [
        run("outlines", f"csv:{drawn}", *given, "--half", half, out=False)
        for half in ("first", "second")
    ]
    names = ["true box, filled (oracle)", "its box, filled", "the map alone", "`--masks`"]
    assert [[row["mask"] for row in rows] for rows in halves] == [names] * 2
    true_boxes = [rows[0]["mean IoU %"] for rows in halves]
    assert true_boxes[0] != true_boxes[1]  # other images


@pytest.mark.slow
def test_black_boxes_are_shown_by_their_calls_beside_the_gradient(run: Run, drawn: Path) -> None:
    budgets = ("70", "200")
    given = ("--same", "2", "--limit", "2", "--calls", *budgets)
    rows = run("black_box", f"csv:{drawn}", *given, out=False)
    assert len(rows) == 2 * (1 + 2 * len(budgets))  # two ways to a box, three methods
    by_gradient = [row for row in rows if row["method"] == "`sensitivity`"]
    assert [float(row["IoU with the gradient's box"]) for row in by_gradient] == [1, 1]
    rise = {row["method"]: float(row["s/image"]) for row in rows if "rise" in row["method"]}
    few, many = (rise[f"`rise(calls={calls})`"] for calls in budgets)
    assert few < many  # in proportion: they come from one run
