"""The drawn data set: what it promises about its pixels, boxes, classes and files."""

import dataclasses
import hashlib
import pickle
from collections import Counter

import cv2
import numpy as np
import pytest

from gradbox.boxes import bounding, centered, iou
from gradbox.datasets import csv, scenes
from gradbox.datasets.scenes import CLASSES, Scene, contact_sheet, scene, write
from gradbox.errors import UsageError
from gradbox.images.decode import load_rgb
from gradbox.scenes import sprites
from gradbox.scenes.backgrounds import BACKGROUNDS
from gradbox.scenes.classes import KINDS
from gradbox.scenes.colours import draw_colours
from gradbox.scenes.composition import MOST_HIDDEN, Plan
from gradbox.scenes.paints import solid

SMALL = (64, 64)


@pytest.fixture(scope="module")
def many() -> list[Scene]:
    return [scene(3, index, size=SMALL) for index in range(10 * len(CLASSES))]


def digest(drawn: Scene) -> str:
    parts = (drawn.image, drawn.boxes, drawn.masks)
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    ).hexdigest()


def test_a_scene_depends_on_its_seed_and_index_alone(many):
    # Drawn alone and out of order, it equals the one drawn among the others.
    for index in (41, 7, 19):
        assert digest(scene(3, index, size=SMALL)) == digest(many[index])
    assert len({digest(each) for each in many}) == len(many)
    assert digest(scene(4, 7, size=SMALL)) != digest(many[7])


@pytest.mark.parametrize("size", [(48, 48), (90, 130), (160, 70)])
def test_boxes_bound_the_masks_at_any_size(size):
    for index in range(6):
        drawn = scene(0, index, size=size, objects=3)
        assert drawn.image.shape == (*size, 3)
        assert drawn.image.dtype == np.uint8
        assert drawn.masks.shape == (len(drawn.labels), *size)
        for box, mask in zip(drawn.boxes, drawn.masks, strict=True):
            np.testing.assert_array_equal(box, bounding(mask))


def test_the_composition_is_the_same_at_every_size():
    # Boxes in shares of the side agree up to the rounding of pixels; a thin tip may add a little.
    sets = (scenes.load(f"15,size={side}").samples for side in (80, 240))
    small, large = (np.stack([s.boxes[0] / s.size[0] for s in samples]) for samples in sets)
    assert np.median(np.abs(small - large)) < 1 / 80
    assert np.abs(small - large).max() < 4 / 80


def test_no_pixel_belongs_to_two_objects():
    shared = [scene(0, index, size=SMALL, objects=4) for index in range(24)]
    assert {len(each.labels) for each in shared} >= {1, 2, 3}
    assert max(each.masks.sum(axis=0).max() for each in shared) == 1


def painted(plan: Plan, shade: float) -> np.ndarray:
    """The scene with its main object in one flat grey, all else as it was."""
    flat = solid(np.full(3, shade))
    main = plan.objects[0]
    parts = [dataclasses.replace(part, paint=flat, relief=0.0) for part in main.parts]
    objects = (dataclasses.replace(main, parts=parts), *plan.objects[1:])
    repainted = dataclasses.replace(plan, objects=objects)
    return scenes.picture(repainted, scenes.alphas(repainted, (96, 96))).astype(float).mean(axis=2)


def test_the_mask_is_where_the_picture_shows_the_object():
    # Second way: the object in white and in black differ where it is seen, by more than half of
    # the full difference; the lens may blur a pixel of the edge.
    for index in range(8):
        plan = scenes._plan(5, index, (96, 96), 2)
        change = painted(plan, 1.0) - painted(plan, 0.0)
        seen = change > 0.5 * np.quantile(change, 0.995)
        mask = scene(5, index, size=(96, 96), objects=2).masks[0]
        assert (seen & mask).sum() > 0.85 * (seen | mask).sum()


@pytest.mark.parametrize("share", [0.8, 0.6, 0.4, "mean"])
def test_a_centred_box_is_a_poor_answer(many, share):
    # The data set's promise: the field's trivial baseline stays below 25 % CorLoc.
    boxes = np.stack([each.boxes[0] for each in many])
    shares = (share, share)
    if share == "mean":
        shares = ((boxes[:, 2:] - boxes[:, :2]).mean(axis=0) / 64).tolist()[::-1]
    constant = centered(*map(float, SMALL), shares)
    assert np.mean(iou(boxes, constant[None])[:, 0] > 0.5) < 0.25


def test_every_block_has_each_class_once(many):
    labels = [each.labels[0] for each in many]
    for start in range(0, len(labels), len(CLASSES)):
        assert sorted(labels[start : start + len(CLASSES)]) == sorted(CLASSES)
    assert labels[: len(CLASSES)] != labels[len(CLASSES) : 2 * len(CLASSES)]
    assert len(CLASSES) >= 10


def test_mean_colours_do_not_tell_the_class(many):
    # Nearest centroid on the mean colour of the object's pixels; chance is 1 in len(CLASSES).
    colours = np.stack([each.image[each.masks[0]].mean(axis=0) for each in many])
    labels = np.array([CLASSES.index(each.labels[0]) for each in many])
    half = len(many) // 2
    centroids = np.stack(
        [colours[:half][labels[:half] == c].mean(axis=0) for c in range(len(CLASSES))]
    )
    nearest = np.linalg.norm(colours[half:, None] - centroids, axis=2).argmin(axis=1)
    assert np.mean(nearest == labels[half:]) < 3 / len(CLASSES)


