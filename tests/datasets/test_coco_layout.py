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
    ],
)
def test_a_broken_file_is_refused(content, reason, tmp_path, photo):
    photo("images/b.jpg")
    (tmp_path / "file.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    with pytest.raises(UsageError, match=reason):
        load_dataset(f"coco:{tmp_path}/images@{tmp_path}/file.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*none\.json"):
        load_dataset(f"coco:{tmp_path}@{tmp_path}/none.json")
