"""Mask scores of a data set, by hand: a 4 x 4 object without a corner in a 10 x 10 image."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradbox.errors import UsageError
from gradbox.localization import Localization, Sample
from gradbox.scores.run_masks import (
    Candidates,
    CandidateScores,
    constant_candidates,
    of_run,
    run_candidates,
    summary,
)

BOX = (2.0, 2.0, 6.0, 10.0)


def truth() -> np.ndarray:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:6, 2:6] = True
    mask[5, 5] = False
    return mask


def upper_half() -> np.ndarray:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:4, 2:6] = True
    return mask


def sample(image_id: str, mask: Path | Callable[[], np.ndarray] | None = truth) -> Sample:
    return Sample(image_id=image_id, source=image_id, mask=mask)


def found(
    image_id: str, *boxes: tuple[float, ...], mask: np.ndarray | None = None
) -> tuple[str, Localization]:
    ones = (1.0,) * len(boxes)
    return image_id, Localization(
        image_id=image_id,
        size=(10, 10),
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=(0,) * len(boxes),
        label_scores=ones,
        scores=ones,
        mask=mask,
    )


Results = Sequence[tuple[str, Localization]]


def scored(candidates: Candidates, samples: Mapping[str, Sample], found: Results) -> Any:
    scores = CandidateScores(candidates)
    for number, (image_id, localization) in enumerate(found):
        scores.add(number, samples[image_id], localization)
    return scores.by_name


def score_masks(samples: Mapping[str, Sample], found: Results) -> Any:
    return of_run(scored(run_candidates, samples, found))


def test_mask_box_and_true_box_are_counted_by_hand() -> None:
    scores = score_masks({"a": sample("a")}, [found("a", BOX, mask=upper_half())])
    assert scores["mask"]["mean_iou"] == 8 / 15
    assert scores["mask"]["mean_precision"] == 1
    assert scores["mask"]["mean_recall"] == 8 / 15
    assert scores["box_filled"]["mean_iou"] == 15 / 32
    assert scores["true_box_filled"]["mean_iou"] == 15 / 16
    assert [name for name, row in scores.items() if row.get("oracle")] == ["true_box_filled"]


def test_the_boundary_of_a_mask_and_what_it_is_over_its_box_by_hand() -> None:
    """One pixel of tolerance in 10 x 10, and a true rim of 4 + 2 + 2 + 3 pixels.

    The upper half is all rim, its 8 pixels near the true one, of which rows 2 to 4 are near: 8. The
    box, 4 wide and 8 high, ends at the edge of the image, which is no rim: of its 4 + 2 * 7 pixels
    rows 2 to 5 are near, 4 + 2 * 3, and the left one of row 6; all 11 true ones are near it.
    """
    scores = score_masks({"a": sample("a")}, [found("a", BOX, mask=upper_half())])
    of_mask, of_box = 2 * 8 / (8 + 11), 2 * 11 / (11 + 18)
    assert scores["mask"]["mean_boundary_f"] == pytest.approx(of_mask)
    assert scores["box_filled"]["mean_boundary_f"] == pytest.approx(of_box)
    over = scores["mask"]["difference"]
    assert over["mean_iou"] == [pytest.approx(8 / 15 - 15 / 32), None, None]
    assert over["mean_boundary_f"] == [pytest.approx(of_mask - of_box), None, None]
    assert [name for name, row in scores.items() if "difference" in row] == ["mask"]


def test_the_difference_is_paired_over_the_images() -> None:
    """Twice the same image: its scores do not vary, and neither does the difference.

    With an image that has no mask the two draws of one image alone, a quarter each, are its ends.
    """
    samples = {name: sample(name) for name in "abc"}
    same = [found(name, BOX, mask=upper_half()) for name in "ab"]
    gain = 8 / 15 - 15 / 32
    over = score_masks(samples, same)["mask"]["difference"]["mean_iou"]
    assert over == pytest.approx([gain, gain, gain])
    mixed = [same[0], found("c", BOX)]
    over = score_masks(samples, mixed)["mask"]["difference"]["mean_iou"]
    assert over == pytest.approx([(gain - 15 / 32) / 2, -15 / 32, gain])


def test_an_image_without_a_box_is_a_miss_and_its_mask_too() -> None:
    samples = {name: sample(name) for name in "ab"}
    scores = score_masks(samples, [found("a", BOX, mask=upper_half()), found("b")])
    assert {row["n_masks"] for row in scores.values()} == {2}
    assert scores["mask"]["mean_iou"] == 8 / 15 / 2
    assert scores["mask"]["pooled_recall"] == 8 / 30
    assert scores["box_filled"]["mean_iou"] == 15 / 32 / 2


def test_the_interval_of_two_images_spans_them() -> None:
    # both draws are the worse image in a quarter of the resamples, and the better one in another
    samples = {name: sample(name) for name in "ab"}
    scores = score_masks(samples, [found("a", BOX, mask=upper_half()), found("b", BOX)])
    assert scores["mask"]["mean_iou_interval"] == [0, 8 / 15]
    assert scores["mask"]["mean_precision_interval"] == [0, 1]
    assert scores["mask"]["mean_recall_interval"] == [0, 8 / 15]
    assert scores["box_filled"]["mean_iou_interval"] == [15 / 32, 15 / 32]


def test_one_image_has_no_interval() -> None:
    scores = score_masks({"a": sample("a")}, [found("a", BOX)])
    assert scores["box_filled"]["mean_iou_interval"] == [None, None]


def test_a_method_without_masks_has_its_box_alone() -> None:
    scores = score_masks({"a": sample("a")}, [found("a", BOX)])
    assert set(scores) == {"box_filled", "true_box_filled"}


def test_constant_boxes_are_filled_by_hand() -> None:
    # rows and columns 1 to 8 are 64 pixels, 3 to 6 are 16 of which 8 are the object's
    shares = {"center(0.8)": (0.8, 0.8), "small": (0.4, 0.4), "whole": (1.0, 1.0)}
    scores = scored(constant_candidates(shares), {"a": sample("a")}, [found("a")])
    rows = {name: summary(one) for name, one in scores.items()}
    ious = {name: row["mean_iou"] for name, row in rows.items()}
    assert ious == {"center(0.8)": 15 / 64, "small": 8 / (16 + 15 - 8), "whole": 15 / 100}
    assert rows["whole"]["mean_recall"] == 1


@pytest.mark.parametrize("mask", [None, lambda: np.zeros((10, 10), dtype=bool)])
def test_images_without_a_true_mask_or_a_pixel_in_it_do_not_count(
    mask: Callable[[], np.ndarray] | None,
) -> None:
    assert score_masks({"a": sample("a", mask)}, [found("a", BOX)]) == {}
    whole = constant_candidates({"whole": (1.0, 1.0)})
    assert scored(whole, {"a": sample("a", mask)}, [found("a")]) == {}


def test_a_true_mask_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    torn, small = sample("a.png", tmp_path / "none.png"), sample("a.png", lambda: truth()[:4])
    with pytest.raises(UsageError, match=r"true mask of a.png: there is no such file; mend"):
        score_masks({"a.png": torn}, [found("a.png", BOX)])
    with pytest.raises(UsageError, match="10 x 4 pixels and the image 10 x 10"):
        score_masks({"a.png": small}, [found("a.png", BOX)])
