"""Datumaro reads the files of CVAT and COCO as they were meant, masks to the pixel."""

import shutil

import numpy as np
import pytest

from gradbox.boxes import bounding

datumaro = pytest.importorskip("datumaro", reason="make labelling")
pytestmark = [pytest.mark.labelling, pytest.mark.filterwarnings("default")]


def boxes_of(item):
    return [one for one in item.annotations if one.type == datumaro.AnnotationType.bbox]


def masks_of(item):
    return [one for one in item.annotations if one.type == datumaro.AnnotationType.mask]


def names_of(dataset):
    return [one.name for one in dataset.categories()[datumaro.AnnotationType.label].items]


def test_cvat(located, tmp_path):
    (tmp_path / "images").symlink_to(located.images)
    shutil.copy(located.out / "cvat.xml", tmp_path / "default.xml")
    dataset = datumaro.Dataset.import_from(str(tmp_path), "cvat")
    names, items = names_of(dataset), {item.id: item for item in dataset}
    assert len(items) == len(located.found)
    for found in located.found:
        item = items[found.image_id.rpartition(".")[0]]
        (box,), (mask,) = boxes_of(item), masks_of(item)
        np.testing.assert_allclose(box.points, found.boxes[0], atol=0.0051)
        assert [names[one.label] for one in (box, mask)] == [found.names[0]] * 2
        np.testing.assert_array_equal(mask.image.astype(bool), found.mask)


@pytest.mark.parametrize("name", ["coco", "coco_polygons"])
def test_coco(located, tmp_path, name):
    for folder in ("annotations", "images"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "default").symlink_to(located.images)
    shutil.copy(located.out / f"{name}.json", tmp_path / "annotations/instances_default.json")
    dataset = datumaro.Dataset.import_from(str(tmp_path), "coco_instances")
    names, items = names_of(dataset), {item.id: item for item in dataset}
    assert len(items) == len(located.found)
    ids = [one.id for item in dataset for one in item.annotations]
    assert len({*ids}) == len(located.found)
    for found in located.found:
        item = items[found.image_id.rpartition(".")[0]]
        assert {names[one.label] for one in item.annotations} == {found.names[0]}
        if name == "coco":
            (mask,) = masks_of(item)
            np.testing.assert_array_equal(mask.image.astype(bool), found.mask)
        else:
            outlines = [one for one in item.annotations if one.type.name == "polygon"]
            corners = np.concatenate([np.reshape(one.points, (-1, 2)) for one in outlines])
            around = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
            np.testing.assert_array_equal(around, bounding(found.mask))
