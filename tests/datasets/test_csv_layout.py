"""`csv:DIR` on tiny sets written here, on broken ones, and on the real ones."""

import os

import pytest

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError

HEADER = "image,width,height,class,xmin,ymin,xmax,ymax\n"
CAT = "a.jpg,40,30,cat,1,2,11.5,22\n"


@pytest.fixture
def directory(photo, text, tmp_path):
    """Image a with two cats, b with a cat and a dog, c without a line."""
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        photo(f"images/{name}")
    text(
        "boxes.csv",
        HEADER + "b.jpg,40,30,dog,0,0,40,30\n" + CAT + "b.jpg,40,30,cat,5,5,6,6\n"
        "\na.jpg,40,30,cat,3,3,9,9\n",
    )
    return tmp_path


def test_groups_the_lines_by_image(directory):
    dataset = load_dataset(f"csv:{directory}")
    a, b, c = dataset.samples
    assert [s.image_id for s in dataset.samples] == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert a.boxes.tolist() == [[1, 2, 11.5, 22], [3, 3, 9, 9]]
    assert (a.labels, a.label, a.size) == (("cat", "cat"), "cat", (30, 40))
    assert b.boxes.tolist() == [[0, 0, 40, 30], [5, 5, 6, 6]]
    assert (b.labels, b.label) == (("dog", "cat"), None)  # two classes: the image has no single one
    assert (c.boxes.shape, c.labels, c.label, c.size) == ((0, 4), (), None, None)
    assert a.source == directory / "images" / "a.jpg"
    assert dataset.root == directory / "images"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.problems == ("1 of 3 images without boxes, such as sub/c.jpg",)


def test_meta_names_the_class_of_the_image_and_masks_go_by_stem(directory, text, photo):
    text("meta.csv", "image,label,name\na.jpg,281,tabby\nb.jpg,,dog\nsub/c.jpg,7,cock\n")
    photo("masks/a.png")
    photo("masks/sub/c.png")
    a, b, c = load_dataset(f"csv:{directory}").samples
    assert (a.label, b.label, c.label) == ("281", None, "7")
    assert a.mask == directory / "masks/a.png"
    assert b.mask is None
    assert c.mask == directory / "masks/sub/c.png"


def test_meta_without_a_label_column_changes_nothing(directory, text):
    text("meta.csv", "image,repo\na.jpg,somewhere\n")
    assert load_dataset(f"csv:{directory}").samples[0].label == "cat"


def test_columns_go_by_name_and_a_byte_order_mark_is_no_part_of_it(directory, text):
    header = "\ufeffclass,note,image,xmin,xmax,ymin,ymax,height,width\n"
    text("boxes.csv", header + "'cat, tabby',x,a.jpg,1,11,2,22,30,40\n".replace("'", '"'))
    a = load_dataset(f"csv:{directory}").samples[0]
    assert (a.boxes.tolist(), a.labels) == ([[1, 2, 11, 22]], ("cat, tabby",))


def test_a_listed_image_without_a_file_is_a_sample_and_a_problem(directory, text):
    text("boxes.csv", HEADER + CAT + CAT.replace("a.jpg", "gone.jpg"))
    dataset = load_dataset(f"csv:{directory}")
    assert "gone.jpg" in [s.image_id for s in dataset.samples]
    assert (
        dataset.problems[0] == "1 of 4 images listed, but there is no such file, such as gone.jpg"
    )


def test_up_to_one_pixel_outside_is_clipped_and_reported(directory, text):
    text("boxes.csv", HEADER + "a.jpg,40,30,cat,-1,0,41,30\n")
    dataset = load_dataset(f"csv:{directory}")
    assert dataset.samples[0].boxes.tolist() == [[0, 0, 40, 30]]
    assert "reached outside" in dataset.problems[1]


def test_no_line_at_all_is_a_set_without_boxes(directory, text):
    text("boxes.csv", HEADER)
    assert [len(s.boxes) for s in load_dataset(f"csv:{directory}").samples] == [0, 0, 0]


