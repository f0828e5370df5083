"""`imagenet:DIR@val|loc|folders` on tiny folders in the official layouts."""

import os

import pytest

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError

FIRST, SECOND = "ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"
IMAGES, BOXES = "ILSVRC/Data/CLS-LOC/val", "ILSVRC/Annotations/CLS-LOC/val"


def facts(dataset):
    return [(s.image_id, s.boxes.tolist(), s.labels, s.label) for s in dataset.samples]


@pytest.fixture
def val(photo, xml, text, tmp_path):
    for stem in (FIRST, SECOND):
        photo(f"{IMAGES}/{stem}.JPEG")
    xml(f"{BOXES}/{FIRST}.xml", ("n01751748", 0, 2, 40, 30), ("n01751748", 3, 4, 5, 6))
    xml(f"{BOXES}/{SECOND}.xml", ("n09193705", 7, 8, 9, 10))
    text(
        "LOC_val_solution.csv",
        f"ImageId,PredictionString\n{SECOND},n09193705 7 8 9 10 \n"
        f"{FIRST},n01751748 0 2 40 30 n01751748 3 4 5 6 \n",
    )
    return tmp_path


# Coordinates stay as written: 0 and the width itself both occur in the real files.
EXPECTED = [
    (f"{FIRST}.JPEG", [[0, 2, 40, 30], [3, 4, 5, 6]], ("n01751748",) * 2, "n01751748"),
    (f"{SECOND}.JPEG", [[7, 8, 9, 10]], ("n09193705",), "n09193705"),
]


@pytest.mark.parametrize("part", ["val", "loc"])
@pytest.mark.parametrize("below", ["", "ILSVRC"])
def test_val_and_loc_read_the_same_from_the_parent_and_from_ilsvrc(part, below, val):
    dataset = load_dataset(f"imagenet:{val / below}@{part}")
    assert facts(dataset) == EXPECTED
    assert dataset.class_names == ("n01751748", "n09193705")
    assert dataset.problems == ()


def test_val_in_flat_folders_and_in_class_folders(photo, xml, tmp_path):
    photo(f"val/{FIRST}.JPEG")
    photo(f"val/n09193705/{SECOND}.JPEG")
    xml(f"bbox/val/{FIRST}.xml", ("n01751748", 0, 2, 40, 30), ("n01751748", 3, 4, 5, 6))
    xml(f"bbox/val/{SECOND}.xml", ("n09193705", 7, 8, 9, 10))
    first, second = facts(load_dataset(f"imagenet:{tmp_path}@val"))
    assert first == EXPECTED[0]
    assert second == (f"n09193705/{SECOND}.JPEG", *EXPECTED[1][1:])


@pytest.mark.parametrize("part", ["val", "loc"])
def test_boxes_without_an_image_are_a_problem_and_a_sample(part, val):
    (val / IMAGES / f"{SECOND}.JPEG").unlink()
    dataset = load_dataset(f"imagenet:{val}@{part}")
    assert facts(dataset) == EXPECTED
    assert "no such file" in dataset.problems[0]


@pytest.mark.parametrize("part", ["val", "loc"])
def test_an_image_without_boxes_is_a_problem_and_a_sample(part, val, photo):
    photo(f"{IMAGES}/ILSVRC2012_val_00000003.JPEG")
    dataset = load_dataset(f"imagenet:{val}@{part}")
    assert facts(dataset)[2] == ("ILSVRC2012_val_00000003.JPEG", [], (), None)
    assert "without boxes" in dataset.problems[0]


