"""The second look: where it looks, and when its box takes the place of the first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from gradbox.auto.closer import CloserLocalizer
from gradbox.boxes import as_boxes
from gradbox.errors import ImageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Found, Localization, Selection

SIZE = (200, 400)
SQUASH = Preprocessing(size=(32, 32))


@dataclass
class Looks:
    """Gives each image a small box at first, then, of a part, the middle of what it sees."""

    first: tuple[float, ...]
    scores: tuple[float, float]
    share: float = 0.5
    seen: list[Batch] = field(default_factory=list)

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        self.seen.append(batch)
        return [self._of(batch, i) for i in range(len(batch))]

    def _of(self, batch: Batch, i: int) -> Localization:
        frame, edge = batch.frames[i], (1 - self.share) / 2
        box = as_boxes([self.first])
        if batch.regions is not None:
            low, high = 32 * edge, 32 * (1 - edge)
            box = frame.to_original(as_boxes([[low, low, high, high]]))
        return Localization(
            image_id=batch.image_ids[i],
            size=frame.original,
            boxes=np.concatenate([box, as_boxes([[0, 0, 400, 200]])]),
            labels=(5, 5),
            label_scores=(0.9, 0.9),
            scores=(self.scores[batch.regions is not None], 0.1),
            peaks=((1.0, 1.0), (2.0, 2.0)),
        )


def batch(count: int = 1) -> Batch:
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    pixels, frame = SQUASH.resized(image)
    return Batch(
        image_ids=tuple(f"{i}.png" for i in range(count)),
        pixels=torch.from_numpy(np.stack([pixels] * count)),
        frames=(frame,) * count,
        labels=(None,) * count,
        selection=Selection(top=1),
        originals=(image,) * count,
    )


def test_a_surer_finer_box_takes_the_place_of_the_first() -> None:
    """40 x 20 around (120, 60), widened 1.6 times: 64 x 32; its middle half is 32 x 16."""
    looks = Looks((100, 50, 140, 70), scores=(0.4, 0.6))
    (found,) = CloserLocalizer(looks, SQUASH, below=0.1).localize(batch())
    assert isinstance(found, Localization)
    np.testing.assert_allclose(found.boxes[0], [104, 52, 136, 68])
    assert (found.scores, found.peaks[1]) == ((0.6, 0.1), (2.0, 2.0))
    np.testing.assert_allclose(found.boxes[1], [0, 0, 400, 200])
    _, second = looks.seen
    assert second.labels == ((5,),)  # the class of the first look
    assert second.regions is not None
    np.testing.assert_allclose(second.regions[0], [88, 44, 152, 76])


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        (Looks((100, 50, 140, 70), scores=(0.6, 0.4)), "less sure"),
        (Looks((100, 50, 140, 70), scores=(0.4, 0.6), share=0.1), "another object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_else_the_first_stays(looks: Looks, why: str) -> None:
    (found,) = CloserLocalizer(looks, SQUASH, below=0.1).localize(batch())
    assert isinstance(found, Localization)
    np.testing.assert_allclose(found.boxes[0], looks.first)
    assert found.scores[0] == looks.scores[0]


def test_only_what_is_small_is_looked_at_again() -> None:
    """100 x 80 of 400 x 200 is a tenth."""
    looks = Looks((0, 0, 100, 80), scores=(0.4, 0.6))
    CloserLocalizer(looks, SQUASH, below=0.1).localize(batch(3))
    assert len(looks.seen) == 1
    CloserLocalizer(looks, SQUASH, below=0.11).localize(batch(3))
    assert [len(one) for one in looks.seen] == [3, 3, 3]


def test_errors_and_images_without_a_box_stay_as_they_are() -> None:
    class Nothing:
        def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
            none = Localization(
                image_id="1.png", size=SIZE, boxes=as_boxes([]), labels=(), label_scores=(),
                scores=(),
            )  # fmt: skip
            return [ImageError("no"), none]

    found = CloserLocalizer(Nothing(), SQUASH, below=0.5).localize(batch(2))
    assert isinstance(found[0], ImageError)
    assert isinstance(found[1], Localization)
    assert len(found[1].boxes) == 0
