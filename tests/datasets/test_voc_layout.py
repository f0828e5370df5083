"""`voc:DIR@YEAR/SPLIT` on a tiny VOCdevkit."""

import pytest

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError


@pytest.fixture(params=["VOCdevkit/VOC2007", "VOC2007"])
def devkit(request, photo, xml, text, tmp_path):
    base = request.param
    for stem in ("000001", "000002", "000009"):
        photo(f"{base}/JPEGImages/{stem}.jpg")
    xml(f"{base}/Annotations/000001.xml", ("dog", 1, 2, 40, 30), ("person", 5, 6, 7, 8, True))
    xml(f"{base}/Annotations/000002.xml", ("cat", 5.5, 6, 7.25, 8), ("cat", 9, 9, 9, 9))
    xml(f"{base}/Annotations/000009.xml", ("cow", 1, 1, 2, 2))
    text(f"{base}/ImageSets/Main/test.txt", "000002\n000001\n")
    text(f"{base}/ImageSets/Main/cow_test.txt", "000002 -1\n000009  1\n")
    return tmp_path


def test_inclusive_pixels_from_one_become_half_open_from_zero(devkit):
    dataset = load_dataset(f"voc:{devkit}@2007/test")
    dog, cat = dataset.samples
    # By hand: the whole 40x30 image but its first row; a box of the single pixel 9 has area 1.
    assert dog.boxes.tolist() == [[0, 1, 40, 30]]
    assert cat.boxes.tolist() == [[4.5, 5, 7.25, 8], [8, 8, 9, 9]]
    assert (dog.image_id, dog.labels, dog.label, dog.size) == (
        "000001.jpg",
        ("dog",),
        "dog",
        (30, 40),
    )
    assert dataset.class_names == ("cat", "dog")
    assert dataset.problems == ()
    assert dog.source.is_file()


def test_difficult_objects_on_request(devkit):
    dog = load_dataset(f"voc:{devkit}@2007/test,difficult").samples[0]
    assert (dog.labels, dog.label) == (("dog", "person"), None)
    assert dog.boxes[1].tolist() == [4, 5, 7, 8]


def test_the_folder_may_be_the_devkit_or_the_year_itself(devkit):
    base = next(devkit.rglob("VOC2007"))
    expected = [s.image_id for s in load_dataset(f"voc:{devkit}@2007/test").samples]
    for directory in (base, base.parent):
        assert [s.image_id for s in load_dataset(f"voc:{directory}@2007/test").samples] == expected


def test_an_unknown_split_names_those_there_are(devkit):
    with pytest.raises(UsageError, match=r"there is no split .*tst\.txt.*splits: test$"):
        load_dataset(f"voc:{devkit}@2007/tst")


def test_the_year_has_to_be_there(devkit):
    base = next(devkit.rglob("VOC2007"))
    with pytest.raises(UsageError, match="VOC2012"):
        load_dataset(f"voc:{base}@2012/test")


@pytest.mark.parametrize("part", ["2007", "/test", "2007/", "2007/test,easy", "2007/test,"])
def test_a_wrong_part_is_told_what_to_type(part, devkit):
    with pytest.raises(UsageError, match=r"write YEAR/SPLIT.*voc:DIR@2007/test"):
        load_dataset(f"voc:{devkit}@{part}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<annotation><object>", "not an XML annotation"),
        ("<annotation><object><name>cat</name></object></annotation>", "xmin: None"),
        (
            "<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax>"
            "<ymax>2</ymax></bndbox></object></annotation>",
            "an object has no name",
        ),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding: klingon"),
        ('<?xml version="1.0" encoding="utf-7"?><annotation/>', "multi-byte encodings"),
        ('<?xml version="1.0" encoding="idna"?><annotation/>', "decoding with 'idna' codec"),
        ("<annotation><size><width>-1</width><height>1</height></size></annotation>", "width -1"),
        ("<annotation><size><width>1e400</width><height>1</height></size></annotation>", "1e400"),
    ],
)
def test_a_broken_annotation_is_named(content, reason, devkit):
    next(devkit.rglob("000001.xml")).write_text(content)
    with pytest.raises(UsageError, match=rf"000001\.xml.*{reason}"):
        load_dataset(f"voc:{devkit}@2007/test")


def test_an_annotation_that_is_a_folder_is_named(devkit):
    path = next(devkit.rglob("000001.xml"))
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match=r"there is no file .*000001\.xml"):
        load_dataset(f"voc:{devkit}@2007/test")


def test_missing_annotations_and_images_are_problems(devkit):
    next(devkit.rglob("000001.xml")).unlink()
    next(devkit.rglob("000002.jpg")).unlink()
    dataset = load_dataset(f"voc:{devkit}@2007/test")
    assert len(dataset.samples) == 2
    assert dataset.problems == (
        "1 of 2 images listed, but there is no such file, such as 000002.jpg",
        "1 of 2 images without boxes, such as 000001.jpg",
    )


def test_a_name_may_hold_what_only_split_takes_for_a_blank(devkit):
    # A list parts its columns by blanks; U+0085, a vertical tab and U+2028 are none.
    base, name = next(devkit.rglob("VOC2007")), "a\x85b\x0bc\u2028d"
    for path in (base / "JPEGImages/000001.jpg", base / "Annotations/000001.xml"):
        path.rename(path.with_stem(name))
    (base / "ImageSets/Main/test.txt").write_text(f"{name}\t-1\n\n 000002\r\n", "utf-8")
    dataset = load_dataset(f"voc:{devkit}@2007/test")
    assert [s.image_id for s in dataset.samples] == ["000002.jpg", f"{name}.jpg"]
    assert dataset.problems == ()


def test_a_name_too_long_for_a_file_is_a_missing_one(devkit):
    next(devkit.rglob("test.txt")).write_text("x" * 5000)
    assert "no such file" in load_dataset(f"voc:{devkit}@2007/test").problems[0]
    with pytest.raises(UsageError, match=r"there is no split .*xxx"):
        load_dataset(f"voc:{devkit}@2007/{'x' * 5000}")
    with pytest.raises(UsageError, match=r"there is no folder .*VOCxxx"):
        load_dataset(f"voc:{devkit}@{'x' * 5000}/test")
