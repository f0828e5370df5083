"""The text of a data set, and what all layouts promise."""

import os
import tarfile

import numpy as np
import pytest

from gradbox.datasets import LOADERS, load_dataset
from gradbox.datasets.dataset import gather
from gradbox.datasets.layout import ABOUT, FORMS
from gradbox.errors import UsageError
from gradbox.localization import Sample


def sample(image_id="a.jpg", boxes=(), size=None):
    boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return Sample(
        image_id=image_id, source=image_id, boxes=boxes, labels=("x",) * len(boxes), size=size
    )


def test_unknown_kind_names_the_nearest_and_all_forms():
    with pytest.raises(UsageError, match=r"did you mean voc\?.*csv:DIR"):
        load_dataset("vox:somewhere")


def test_a_folder_without_a_kind_is_told_what_to_type(tmp_path):
    with pytest.raises(UsageError, match=f"write folder:{tmp_path}"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("kind", sorted(LOADERS.keys() - {"list", "parquet", "scenes"}))
def test_every_kind_refuses_a_missing_folder_and_shows_its_form(kind):
    rest = FORMS[kind].partition(":")[2].replace("DIR", "missing").replace("IMAGES", "missing")
    with pytest.raises(UsageError, match=r"there is no folder 'missing'.*write " + kind):
        load_dataset(f"{kind}:{rest}")


@pytest.mark.parametrize("kind", ["coco", "imagenet", "voc"])
def test_kinds_with_a_part_refuse_its_absence_and_show_their_form(kind, tmp_path):
    with pytest.raises(UsageError, match=f"lacks the part after '@': write {FORMS[kind]}"):
        load_dataset(f"{kind}:{tmp_path}")


def test_clips_what_reaches_outside_and_leaves_out_what_has_no_area(tmp_path):
    # By hand, in a 40 wide, 30 high image: the first box loses 2 px on the right and 1 px on top,
    # the second lies outside altogether, the third is inverted, the fourth stays.
    boxes = [[10, -1, 42, 20], [50, 5, 60, 9], [8, 8, 4, 4], [1, 2, 3, 4]]
    dataset = gather("s", tmp_path, [sample(boxes=boxes, size=(30, 40))], present={"a.jpg"})
    assert dataset.samples[0].boxes.tolist() == [[10, 0, 40, 20], [1, 2, 3, 4]]
    assert dataset.samples[0].labels == ("x", "x")
    assert dataset.problems == (
        "1 of 1 images with a box that reached outside (clipped), such as a.jpg",
        "1 of 1 images with a box without area (left out), such as a.jpg",
    )


def test_rounding_to_two_decimals_is_no_problem_to_report(tmp_path):
    dataset = gather(
        "s", tmp_path, [sample(boxes=[[0, 0, 40.01, 30]], size=(30, 40))], present={"a.jpg"}
    )
    assert dataset.samples[0].boxes.tolist() == [[0, 0, 40, 30]]
    assert dataset.problems == ()


def test_without_a_size_boxes_stay_as_they_are(tmp_path):
    dataset = gather("s", tmp_path, [sample(boxes=[[-5, 0, 999, 30]])], present={"a.jpg"})
    assert dataset.samples[0].boxes.tolist() == [[-5, 0, 999, 30]]


def test_missing_files_and_images_without_boxes_are_problems_and_still_samples(tmp_path):
    samples = [sample("b.jpg"), sample("a.jpg", [[0, 0, 1, 1]])]
    dataset = gather("s", tmp_path, samples, present={"b.jpg"})
    assert [s.image_id for s in dataset.samples] == ["a.jpg", "b.jpg"]  # sorted
    assert dataset.problems == (
        "1 of 2 images listed, but there is no such file, such as a.jpg",
        "1 of 2 images without boxes, such as b.jpg",
    )


@pytest.mark.parametrize(
    ("image_ids", "reason"),
    [
        ([], "no images in"),
        (["a.jpg", "a.jpg"], "a.jpg is listed 2 times"),
        (["../a.jpg"], "lies outside"),
        (["/a.jpg"], "lies outside"),
    ],
)
def test_refuses_no_images_duplicates_and_paths_that_lead_outside(image_ids, reason, tmp_path):
    with pytest.raises(UsageError, match=reason):
        gather("s", tmp_path, map(sample, image_ids), present=set())


@pytest.mark.parametrize("folder", ["a\0b", "x" * 5000, "~nobody-of-this-name/x"])
@pytest.mark.parametrize("kind", sorted(LOADERS.keys() - {"list", "parquet", "scenes"}))
def test_what_can_be_no_folder_is_refused_as_one_that_is_missing(kind, folder):
    rest = FORMS[kind].partition(":")[2].replace("DIR", folder).replace("IMAGES", folder)
    with pytest.raises(UsageError, match="there is no folder"):
        load_dataset(f"{kind}:{rest}")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("1000001", "count=1000001: write how many, 1 to 1000000"),
        ("9" * 30, "write how many, 1 to 1000000"),
        ("2,size=100000", "size=100000 of a scene: write 4096 or less"),
        ("2,objects=1001", "objects=1001 of a scene: write 1000 or less"),
    ],
)
def test_scenes_that_no_machine_can_draw_are_refused(options, reason):
    with pytest.raises(UsageError, match=reason):
        load_dataset(f"scenes:{options}")