# Each table is broken in its last line, so line 3 has to be named.
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.jpg,40,30,cat,1,x,11,22", "ymin is not a number"),
        ("a.jpg,40,30,cat,1,,11,22", "ymin is not a number"),
        ("a.jpg,40,30,cat,1,2,nan,22", "xmax is not a number"),
        ("a.jpg,40,30,cat,1,2,inf,22", "xmax is not a number"),
        ("a.jpg,40,30,cat,11,2,1,22", "xmax has to be larger than xmin"),
        ("a.jpg,40,30,cat,1,2,11,2", "ymax larger than ymin"),
        ("a.jpg,40,30,cat,1,2,41.5,22", "outside the image"),
        ("a.jpg,40,30,cat,-1.5,2,4,22", "outside the image"),
        ("a.jpg,41,30,cat,1,2,4,22", "another width or height"),
        ("a.jpg,0,30,cat,1,2,4,22", "whole numbers of at least 1"),
        ("a.jpg,40.5,30,cat,1,2,4,22", "whole numbers of at least 1"),
        ("a.jpg,40,30,,1,2,4,22", "no class"),
        (",40,30,cat,1,2,4,22", "no image"),
        ("a.jpg,40,30,cat,1,2,4", "7 cells under 8 columns"),
        ("a.jpg,1e300,30,cat,1,2,4,22", "whole numbers of at least 1"),
        (f"a.jpg,40,30,{'c' * 140_000},1,2,4,22", "field larger than field limit"),
        ('a.jpg,40,30,"cat,1,2,4,22', "unexpected end of data; close each quote"),
        ('a.jpg,40,30,"cat"s,1,2,4,22', "',' expected after"),
    ],
)
def test_a_broken_line_is_refused_by_file_and_number(line, reason, directory, text):
    text("boxes.csv", HEADER + CAT + line + "\n")
    with pytest.raises(UsageError, match=rf"boxes\.csv, line 3.*{reason}") as error:
        load_dataset(f"csv:{directory}")
    assert "\n" not in str(error.value)


def test_an_open_quote_does_not_swallow_the_lines_up_to_the_next_one(directory, text):
    # Between the two quotes lies a whole line; taken for one cell it would be a class, and eight
    # cells would be left.
    line = 'a.jpg,40,30,"cat,1,2,4,22\n'
    text("boxes.csv", HEADER + line + line)
    with pytest.raises(UsageError, match=r"boxes\.csv, line 3.*',' expected after"):
        load_dataset(f"csv:{directory}")


def test_a_column_or_an_image_that_is_there_twice_is_refused(directory, text):
    text("boxes.csv", "class," + HEADER + "dog," + CAT)
    with pytest.raises(UsageError, match=r"has no column class, or has it twice"):
        load_dataset(f"csv:{directory}")
    text("boxes.csv", HEADER + CAT)
    text("meta.csv", "image,label\na.jpg,cat\nb.jpg,dog\na.jpg,dog\n")
    with pytest.raises(UsageError, match=r"meta\.csv, line 4 \('a.jpg'\): listed before"):
        load_dataset(f"csv:{directory}")


@pytest.mark.parametrize("name", ["a\0.jpg", "."])
def test_what_can_be_no_image_is_refused(name, directory, text):
    text("boxes.csv", HEADER + CAT.replace("a.jpg", name))
    with pytest.raises(UsageError, match=r"can (be|name) no file"):
        load_dataset(f"csv:{directory}")


def test_what_the_export_does_for_spreadsheets_is_undone(directory, text):
    text("boxes.csv", HEADER + CAT.replace("a.jpg,40,30,cat", "./a.jpg,40,30,'=cat"))
    a = load_dataset(f"csv:{directory}").samples[0]
    assert (a.image_id, a.labels) == ("a.jpg", ("=cat",))


def test_a_table_that_never_ends_is_not_read(directory):
    (directory / "boxes.csv").unlink()
    os.mkfifo(directory / "boxes.csv")  # nobody will ever write to it
    with pytest.raises(UsageError, match=r"there is no file .*boxes\.csv"):
        load_dataset(f"csv:{directory}")


def test_a_missing_column_table_or_folder_is_named(directory, text):
    text("boxes.csv", HEADER.replace(",ymax", ""))
    with pytest.raises(UsageError, match=r"boxes\.csv has no column ymax"):
        load_dataset(f"csv:{directory}")
    (directory / "boxes.csv").write_bytes(b"image,\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_dataset(f"csv:{directory}")
    (directory / "boxes.csv").unlink()
    with pytest.raises(UsageError, match=r"there is no file .*boxes\.csv"):
        load_dataset(f"csv:{directory}")
    with pytest.raises(UsageError, match=r"there is no folder .*images/images"):
        load_dataset(f"csv:{directory / 'images'}")


# Counts of the sets' own description; classes counted from the `class` column.
@pytest.mark.parametrize(
    ("name", "images", "boxes", "classes"),
    [
        ("imagenet_dev", 1262, 1893, 714),
        ("imagenet_dev_originals", 39, 63, 39),
        ("raccoon", 196, 213, 1),
        ("bccd", 364, 4888, 3),
        ("caltech101", 1501, 1501, 24),
    ],
)
def test_real_sets_load_completely(name, images, boxes, classes, assets):
    dataset = load_dataset(f"csv:{assets}/data/{name}")
    assert len(dataset.samples) == images
    assert sum(len(s.boxes) for s in dataset.samples) == boxes
    assert len(dataset.class_names) == classes
    assert dataset.problems == ()
    assert all(s.size is not None for s in dataset.samples)
    assert all(s.mask is not None for s in dataset.samples) == (name == "caltech101")


def test_real_imagenet_labels_are_indices_of_the_image_and_wnids_of_the_boxes(assets):
    first = load_dataset(f"csv:{assets}/data/imagenet_dev").samples[0]
    assert (first.label, set(first.labels)) == ("472", {"n02951358"})  # canoe, in meta.csv
