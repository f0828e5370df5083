"""Crops and masks as files: the right pixels under names that cannot clash."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradbox
from gradbox.exports import FORMATS, About
from gradbox.images.find import find_images
from gradbox.localization import Localization


def found_in(
    image_id: str, boxes: list[list[float]], mask: np.ndarray | None = None
) -> Localization:
    n = len(boxes)
    return Localization(
        image_id=image_id,
        size=(20, 30),
        boxes=np.array(boxes, dtype=float).reshape(-1, 4),
        labels=(1,) * n,
        label_scores=(0.5,) * n,
        scores=(0.25,) * n,
        mask=mask,
    )


def pixels() -> np.ndarray:
    """Every pixel is of its own colour: red is the row, green the column."""
    rows, columns = np.mgrid[:20, :30]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=2).astype(np.uint8)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "crops.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_crop_has_the_pixels_that_its_box_touches(tmp_path: Path) -> None:
    # By hand: 2.5..7.2 touches columns 2 to 7, 4..6 rows 4 and 5; a sliver at the edge has a pixel.
    found = [found_in("a/b.jpg", [[2.5, 4, 7.2, 6], [30, 19.5, 30, 20]])]
    folder = FORMATS["crops"](found, About(names=str, source_of=lambda _: pixels()), tmp_path)
    np.testing.assert_array_equal(read(folder / "a/b-1.png"), pixels()[4:6, 2:8])
    np.testing.assert_array_equal(read(folder / "a/b-2.png"), pixels()[19:20, 29:30])
    assert [row["file"] for row in rows(folder)] == ["a/b-1.png", "a/b-2.png"]
    assert [row["class"] for row in rows(folder)] == ["1", "1"]


def test_a_crop_of_a_smaller_copy_shows_the_same_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of an image of more than 67 million pixels, which is decoded to half its size.
    small = pixels()[::2, ::2]
    monkeypatch.setattr(About, "rgb", lambda self, image_id: small)
    folder = FORMATS["crops"]([found_in("a.jpg", [[4, 6, 12, 10]])], About(names=str), tmp_path)
    np.testing.assert_array_equal(read(folder / "a-1.png"), small[3:5, 2:6])


def test_an_image_that_is_gone_has_no_crop_and_says_why(tmp_path: Path) -> None:
    Image.fromarray(pixels()).save(tmp_path / "there.png")
    about = About(names=str, source_of=lambda image_id: tmp_path / image_id)
    found = [found_in(name, [[1, 1, 5, 5]]) for name in ("gone.png", "there.png")]
    folder = FORMATS["crops"](found, about, tmp_path)
    gone, there = rows(folder)
    assert (gone["file"], gone["error"]) == ("", "there is no such file")
    assert (there["file"], there["error"]) == ("there-1.png", "")
    assert sorted(path.name for path in folder.iterdir()) == ["crops.csv", "there-1.png"]


def test_a_name_of_255_bytes_has_its_crop_and_mask(tmp_path: Path) -> None:
    name = "x" * 251 + ".jpg"
    found = [found_in(name, [[1, 1, 5, 5]], np.ones((20, 30), bool))]
    about = About(names=str, source_of=lambda _: pixels())
    crops = FORMATS["crops"](found, about, tmp_path)
    assert (crops / rows(crops)[0]["file"]).is_file()
    (mask,) = FORMATS["masks"](found, about, tmp_path).iterdir()
    assert read(mask).shape == (20, 30)


def test_masks_and_boxes_of_a_run_are_a_data_set_with_masks(card: Path, tmp_path: Path) -> None:
    # `--format csv,masks` beside the images is the layout `csv:DIR`; and nobody asked for --masks.
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels()).resize((90, 60)).save(images / name)
    running = gradbox.Running(formats=("csv", "masks", "crops"))
    assert running.masks
    classifier = gradbox.load_classifier(str(card))
    out = tmp_path / "out"
    gradbox.locate(find_images([images]), classifier, out, running=running, method="gradcam")
    (out / "images").symlink_to(images)
    lines = dict(gradbox.read_predictions(out / "predictions.jsonl", masks=True))
    for sample in gradbox.load_dataset(f"csv:{out}").samples:
        found = lines[sample.image_id]
        assert isinstance(found, Localization)
        assert found.mask is not None
        assert isinstance(sample.mask, Path)
        np.testing.assert_array_equal(read(sample.mask) > 0, found.mask)
        box = found.boxes[0]
        shown = read(out / "crops" / f"{sample.image_id[0]}-1.png")
        assert np.abs(np.array(shown.shape[1::-1]) - (box[2:] - box[:2])).max() <= 2