def test_every_kind_says_what_lies_behind_it():
    assert ABOUT.keys() == LOADERS.keys() == FORMS.keys()
    assert "image,width,height,class,xmin,ymin,xmax,ymax" in ABOUT["csv"]


@pytest.mark.parametrize("file", ["nothing.txt", "a\0b", "x" * 5000, "~nobody-of-this-name/x"])
def test_what_can_be_no_list_is_refused(file):
    with pytest.raises(UsageError, match="there is no such file; name a text, CSV or parquet file"):
        load_dataset(f"list:{file}")


def test_a_list_is_a_data_set_with_classes(photo, tmp_path):
    photo("b/1.jpg")
    photo("a.png")
    (tmp_path / "all.csv").write_text("path,class\nb/1.jpg,dog\na.png,\nc.png,cat\n")
    dataset = load_dataset(f"list:{tmp_path / 'all.csv'}")
    assert {s.image_id: s.label for s in dataset.samples} == {
        "a.png": None,
        "b/1.jpg": "dog",
        "c.png": "cat",
    }
    assert dataset.class_names == ("cat", "dog")
    assert dataset.problems == ("1 of 3 images listed, but there is no such file, such as c.png",)


def test_a_tar_is_a_folder_with_classes(photo, tmp_path):
    for name in ("top.jpg", "dog/1.png", "dog/2.jpg"):
        photo(name)
    (tmp_path / "dog" / "2.cls").write_text("cat")
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name in ("top.jpg", "dog/1.png", "dog/2.cls", "dog/2.jpg"):
            tar.add(tmp_path / name, name)
    dataset = load_dataset(f"folder:{tmp_path / 't.tar'}")
    assert {s.image_id: s.label for s in dataset.samples} == {
        "t.tar/dog/1.png": "dog",
        "t.tar/dog/2.jpg": "cat",
        "t.tar/top.jpg": None,
    }


def test_folder_takes_the_class_from_the_first_folder(photo, tmp_path):
    for name in ("top.jpg", "dog/1.png", "cat/b/2.jpg", "cat/.hidden.jpg"):
        photo(name)
    (tmp_path / "dog" / "notes.txt").touch()
    dataset = load_dataset(f"folder:{tmp_path}")
    labels = {s.image_id: s.label for s in dataset.samples}
    assert labels == {"cat/b/2.jpg": "cat", "dog/1.png": "dog", "top.jpg": None}
    assert dataset.class_names == ("cat", "dog")
    assert dataset.problems == ()  # no image has boxes, so that is not odd
    assert dataset.spec == f"folder:{tmp_path}"


def test_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no image in the folder"):
        load_dataset(f"folder:{tmp_path}")


def test_bytes_that_are_no_utf_8_are_written_out_and_the_file_is_found(photo, text, tmp_path):
    name = os.fsdecode(b"\xff.png")
    for folder in ("images", "masks"):
        photo(f"{folder}/{name}")
    text("boxes.csv", "image,width,height,class,xmin,ymin,xmax,ymax\n\\xff.png,40,30,a,1,2,3,4\n")
    (sample,) = load_dataset(f"csv:{tmp_path}").samples
    assert (sample.image_id, sample.boxes.tolist()) == (r"\xff.png", [[1, 2, 3, 4]])
    assert sample.source == tmp_path / "images" / name
    assert sample.mask == tmp_path / "masks" / name
    of_folder = load_dataset(f"folder:{tmp_path}").samples
    assert [s.image_id for s in of_folder] == [r"images/\xff.png", r"masks/\xff.png"]
    assert all(s.source.is_file() for s in of_folder)
