"""`yolo:DIR` on tiny folders of label files."""

import numpy as np
import pytest
from PIL import Image

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError


@pytest.fixture
def folder(photo, text, tmp_path):
    """Two labelled images of 40 x 30, one without a file, one without objects."""
    for name in ("a.jpg", "deep/b.png", "c.jpg", "d.jpg"):
        photo(f"images/{name}")
    text("labels/a.txt", "1 0.5 0.5 0.25 0.2\n0 0.1 0.1 0.2 0.2 0.87\n")
    text("labels/deep/b.txt", "1 0.25 0.5 0.75 0.5 0.5 0.9\n")
    text("labels/c.txt", "\n")
    text("classes.txt", "cat\ndog\n")
    return tmp_path


def test_shares_become_pixels_and_an_outline_its_box(folder):
    dataset = load_dataset(f"yolo:{folder}")
    a, c, d, b = dataset.samples
    # By hand: 40 x (0.5 -+ 0.125) and 30 x (0.5 -+ 0.1); of the outline, from 0.25 to 0.75 and from
    # 0.5 to 0.9; the 0.87 is a confidence.
    np.testing.assert_allclose(a.boxes, [[15, 12, 25, 18], [0, 0, 8, 6]], atol=1e-12)
    np.testing.assert_allclose(b.boxes, [[10, 15, 30, 27]], atol=1e-12)
    assert (a.labels, b.labels, b.label, a.size) == (("dog", "cat"), ("dog",), "dog", (30, 40))
    assert (len(c.boxes), len(d.boxes)) == (0, 0)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.problems == ("2 of 4 images without boxes, such as c.jpg",)


def test_shares_are_of_the_upright_image(folder):
    """A photograph that lies on its side, 40 x 30 as stored, is 30 x 40 as it is looked at."""
    turned = Image.Exif()
    turned[274] = 6
    Image.new("L", (40, 30)).save(folder / "images/a.jpg", exif=turned)
    (a, *_) = load_dataset(f"yolo:{folder}").samples
    assert a.size == (40, 30)
    np.testing.assert_allclose(a.boxes[0], [11.25, 16, 18.75, 24], atol=1e-12)


@pytest.mark.parametrize("names", ["{0: cat, 1: dog}", "[cat, dog]"])
def test_a_part_is_the_folder_that_data_yaml_names(names, folder, text, photo):
    photo("images/val/e.jpg")
    text("labels/val/e.txt", "0 0.5 0.5 1 1\n")
    text("data.yaml", f"path: .\nval: images/val\ntrain: images\nnames: {names}\n")
    dataset = load_dataset(f"yolo:{folder}@val")
    (e,) = dataset.samples
    assert (e.image_id, e.labels, e.boxes.tolist()) == ("e.jpg", ("cat",), [[0, 0, 40, 30]])
    assert dataset.spec == f"yolo:{folder}@val"


def test_folders_of_parts_with_images_and_labels_inside(photo, text, tmp_path):
    """Roboflow's layout, whose data.yaml names ../val/images, which is not there."""
    photo("val/images/e.jpg")
    text("val/labels/e.txt", "0 0.5 0.5 1 1\n")
    text("data.yaml", "val: ../val/images\nnames: [cat]\n")
    for rest, image_id in ((f"{tmp_path}@val", "e.jpg"), (str(tmp_path), "val/images/e.jpg")):
        (e,) = load_dataset(f"yolo:{rest}").samples
        assert (e.image_id, e.labels) == (image_id, ("cat",))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("labels/a.txt", "2 .5 .5 .1 .1", r"a\.txt, line 1: there is no class 2; the names end at"),
        ("labels/a.txt", "0.5 .5 .5 .1 .1", "the class 0.5 is no number of a class"),
        ("labels/a.txt", "\n0 .5 .5 .1", r"line 2: 3 numbers behind the class, \[0.5, 0.5, 0.1\]"),
        ("labels/a.txt", "0 .5 .5 .1 nan", "'nan' is not a finite number"),
        ("labels/a.txt", "cat .5 .5 .1 .1", "'cat' is not a finite number"),
        ("data.yaml", "names: [", "data.yaml is not YAML"),
        ("data.yaml", "[cat]", "has to hold the names of the classes"),
        ("data.yaml", "names: {x: cat}", "'x' is not a finite number"),
        ("data.yaml", "names: cat", r"names 'cat': write a list, as \[cat, dog\]"),
        ("data.yaml", "names: []", "there is no class 1; the names end at none"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(name, content, reason, folder, text):
    text(name, content)
    with pytest.raises(UsageError, match=reason):
        load_dataset(f"yolo:{folder}")


def test_a_missing_part_or_missing_names_or_labels_say_what_to_do(folder, text, tmp_path, photo):
    with pytest.raises(UsageError, match=r"there is no folder .*images/test or .*test/images"):
        load_dataset(f"yolo:{folder}@test")
    text("data.yaml", "val: [a, b]\nnames: [cat, dog]\n")
    with pytest.raises(UsageError, match="val is a list; give one folder"):
        load_dataset(f"yolo:{folder}@val")
    photo("bare/images/a.jpg")
    with pytest.raises(UsageError, match=r"neither .*data\.yaml nor .*classes\.txt names"):
        load_dataset(f"yolo:{tmp_path}/bare")
    text("bare/classes.txt", "cat\n")
    with pytest.raises(UsageError, match="label files lie in 'labels' beside 'images'"):
        load_dataset(f"yolo:{tmp_path}/bare")
