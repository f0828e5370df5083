"""The second look at small boxes, where a batch shows parts of its images."""

import numpy as np
from fakes import Bright

from gradbox.auto.closer import CloserLocalizer
from gradbox.images.batches import Loaded, load, to_batch
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Sample

INPUT = Preprocessing(size=(64, 64), interpolation="nearest")


def test_a_box_is_small_by_what_is_shown_not_by_the_whole_image() -> None:
    # 40 x 40 pixels are 4 % of the image of 200 x 200, and 39 % of the part of 64 x 64.
    rgb = np.zeros((200, 200, 3), np.uint8)
    rgb[10:50, 10:50] = 255
    loaded = load(Sample(image_id="a", source=rgb), INPUT, keep_original=True)
    assert isinstance(loaded, Loaded)
    batch = to_batch([loaded])
    part = batch.view(INPUT, [np.array([0.0, 0, 64, 64])])
    looks = {}
    for name, shown in {"whole": batch, "part": part}.items():
        fake = Bright()
        CloserLocalizer(fake, INPUT, below=0.15).localize(shown)
        looks[name] = len(fake.seen)
    assert looks == {"whole": 2, "part": 1}
