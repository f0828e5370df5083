"""`labelstudio:IMAGES@FILE.json` on tiny exports as Label Studio writes them."""

import json

import numpy as np
import pytest

from gradbox.brush import to_brush
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError


def shape(kind, value, label="cat", **more):
    named = {f"{kind}labels": [label]} if label else {}
    return {
        "id": "r1",
        "type": f"{kind}labels" if label else kind,
        "original_width": 40,
        "original_height": 30,
        "image_rotation": 0,
        "value": {**value, **named},
        **more,
    }


BOX = {"x": 25, "y": 50, "width": 50, "height": 20, "rotation": 0}


def task(*shapes, image="/data/local-files/?d=somewhere/images/a.jpg", **more):
    annotation = {"result": list(shapes), "was_cancelled": False, **more}
    return {"id": 7, "data": {"image": image}, "annotations": [annotation]}


@pytest.fixture
def load(photo, tmp_path):
    photo("images/a.jpg")
    photo("images/deep/my photo (1).png")

    def load(*tasks):
        (tmp_path / "a.json").write_text(json.dumps(list(tasks)))
        return load_dataset(f"labelstudio:{tmp_path}/images@{tmp_path}/a.json")

    return load


def test_shapes_in_percent_become_boxes_in_pixels(load):
    mask = np.zeros((30, 40), dtype=bool)
    mask[3:9, 5:30] = True
    dataset = load(
        task(
            shape("rectangle", BOX),
            shape("rectangle", {**BOX, "rotation": 90}, "dog"),
            shape("polygon", {"points": [[10, 10], [50, 20], [30, 90]]}),
            shape("ellipse", {"x": 50, "y": 50, "radiusX": 25, "radiusY": 10, "rotation": 0}),
            shape("brush", {"format": "rle", "rle": to_brush(mask)}),
        )
    )
    (a,) = dataset.samples
    # By hand, of 40 x 30: (10, 15) with 20 x 6; turned about that corner, 6 to the left and 20
    # down, which is clipped below; the points; 10 and 3 about (20, 15); the pixels of the brush.
    expected = [[10, 15, 30, 21], [4, 15, 10, 30], [4, 3, 20, 27], [10, 12, 30, 18], [5, 3, 30, 9]]
    np.testing.assert_allclose(a.boxes, expected, atol=1e-9)
    assert a.labels == ("cat", "dog", "cat", "cat", "cat")
    assert (a.image_id, a.size, a.label) == ("a.jpg", (30, 40), None)


def test_a_label_apart_from_its_shape_and_a_choice_for_the_image(load):
    labels = {"id": "r1", "type": "labels", "value": {**BOX, "labels": ["dog"]}}
    choice = {"id": "c", "type": "choices", "value": {"choices": ["pet"]}}
    (a,) = load(task(labels, shape("rectangle", BOX, label=None), choice)).samples
    assert (a.labels, a.label, a.boxes.tolist()) == (("dog",), "pet", [[10, 15, 30, 21]])


@pytest.mark.parametrize(
    ("image", "image_id"),
    [
        ("/data/upload/3/1a2b3c4d-my_photo_1.png", "deep/my photo (1).png"),
        ("https://host/files/images/deep/my%20photo%20(1).png?token=x", "deep/my photo (1).png"),
        ("s3://bucket/a.jpg", "a.jpg"),
        ("a.jpg", "a.jpg"),
        ("https://host/elsewhere.jpg", "elsewhere.jpg"),
    ],
)
def test_an_image_is_found_by_the_end_of_its_path(image, image_id, load):
    (only,) = load(task(shape("rectangle", BOX), image=image)).samples
    assert only.image_id == image_id


def test_ground_truth_counts_then_the_last_that_was_not_cancelled(load):
    def of(x, **more):
        return {"result": [shape("rectangle", {**BOX, "x": x})], **more}

    answers = [
        of(10, updated_at="2026-01-03", was_cancelled=True),
        of(20, updated_at="2026-01-02"),
        of(30, updated_at="2026-01-01"),
    ]
    one = {**task(), "annotations": answers}
    assert load(one).samples[0].boxes[0, 0] == 8  # 20 % of 40
    answers[2]["ground_truth"] = True
    assert load(one).samples[0].boxes[0, 0] == 12


def test_tasks_without_an_annotation_are_left_out_and_counted(load):
    empty = {**task(image="deep/my photo (1).png"), "annotations": []}
    dataset = load(task(), empty)
    assert [s.image_id for s in dataset.samples] == ["a.jpg"]  # looked at: no object
    assert "1 of 2 tasks without an annotation (left out)" in dataset.problems


def test_the_short_form(load):
    short = {"image": "/data/upload/1/0123abcd-a.jpg", "id": 1, "annotator": 1, "choice": "pet"}
    value = {**BOX, "rectanglelabels": ["cat"], "original_width": 40, "original_height": 30}
    (a,) = load({**short, "label": [value]}).samples
    assert (a.image_id, a.labels, a.boxes.tolist()) == ("a.jpg", ("cat",), [[10, 15, 30, 21]])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (shape("rectangle", {**BOX, "x": None}), r"a\.json: task 7: x: None is not a finite"),
        (shape("rectangle", BOX, image_rotation=90), "was turned by 90 degrees in Label Studio"),
        (shape("rectangle", BOX, original_width=0), "original_width and original_height are 0"),
        (shape("rectangle", BOX, label=None), "the rectangle r1 has no label"),
        (shape("polygon", {"points": [[1]]}), r"points \[\[1\]\]: a point is \[x, y\]"),
        (shape("polygon", {"points": "x"}), "points 'x': a polygon has a list of points"),
        (shape("brush", {"rle": [1, 2]}), "the brush cannot be read"),
        (shape("rectangle", {**BOX, "rectanglelabels": ["a", "b"]}, label=None), "has no label"),
    ],
)
def test_a_shape_that_lacks_something_is_named_with_its_task(wrong, reason, load):
    with pytest.raises(UsageError, match=reason):
        load(task(wrong))


def test_an_upload_that_may_be_two_images_is_refused(load, photo):
    photo("images/my photo 1.png")
    with pytest.raises(UsageError, match=r"my_photo_1\.png may be .* or .*; give one of them"):
        load(task(image="/data/upload/3/1a2b3c4d-my_photo_1.png"))


@pytest.mark.parametrize(
    ("answers", "image_ids"),
    [
        (None, ["a.jpg"]),  # no annotation, so it is left out
        ([3], ["a.jpg"]),
        ([{"result": 3}], ["[", "a.jpg"]),
        ([{"result": [3, {"type": "choices", "value": 3}]}], ["[", "a.jpg"]),
    ],
)
def test_what_is_of_another_kind_than_it_should_be_says_nothing(answers, image_ids, load):
    dataset = load(task(), {**task(image="http://["), "annotations": answers})
    assert [sample.image_id for sample in dataset.samples] == image_ids
    assert all(len(sample.boxes) == 0 for sample in dataset.samples)


@pytest.mark.parametrize("content", [{}, [3]])
def test_another_file_is_refused(content, photo, tmp_path):
    photo("images/a.jpg")
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="is no export of Label Studio"):
        load_dataset(f"labelstudio:{tmp_path}/images@{tmp_path}/a.json")
