"""A localizer on the whole and on tiles, by a fake that finds what is bright in its input."""

import numpy as np
import pytest
from fakes import Bright
from PIL import Image

from gradbox.errors import ImageError
from gradbox.images import preprocessing as images
from gradbox.images.batches import Loaded, load, to_batch
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Localization, Sample
from gradbox.tiles.grid import grid
from gradbox.tiles.localizer import TiledLocalizer

INPUT = Preprocessing(size=(64, 64), interpolation="nearest")
OVERLAP = 0.5
"""So that a tile has whole what is not wider or higher than 32 pixels, wherever it lies."""


def batch_of(*pictures: np.ndarray) -> Batch:
    samples = [Sample(image_id=str(i), source=picture) for i, picture in enumerate(pictures)]
    loaded = [load(sample, INPUT, keep_original=True) for sample in samples]
    return to_batch([one for one in loaded if isinstance(one, Loaded)])


def picture(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Black, with white boxes."""
    rgb = np.zeros((*size, 3), np.uint8)
    for xmin, ymin, xmax, ymax in boxes:
        rgb[ymin:ymax, xmin:xmax] = 255
    return rgb


def tiled(fake: Bright, at_once: int = 16) -> TiledLocalizer:
    return TiledLocalizer(fake, INPUT, side=64, overlap=OVERLAP, at_once=at_once)


def test_boxes_come_back_to_the_pixel_wherever_they_lie() -> None:
    # Where a tile is as large as the input no pixel is resampled, so a box that a tile has whole is
    # exact; the whole, 150 x 190 pixels brought to 64 x 64, is not.
    boxes = [(0, 0, 19, 22), (95, 40, 125, 59), (40, 90, 62, 111), (170, 130, 190, 150)]
    (found,) = tiled(Bright()).localize(batch_of(picture((150, 190), *boxes)))
    assert isinstance(found, Localization)
    assert sorted(found.boxes.tolist()) == sorted(map(list, boxes))


def test_each_image_of_a_batch_gets_its_own_boxes() -> None:
    one, other = (10, 20, 32, 50), (160, 150, 190, 178)
    pictures = (
        picture((200, 180), one),
        picture((50, 60), (5, 5, 20, 20)),
        picture((190, 400), other),
    )
    first, small, last = tiled(Bright()).localize(batch_of(*pictures))
    assert isinstance(first, Localization)
    assert isinstance(last, Localization)
    assert first.boxes.tolist() == [list(one)]
    assert last.boxes.tolist() == [list(other)]
    assert (small.image_id, first.size, last.size) == ("1", (200, 180), (190, 400))


def test_an_image_that_is_not_large_is_looked_at_once() -> None:
    fake = Bright()
    batch = batch_of(picture((96, 96), (5, 5, 20, 20)))
    (found,) = tiled(fake).localize(batch)
    (alone,) = Bright().localize(batch)
    assert fake.seen == [1]
    assert isinstance(found, Localization)
    assert isinstance(alone, Localization)
    assert found.boxes.tolist() == alone.boxes.tolist()


def test_a_bounded_number_is_in_the_network_at_once() -> None:
    fake = Bright()
    list(tiled(fake, at_once=7).localize(batch_of(picture((300, 500)), picture((400, 100)))))
    count = sum(len(grid(size, 64, OVERLAP)) for size in ((300, 500), (400, 100)))
    assert fake.seen[0] == 2  # the two whole images
    assert max(fake.seen[1:]) == 7
    assert sum(fake.seen[1:]) == count


def test_of_a_huge_image_no_part_beyond_a_tile_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, sizes, made = Bright(), [], Image.fromarray
    batch = batch_of(picture((1000, 1000), (400, 400, 430, 430)))
    monkeypatch.setattr(
        images.Image, "fromarray", lambda rgb: sizes.append(rgb.shape[:2]) or made(rgb)
    )
    (found,) = tiled(fake).localize(batch)
    assert isinstance(found, Localization)
    assert found.boxes[0].tolist() == [400, 400, 430, 430]
    assert len(sizes) == len(grid((1000, 1000), 64, OVERLAP)) == 31**2
    assert max(max(size) for size in sizes) <= 64 + 2 * 5  # what a filter reaches


def test_tiles_are_asked_for_the_classes_of_their_image() -> None:
    fake = Bright(labels=(4, 2))
    batch = batch_of(picture((200, 100), (0, 0, 9, 9)), picture((200, 100), (0, 0, 9, 9)))
    list(tiled(fake).localize(batch.asking([(1,), None])))
    per_image = len(grid((200, 100), 64, OVERLAP))
    asked = [labels for of_call in fake.asked[1:] for labels in of_call]
    assert asked == [(1,)] * per_image + [(4, 2)] * per_image


def test_an_error_of_a_tile_is_the_images() -> None:
    good, bad = picture((200, 100), (0, 0, 9, 9)), picture((200, 100), (50, 50, 70, 70))
    first, second = tiled(Bright(fails_on=350)).localize(batch_of(good, bad))
    assert isinstance(first, Localization)
    assert isinstance(second, ImageError)


def test_the_heat_map_is_that_of_the_whole() -> None:
    batch = batch_of(picture((200, 100), (0, 0, 9, 9)))
    (found,) = tiled(Bright()).localize(batch, details=True)
    (alone,) = Bright().localize(batch, details=True)
    assert isinstance(found, Localization)
    assert isinstance(alone, Localization)
    assert found.heatmap is not None
    assert np.array_equal(found.heatmap, alone.heatmap)
    assert found.size == (200, 100)