@pytest.mark.parametrize(
    "annotations", ["train/Annotation", "Annotation", "ILSVRC/Annotations/CLS-LOC/train"]
)
def test_folders_scale_from_the_size_that_the_annotator_saw(annotations, photo, xml, tmp_path):
    train = "ILSVRC/Data/CLS-LOC/train" if "ILSVRC" in annotations else "train"
    photo(f"{train}/n02092002/n02092002_1.JPEG", width=80, height=90)
    photo(f"{train}/n02092002/n02092002_2.JPEG")
    photo(f"{train}/n01440764/n01440764_1.JPEG")
    # Shown at 40x30, stored at 80x90: x doubles and y triples. The word is the folder's wnid.
    xml(f"{annotations}/n02092002/n02092002_1.xml", ("Scottish_deerhound", 1, 2, 30, 20))
    xml(f"{annotations}/n01440764/n01440764_1.xml", ("n01440764", 0, 0, 40, 30))
    dataset = load_dataset(f"imagenet:{tmp_path / train}@folders")
    assert facts(dataset) == [
        ("n01440764/n01440764_1.JPEG", [[0, 0, 40, 30]], ("n01440764",), "n01440764"),
        ("n02092002/n02092002_1.JPEG", [[2, 6, 60, 60]], ("n02092002",), "n02092002"),
        ("n02092002/n02092002_2.JPEG", [], (), "n02092002"),
    ]
    assert dataset.samples[1].size == (90, 80)
    assert dataset.class_names == ("n01440764", "n02092002")


def test_folders_without_annotations_are_classes_alone(photo, tmp_path):
    photo("n01440764/a.JPEG")
    photo("loose.JPEG")
    dataset = load_dataset(f"imagenet:{tmp_path}@folders")
    assert facts(dataset) == [
        ("loose.JPEG", [], (), None),
        ("n01440764/a.JPEG", [], (), "n01440764"),
    ]
    assert dataset.class_names == ("n01440764",)
    assert dataset.problems == ()


def test_folders_keep_boxes_of_an_image_that_cannot_be_read(text, xml, tmp_path):
    text("n01440764/a.JPEG", "no image")
    xml("Annotation/n01440764/a.xml", ("n01440764", 1, 2, 3, 4))
    assert load_dataset(f"imagenet:{tmp_path}@folders").samples[0].boxes.tolist() == [[1, 2, 3, 4]]


def test_an_unknown_part_is_told_what_to_type(val):
    with pytest.raises(UsageError, match=r"did you mean loc\?.*imagenet:DIR@val, @loc or @folders"):
        load_dataset(f"imagenet:{val}@locs")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("ImageId,Boxes\n", "first line has to hold ImageId,PredictionString"),
        (f"ImageId,PredictionString\n{FIRST},n01 1 2 3\n", f"{FIRST}.*wnid xmin ymin xmax ymax"),
        (f"ImageId,PredictionString\n{FIRST},n01 1 2 x 4\n", f"{FIRST}.*'x' is not a finite"),
    ],
)
def test_a_broken_solution_file_is_refused(content, reason, val, text):
    text("LOC_val_solution.csv", content)
    with pytest.raises(UsageError, match=rf"LOC_val_solution\.csv.*{reason}"):
        load_dataset(f"imagenet:{val}@loc")


def test_a_missing_solution_file_is_named(val):
    (val / "LOC_val_solution.csv").unlink()
    with pytest.raises(UsageError, match=r"there is no file .*LOC_val_solution\.csv"):
        load_dataset(f"imagenet:{val}@loc")


def test_folders_do_not_wait_for_what_a_pipe_would_say(xml, tmp_path):
    (tmp_path / "n01440764").mkdir()
    os.mkfifo(tmp_path / "n01440764/a.JPEG")
    xml("Annotation/n01440764/a.xml", ("n01440764", 1, 2, 3, 4))
    assert load_dataset(f"imagenet:{tmp_path}@folders").samples[0].boxes.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("part", ["val", "loc"])
def test_a_name_that_is_no_utf_8_keeps_its_image_and_boxes(part, val):
    old, new = (os.fsdecode(name) for name in (FIRST.encode(), b"\xff"))
    (val / IMAGES / f"{old}.JPEG").rename(val / IMAGES / f"{new}.JPEG")
    (val / BOXES / f"{old}.xml").rename(val / BOXES / f"{new}.xml")
    table = val / "LOC_val_solution.csv"
    table.write_text(table.read_text().replace(FIRST, r"\xff"))  # as an image id has it
    dataset = load_dataset(f"imagenet:{val}@{part}")
    assert dataset.problems == ()
    assert facts(dataset)[1] == (r"\xff.JPEG", *EXPECTED[0][1:])
    assert dataset.samples[1].source.is_file()
