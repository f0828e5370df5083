"""Mask scores of a data set, by hand: a 4 x 4 object in a 10 x 10 image."""

import numpy as np

from gradbox.localization import Localization, Sample
from gradbox.mask_scoring import score_masks


def truth() -> np.ndarray:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:6, 2:6] = True
    mask[5, 5] = False
    return mask


def test_mask_box_and_true_box_are_counted_by_hand() -> None:
    sample = Sample(image_id="a", source="a.png", mask=truth)
    own = np.zeros((10, 10), dtype=bool)
    own[2:4, 2:6] = True
    found = Localization(
        image_id="a",
        size=(10, 10),
        boxes=np.array([[2.0, 2.0, 6.0, 10.0]]),
        labels=(0,),
        label_scores=(1.0,),
        scores=(1.0,),
        mask=own,
    )
    scores = score_masks({"a": sample}, [("a", found)])
    assert scores["mask"]["mean_iou"] == 8 / 15
    assert scores["mask"]["mean_precision"] == 1
    assert scores["box_filled"]["mean_iou"] == 15 / 32
    assert scores["true_box_filled"]["mean_iou"] == 15 / 16


def test_images_without_a_true_mask_are_left_out() -> None:
    sample = Sample(image_id="a", source="a.png")
    found = Localization(
        image_id="a", size=(4, 4), boxes=np.zeros((0, 4)), labels=(), label_scores=(), scores=()
    )
    assert score_masks({"a": sample}, [("a", found)]) == {}
