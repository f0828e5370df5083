"""Regions: percent by hand, masks read back by the reader of exports and by OpenCV."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from gradbox.brush import from_brush
from gradbox.datasets import load_dataset
from gradbox.labelstudio.configuration import TAGS, parse, written
from gradbox.labelstudio.regions import Shapes, prediction, regions
from gradbox.localization import Localization

ALL = parse(written(["cat", "dog"], TAGS.values()))
SIZE = (100, 200)


def disc(size=SIZE) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return (x - 60) ** 2 + (y - 40) ** 2 < 30**2


def found(mask=None, peaks=()) -> Localization:
    return Localization(
        image_id="a.png",
        size=SIZE,
        boxes=np.array([[10.0, 10.0, 90.0, 50.0], [100.0, 0.0, 200.0, 100.0]]),
        labels=(0, 1),
        label_scores=(0.9, 0.8),
        scores=(0.5, 0.25),
        peaks=peaks,
        mask=mask,
    )


def label_of(name, control):
    return control.labels.get(name)


def by_type(*args) -> dict[str, list[dict]]:
    made = regions(*args, label_of)
    return {
        kind: [one for one in made if one["type"] == kind] for kind in {r["type"] for r in made}
    }


def test_boxes_and_points_by_hand():
    # 200 x 100: x and width in percent of 200, y and height of 100; a point where the map is
    # highest, else the centre of its box.
    made = by_type(Shapes.of(found(peaks=((20.0, 30.0), None)), ["cat", "dog"]), ALL)
    first, second = made["rectanglelabels"]
    assert first["value"] == {
        "x": 5.0,
        "y": 10.0,
        "width": 40.0,
        "height": 40.0,
        "rotation": 0,
        "rectanglelabels": ["cat"],
    }
    assert (first["original_width"], first["original_height"]) == (200, 100)
    assert (first["from_name"], first["to_name"], first["score"]) == ("label", "image", 0.5)
    assert second["value"]["rectanglelabels"] == ["dog"]
    points = [(one["value"]["x"], one["value"]["y"]) for one in made["keypointlabels"]]
    assert points == [(10.0, 30.0), (75.0, 50.0)]
    assert "brushlabels" not in made
    assert "polygonlabels" not in made


def test_the_brush_is_the_mask():
    mask = disc()
    ((brush,),) = [by_type(Shapes.of(found(mask), ["cat", "dog"]), ALL)["brushlabels"]]
    assert brush["value"]["format"] == "rle"
    np.testing.assert_array_equal(from_brush(brush["value"]["rle"], *SIZE), mask)


def test_the_outline_encloses_the_mask():
    # OpenCV fills the polygon in 16 times as fine: it and the mask share all but the rim.
    only = parse(written(["cat"], ["polygon"]))
    mask = disc()
    (outline,) = regions(Shapes.of(found(mask), ["cat", "dog"]), only, label_of)
    corners = np.array(outline["value"]["points"]) * [SIZE[1] / 100, SIZE[0] / 100]
    filled = np.zeros(SIZE, dtype=np.uint8)
    cv2.fillPoly(filled, [np.round((corners - 0.5) * 16).astype(int)], 1, shift=4)
    assert (filled.astype(bool) & mask).sum() / (filled.astype(bool) | mask).sum() > 0.97
    assert outline["value"]["closed"]


@pytest.mark.parametrize("mask", [np.zeros(SIZE, dtype=bool), np.eye(*SIZE, dtype=bool) & False])
def test_an_empty_mask_is_none(mask):
    assert set(by_type(Shapes.of(found(mask), ["cat", "dog"]), ALL)) == {
        "rectanglelabels",
        "keypointlabels",
    }


def test_a_line_has_no_outline():
    mask = np.zeros(SIZE, dtype=bool)
    mask[3, 5:50] = True
    only = parse(written(["cat"], ["polygon"]))
    assert regions(Shapes.of(found(mask), ["cat", "dog"]), only, label_of) == []


def test_a_class_without_a_label_is_left_out():
    only = parse(written(["dog"]))
    made = prediction(Shapes.of(found(), ["cat", "dog"]), only, label_of, "v1")
    assert [one["id"] for one in made["result"]] == ["rectangle-2"]
    assert (made["score"], made["model_version"]) == (0.25, "v1")
    nothing = prediction(Shapes.of(found(), ["x", "y"]), only, label_of, "v1")
    assert (nothing["score"], nothing["result"]) == (0.0, [])


def test_the_reader_of_exports_gives_back_the_boxes(tmp_path):
    # What people would export after agreeing: a second implementation, `datasets.labelstudio`.
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
    only = parse(written(["cat", "dog"]))
    result = regions(Shapes.of(found(), ["cat", "dog"]), only, label_of)
    task = {"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": result}]}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    (sample,) = load_dataset(f"labelstudio:{tmp_path}@{tmp_path / 'export.json'}").samples
    np.testing.assert_allclose(sample.boxes, found().boxes)
    assert sample.labels == ("cat", "dog")
