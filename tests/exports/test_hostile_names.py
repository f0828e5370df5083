"""Each format is read back by its own reader, whatever the images and classes are called."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import supervision
import yaml
from PIL import Image

from gradbox import datasets
from gradbox.datasets import annotation
from gradbox.exports import FORMATS, About
from gradbox.exports.classes import distinct_names, printable
from gradbox.labelstudio.configuration import parse
from gradbox.localization import Localization

CLASSES = [
    *("line\nfeed", "carriage\rreturn", "both\r\n", "bell\x07", "esc\x1b[31m", "del\x7f"),
    *("next\x85line", "ls\u2028", "ps\u2029", "no\ufffecharacter", "bom\ufeff", "nul\0", "\x1d"),
    *("=1+1", "+1", "-1", "@home", "\ttab", "'=guarded", "''-twice", "'plain", "'"),
    *('quo"te', "com,ma", "semi;colon", "<&>", "]]>", "&#7;", "back\\slash", "\\n", "%s", "{0}"),
    *("null", "true", "1", "1.5", "# no comment", "a: b", "- c", "[d]", "{e}", "!f", "*g", "&h"),
    *("käfer", "猫", "😀", "e\u0301", "\u200fright to left", "x" * 300),
]
IMAGES = [
    *("line\nfeed.png", "carriage\rreturn.png", "esc\x1b[31m.png", "tab\t.png", "next\x85.png"),
    *("ls\u2028.png", "=1+1.png", "+1.png", "-1.png", "@home.png", "'=guarded.png", "\ttab.png"),
    *("com,ma.png", 'quo"te.png', "<&>.png", "%s.png", "{0}.png", "# a.png", "a: b.png", " .png"),
    *("folder/=1.png", "=folder/a.png", "käfer.png", "😀.png", "a.b.png", "del\x7f.png"),
]
FORMULA = re.compile(r"[=+\-@\t\r]")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Localization]]:
    """A folder with the images, and in each image a box of each class."""
    out = tmp_path_factory.mktemp("hostile")
    for image_id in IMAGES:
        path = out / "images" / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200, 100)).save(path)
    n = len(CLASSES)
    boxes = np.array([[i, 10, i + 20, 60] for i in range(n)], dtype=np.float64)
    return out, [
        Localization(
            image_id=image_id,
            size=(100, 200),
            boxes=boxes,
            labels=tuple(range(n)),
            label_scores=(0.5,) * n,
            scores=(0.5,) * n,
        )
        for image_id in IMAGES
    ]


def written(name: str, found: tuple[Path, list[Localization]]) -> Path:
    out, localizations = found
    return FORMATS[name](localizations, About(names=CLASSES.__getitem__), out)


@pytest.mark.parametrize("name", ["csv", "coco"])
def test_the_data_sets_give_back_every_name_as_it_was(name, found):
    path = written(name, found)
    spec = {"csv": f"csv:{found[0]}", "coco": f"coco:{found[0]}/images@{path}"}[name]
    samples = datasets.load_dataset(spec).samples
    assert [sample.image_id for sample in samples] == sorted(IMAGES)
    assert {sample.labels for sample in samples} == {tuple(CLASSES)}


def test_a_row_of_csv_is_a_box_and_no_cell_a_formula(found):
    # A second reader: Python's csv, on the file as it is, gives a row for each box and the header.
    with written("csv", found).open(encoding="utf-8", newline="") as stream:
        _, *rows = csv.reader(stream, strict=True)
    assert len(rows) == len(IMAGES) * len(CLASSES)
    assert not [cell for row in rows for cell in (row[0], row[3]) if FORMULA.match(cell)]
    # `./` before an image changes no path, so tools that know nothing of this find it.
    assert all((found[0] / "images" / row[0]).is_file() for row in rows)


def test_voc_is_xml_with_what_it_cannot_hold_as_escapes(found):
    folder = written("voc", found)
    for image_id in IMAGES:
        path = folder / "Annotations" / image_id.replace(".png", ".xml")
        # XML readers take blanks around a name for layout.
        assert annotation.read(path).labels == tuple(printable(name).strip() for name in CLASSES)


def test_yolo_has_a_line_for_each_class_and_yaml_with_the_same_names(found):
    folder = written("yolo", found)
    expected = [printable(name) for name in CLASSES]
    assert (folder / "classes.txt").read_text("utf-8").splitlines() == expected
    config = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))
    assert config["names"] == expected
    assert (folder / config["train"]).is_dir()
    assert (folder / config["val"]).is_dir()
    for image_id in IMAGES:
        lines = (folder / "labels" / image_id.replace(".png", ".txt")).read_text().splitlines()
        assert [int(line.split()[0]) for line in lines] == list(range(len(CLASSES)))


def test_supervision_reads_the_yaml_and_the_json(found):
    # A second implementation of both; it keeps the order of YOLO's names.
    images = str(found[0] / "images")
    yolo = written("yolo", found)
    read = supervision.DetectionDataset.from_yolo(
        images, str(yolo / "labels"), str(yolo / "data.yaml")
    )
    assert read.classes == [printable(name) for name in CLASSES]
    coco = supervision.DetectionDataset.from_coco(images, str(written("coco", found)))
    assert sorted(coco.classes) == sorted(CLASSES)


def test_label_studio_has_every_name_as_its_configuration_has_it(found):
    # XML holds no control characters: of those both files have the escape.
    folder = written("labelstudio", found)
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    assert [task["data"]["image"] for task in tasks] == IMAGES
    results = tasks[0]["predictions"][0]["result"]
    names = [name for result in results for name in result["value"]["rectanglelabels"]]
    assert names == [printable(name) for name in CLASSES]
    config = parse((folder / "config.xml").read_text("utf-8"))
    assert list(config.controls["rectangle"].labels) == list(dict.fromkeys(names))


def test_names_stay_distinct_when_one_is_called_like_the_index_of_another():
    # By hand: two a's get their index, and the second of them is then called as class 3 is.
    names = {1: "a", 2: "a", 3: "a (2)"}
    assert distinct_names(names, names.__getitem__) == ["a (1)", "a (2) (2)", "a (2) (3)"]
