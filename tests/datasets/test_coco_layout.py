"""`coco:IMAGES@FILE.json` on a tiny file in COCO's format."""

import copy
import json

import pytest

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError

CONTENT = {
    "images": [
        {"id": 7, "file_name": "b.jpg", "width": 40, "height": 30},
        {"id": 3, "file_name": "val/a.jpg", "width": 40, "height": 30},
        {"id": 4, "file_name": "c.jpg"},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"image_id": 3, "category_id": 18, "bbox": [1.5, 2, 10, 20], "iscrowd": 0},
        {"image_id": 3, "category_id": 1, "bbox": [0, 0, 40.01, 30]},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 30], "iscrowd": 1},
        {"image_id": 7, "category_id": 18, "bbox": [5, 5, 0, 9], "segmentation": [[1, 2]]},
        {"image_id": 7, "category_id": 18, "bbox": [5, 5, 1, 9]},
    ],
}


def test_left_top_width_height_become_corners_and_crowds_are_left_out(photo, tmp_path):
    for name in ("val/a.jpg", "b.jpg", "c.jpg"):
        photo(f"images/{name}")
    (tmp_path / "file.json").write_text(json.dumps(CONTENT))
    dataset = load_dataset(f"coco:{tmp_path}/images@{tmp_path}/file.json")
    b, c, a = dataset.samples
    # By hand: 1.5 + 10 and 2 + 20; the person is clipped to the width of 40.
    assert a.boxes.tolist() == [[1.5, 2, 11.5, 22], [0, 0, 40, 30]]
    assert (a.image_id, a.labels, a.label, a.size) == (
        "val/a.jpg",
        ("dog", "person"),
        None,
        (30, 40),
    )
    assert (b.boxes.tolist(), b.labels, b.label) == ([[5, 5, 6, 14]], ("dog",), "dog")
    assert (c.boxes.shape, c.size) == ((0, 4), None)
    assert dataset.class_names == ("dog", "person")
    assert dataset.problems == (
        "1 of 3 images without boxes, such as c.jpg",
        "1 of 3 images with a box without area (left out), such as b.jpg",
    )


def broken(**changes):
    return {**copy.deepcopy(CONTENT), **changes}


def changed(section, **values):
    """The file with other values in the first entry of a section."""
    content = broken()
    content[section][0].update(values)
    return content


def typed(old, new):
    """The file with a piece of its text replaced, for what Python's JSON does not write."""
    text = json.dumps(CONTENT)
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ([], "not in COCO's format"),
        (broken(annotations=None), "has no list 'annotations'"),
        (broken(images=[{"id": 1}]), r"images\[0\] has no file_name"),
        (broken(images=[3]), r"images\[0\] has no id, file_name"),
        (broken(categories=[]), r"annotations\[0\] points to image 3 and category 18"),
        (broken(images=CONTENT["images"][:1]), r"annotations\[0\] points to image 3"),
        (
            broken(annotations=[{"image_id": 3, "category_id": 1, "bbox": [1, 2, 3]}]),
            r"val/a\.jpg: bbox \[1, 2, 3\]: write",
        ),
        (
            broken(annotations=[{"image_id": 3, "category_id": 1, "bbox": [1, 2, None, 4]}]),
            r"val/a\.jpg: bbox: None is not a finite number",
        ),
        (
            broken(images=[*CONTENT["images"], {"id": 9, "file_name": "b.jpg"}]),
            "b.jpg is listed 2 times",
        ),
        (
            broken(images=[*CONTENT["images"], {"id": 9, "file_name": "../b.jpg"}]),
            "lies outside",
        ),
        (changed("images", id=[7]), r"images\[0\]: the id \[7\] is no number or text"),
        (changed("images", id=None), r"images\[0\]: the id None is no number or text"),
        (changed("images", id=3), r"images\[1\]: the id 3 is no number or text of its own"),
        (changed("categories", id={}), r"categories\[0\]: the id {} is no number or text"),
        (changed("categories", id=1), r"categories\[1\]: the id 1 is no number or text of its"),
        (changed("annotations", image_id=[3]), r"annotations\[0\] points to image \[3\]"),
        (changed("annotations", category_id=[18]), r"annotations\[0\] .* and category \[18\]"),
        (changed("images", width="wide"), r"b\.jpg: width: 'wide' is not a finite number"),
        (changed("images", width=[40]), r"b\.jpg: width: \[40\] is not a finite number"),
        (changed("images", width=float("nan")), r"b\.jpg: width: nan is not a finite number"),
        (changed("images", height=-30), r"b\.jpg: height -30: write a whole number of pixels"),
        (changed("images", height=30.5), r"b\.jpg: height 30\.5: write a whole number"),
        (changed("images", width=1e30), r"b\.jpg: width 1e\+30: write a whole number"),
        (changed("images", width=10**400), r"b\.jpg: width: 1000.* is not a finite number"),
        (typed('"width": 40', '"width": 1e400'), r"b\.jpg: width: inf is not a finite number"),
        (typed('"width": 40', f'"width": {"9" * 5000}'), "number of thousands of digits"),
        (changed("annotations", bbox=[10**400, 0, 1, 1]), r"val/a\.jpg: bbox: 1000.* is not a"),
        (changed("annotations", bbox="x" * 100_000), r"val/a\.jpg: bbox 'xxx.*: write"),
        ("[" * 200_000, "nested too deeply"),
        ('{"images": ' * 200_000, "nested too deeply"),
        (changed("images", file_name=5), r"images\[0\]: file_name: 5 is no text"),
        (changed("images", file_name=None), r"images\[0\]: file_name: None is no text"),
        (changed("images", file_name=["b.jpg"]), r"images\[0\]: file_name: \['b.jpg'\] is no"),
        (changed("images", file_name=""), r"images\[0\]: file_name: '' is no text"),
        (changed("images", file_name="."), r"'.' can (be|name) no file"),
        (changed("images", file_name="b\0.jpg"), r"'b\\x00\.jpg' can (be|name) no file"),
        (typed("b.jpg", "\\ud800.jpg"), r"images\[0\]: file_name: .* is not whole text"),
        (changed("categories", name=["dog"]), r"categories\[0\]: name: \['dog'\] is no text"),
        (typed("dog", "\\udfff"), r"categories\[0\]: name: .* is not whole text"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(content, reason, tmp_path, photo):
    photo("images/b.jpg")
    (tmp_path / "file.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    with pytest.raises(UsageError, match=reason) as error:
        load_dataset(f"coco:{tmp_path}/images@{tmp_path}/file.json")
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 600  # whatever the length of the values


def test_a_side_of_zero_or_none_is_no_size(tmp_path, photo):
    photo("images/b.jpg")
    content = changed("images", width=0, height=None)
    (tmp_path / "file.json").write_text(json.dumps(content))
    samples = load_dataset(f"coco:{tmp_path}/images@{tmp_path}/file.json").samples
    assert samples[0].size is None


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*none\.json"):
        load_dataset(f"coco:{tmp_path}@{tmp_path}/none.json")


@pytest.mark.parametrize("name", [".", "a\0b.json", "x" * 5000])
def test_what_can_be_no_file_is_named_too(name, tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        load_dataset(f"coco:{tmp_path}@{name}")
