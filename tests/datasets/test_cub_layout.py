"""`cub:DIR@test|train|all` on a tiny CUB_200_2011."""

import numpy as np
import pytest
from PIL import Image

from gradbox.datasets import load_dataset
from gradbox.errors import ImageError, UsageError

ALBATROSS, AUKLET = "001.Black_footed_Albatross", "002.Crested_Auklet"


@pytest.fixture
def cub(photo, text, tmp_path):
    base = "CUB_200_2011"
    for name in (f"{ALBATROSS}/a.jpg", f"{AUKLET}/b.jpg", f"{AUKLET}/c.jpg"):
        photo(f"{base}/images/{name}")
    text(f"{base}/images.txt", f"1 {ALBATROSS}/a.jpg\n2 {AUKLET}/b.jpg\n3 {AUKLET}/c.jpg\n")
    text(f"{base}/classes.txt", f"1 {ALBATROSS}\n2 {AUKLET}\n")
    text(f"{base}/image_class_labels.txt", "1 1\n2 2\n3 2\n")
    text(f"{base}/train_test_split.txt", "1 1\n2 0\n3 0\n")
    text(f"{base}/bounding_boxes.txt", "1 6.0 2.0 25.5 20.0\n2 0.0 0.0 40.0 30.0\n3 1 2 3 4\n")
    return tmp_path


def test_left_top_width_height_become_corners(cub):
    dataset = load_dataset(f"cub:{cub}")
    a, b, c = dataset.samples
    # By hand: 6 + 25.5 and 2 + 20.
    assert a.boxes.tolist() == [[6, 2, 31.5, 22]]
    assert (a.image_id, a.labels, a.label) == (f"{ALBATROSS}/a.jpg", (ALBATROSS,), ALBATROSS)
    assert b.boxes.tolist() == [[0, 0, 40, 30]]
    assert c.boxes.tolist() == [[1, 2, 4, 6]]
    assert dataset.spec == f"cub:{cub}@all"
    assert dataset.problems == ()


@pytest.mark.parametrize(("part", "names"), [("train", "a"), ("test", "bc"), ("all", "abc")])
def test_parts_follow_the_official_split_and_keep_every_class_name(part, names, cub):
    dataset = load_dataset(f"cub:{cub / 'CUB_200_2011'}@{part}")
    assert "".join(s.image_id[-5] for s in dataset.samples) == names
    assert dataset.class_names == (ALBATROSS, AUKLET)


@pytest.mark.parametrize("place", ["segmentations", "CUB_200_2011/segmentations"])
def test_a_mask_is_what_three_of_five_people_marked(place, cub, photo):
    path = photo(f"{place}/{ALBATROSS}/a.png")
    votes = np.array([[0, 51, 102, 153, 204, 255]], dtype=np.uint8)  # 0 to 5 people
    Image.fromarray(votes).save(path)
    a, b, _ = load_dataset(f"cub:{cub}").samples
    assert a.mask().tolist() == [[False, False, False, True, True, True]]
    assert b.mask is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("bounding_boxes.txt", "1 6 2 25 20\n2 0 0 40 30\n", "has no line 3"),
        ("image_class_labels.txt", "1 1\n2 2\n", "has no line 3"),
        ("classes.txt", "1 x\n", "has no line 2"),
        ("images.txt", "1\n2 a.jpg\n3 b.jpg\n", "has no line 1, or nothing in it"),
        ("train_test_split.txt", "1 0\n", "has no line 2"),
        ("bounding_boxes.txt", "1 6 2 25\n", "image 1 has 3 numbers; write x y width height"),
        ("bounding_boxes.txt", "1 6 2 25 wide\n", "image 1: 'wide' is not a finite number"),
    ],
)
def test_a_broken_table_is_refused(name, content, reason, cub):
    (cub / "CUB_200_2011" / name).write_text(content)
    with pytest.raises(UsageError, match=rf"{name}.*{reason}"):
        load_dataset(f"cub:{cub}")


def test_a_name_may_hold_what_only_splitlines_takes_for_a_line_end(cub, text):
    # U+0085 and the form feed end no line of a text file, so class 2 stays class 2.
    text("CUB_200_2011/classes.txt", f"1 black\x85footed\x0calbatross\r\n2 {AUKLET}\r\n")
    dataset = load_dataset(f"cub:{cub}")
    assert dataset.class_names == (AUKLET, "black\x85footed\x0calbatross")
    assert dataset.samples[1].label == AUKLET


def test_an_unknown_part_or_a_missing_table_is_named(cub):
    with pytest.raises(UsageError, match=r"'@val' is no part of cub: write cub:DIR@test"):
        load_dataset(f"cub:{cub}@val")
    (cub / "CUB_200_2011" / "images.txt").unlink()
    with pytest.raises(UsageError, match=r"there is no file .*images\.txt"):
        load_dataset(f"cub:{cub}")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_mask_that_cannot_be_read_is_an_error_of_the_image(content, cub, text):
    path = text(f"segmentations/{ALBATROSS}/a.png", "")
    path.write_bytes(content)
    with pytest.raises(ImageError):
        load_dataset(f"cub:{cub}").samples[0].mask()