def test_the_foreground_hides_no_more_than_it_may():
    hidden = []
    size = (96, 96)  # where the limit is checked
    for index in range(50):
        plan = scenes._plan(5, index, size, 1)
        if plan.foreground:
            covers = scenes.alphas(plan, size)
            whole = (covers[1] > 0.5).sum()
            hidden.append(1 - scenes.masks(plan, covers)[0].sum() / whole)
    assert len(hidden) > 5
    assert np.mean(hidden) > 0.02
    assert max(hidden) <= MOST_HIDDEN


@pytest.mark.parametrize("name", KINDS)
def test_each_class_is_drawn_within_its_extent(name):
    # The extent places the object, so no pixel of it may lie outside.
    rng = np.random.default_rng(0)
    parts = KINDS[name].draw(rng, draw_colours(rng))
    place = np.array([[30.0, 5.0, 60.0], [-5.0, 30.0, 60.0]])
    box = bounding(sprites.silhouette(parts, place, (120, 120)) > 0.5)
    low, high = np.split(sprites.extent(parts, place), 2)
    assert (box[:2] >= low - 1).all()
    assert (box[2:] <= high + 3).all()
    assert ((box[2:] - box[:2]) > 0.85 * (high - low)).all()


@pytest.mark.parametrize("name", BACKGROUNDS)
@pytest.mark.parametrize("size", [(60, 90), (90, 60)])
def test_each_background_fills_the_image_with_texture(name, size):
    rng = np.random.default_rng(1)
    picture = BACKGROUNDS[name](rng, size, draw_colours(rng))
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.std(axis=(0, 1)).min() > 0.01


def test_load_draws_on_demand_and_pickles():
    data = scenes.load("30,seed=2,size=64,objects=3")
    assert data.spec == "scenes:30,seed=2,size=64,objects=3"
    assert (len(data.samples), data.class_names) == (30, CLASSES)
    sample = pickle.loads(pickle.dumps(data.samples[-1]))
    expected = scene(2, 29, size=SMALL, objects=3)
    np.testing.assert_array_equal(load_rgb(sample.source), expected.image)
    np.testing.assert_array_equal(sample.boxes, expected.boxes)
    assert (sample.labels, sample.label) == (expected.labels, expected.labels[0])
    assert [each.image_id for each in data.samples[1:3]] == ["scene_000001.png", "scene_000002.png"]
    with pytest.raises(IndexError):
        data.samples[30]


def test_a_sample_mask_holds_all_objects_of_the_image_class():
    for sample, index in zip(scenes.load("20,size=64,objects=4").samples, range(20), strict=True):
        drawn = scene(0, index, size=SMALL, objects=4)
        same = [label == drawn.labels[0] for label in drawn.labels]
        np.testing.assert_array_equal(sample.mask(), drawn.masks[same].any(axis=0))


@pytest.mark.parametrize(
    "rest", ["", "0", "-3", "many", "10,size=8", "10,objects=0", "10,colour=2"]
)
def test_load_refuses(rest):
    with pytest.raises(UsageError, match="scene"):
        scenes.load(rest)


def test_scene_refuses_what_is_out_of_range():
    with pytest.raises(UsageError, match="index=-1"):
        scene(0, -1)


def test_write_is_read_back_by_the_csv_loader(tmp_path):
    done: list[int] = []
    write(tmp_path / "out", 12, seed=1, size=(64, 80), objects=3, progress=done.append)
    assert done == list(range(1, 13))
    data = csv.load(str(tmp_path / "out"))
    assert data.problems == ()
    for index, sample in enumerate(data.samples):
        expected = scene(1, index, size=(64, 80), objects=3)
        np.testing.assert_array_equal(load_rgb(sample.source), expected.image)
        np.testing.assert_array_equal(sample.boxes, expected.boxes)
        assert (sample.label, sample.labels, sample.size) == (
            expected.labels[0],
            expected.labels,
            (64, 80),
        )
    mask = cv2.imread(str(tmp_path / "out/masks/scene_000000.png"), cv2.IMREAD_UNCHANGED)
    assert Counter(np.unique(mask).tolist()) == {0: 1, 255: 1}
    assert (tmp_path / "out/classes.txt").read_text().split() == list(CLASSES)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_write_refuses_a_taken_folder_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(UsageError, match="taken"):
        write(tmp_path / "taken", 1)

    with pytest.raises(UsageError, match="count=0"):
        write(tmp_path / "out", 0)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", 2, size=SMALL, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_contact_sheet_shows_each_scene_in_its_place():
    drawn = [scene(0, index, size=SMALL) for index in range(5)]
    sheet = contact_sheet(drawn, 3)
    assert sheet.shape == (2 * 64 + 3 * 2, 3 * 64 + 4 * 2, 3)
    np.testing.assert_array_equal(sheet[68:132, 68:132], drawn[4].image)
    framed = contact_sheet(drawn, 3, boxes=True)
    left, top, _, _ = drawn[0].boxes[0].astype(int)
    assert framed[2 + top, 2 + left].tolist() == [60, 255, 60]
