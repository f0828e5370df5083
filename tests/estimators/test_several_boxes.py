"""Several boxes for a map: `threshold(boxes=all)` by hand, and on photographs of two animals."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradbox
from gradbox.attribution.localizer import peak_inside
from gradbox.boxes import iou
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.untrained import Threshold
from gradbox.geometry import Frame
from gradbox.images.decode import load_rgb
from gradbox.specs import build

TWO = np.zeros((1, 10, 20), dtype=np.float32)
TWO[0, 1:4, 1:4] = 1.0  # nine pixels
TWO[0, 5:9, 10:16] = 0.6  # twenty-four
TWO[0, 9, 19] = 0.5  # one of 200: half a percent
FRAME = Frame.squash((100, 400), (10, 20))


def test_each_large_part_has_a_box_the_largest_first() -> None:
    (found,) = Threshold(0.4, boxes="all").estimate(TWO, [FRAME])
    assert found.boxes.tolist() == [[200, 50, 320, 90], [20, 10, 80, 40]]
    total = 9 + 24 * 0.6 + 0.5
    np.testing.assert_allclose(found.scores, [24 * 0.6 / total, 9 / total], rtol=1e-6)
    (three,) = Threshold(0.4, boxes="all", min_area=0.005).estimate(TWO, [FRAME])
    assert three.boxes[2].tolist() == [380, 90, 400, 100]
    (one,) = Threshold(0.4).estimate(TWO, [FRAME])
    assert one.boxes.tolist() == found.boxes[:1].tolist()


def test_where_every_part_is_small_the_largest_stays() -> None:
    (found,) = Threshold(0.4, boxes="all", min_area=0.9).estimate(TWO, [FRAME])
    assert found.boxes.tolist() == [[200, 50, 320, 90]]


def test_the_least_area_is_a_share_of_the_image_not_of_the_crop() -> None:
    """By hand: the input is the middle half of the image, so a part is half as large a share."""
    cropped = Frame((100, 400), (10, 40), (0, 10), (10, 20))
    for frame, share, count in ((FRAME, 9 / 200, 2), (cropped, 9 / 400, 2), (cropped, 9 / 200, 1)):
        (found,) = Threshold(0.4, boxes="all", min_area=share).estimate(TWO, [frame])
        assert len(found.boxes) == count


def test_a_map_of_zeros_is_the_whole_image_once() -> None:
    (found,) = Threshold(0.4, boxes="all").estimate(np.zeros_like(TWO), [FRAME])
    assert (found.boxes.tolist(), found.scores.tolist()) == ([[0, 0, 400, 100]], [0])


def test_a_further_box_has_the_peak_inside_it() -> None:
    box = np.array([200.0, 50.0, 320.0, 90.0])
    assert peak_inside(TWO[0], FRAME, box) == (210.0, 55.0)
    assert peak_inside(TWO[0], FRAME, np.array([100.0, 0.0, 180.0, 40.0])) is None


def test_a_share_out_of_range_is_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="0 <= min_area <= 1"):
        build("threshold(min_area=2)", ESTIMATORS)


SPEC = "threshold(0.4, sigma=12, boxes=all, min_area=0.02)"


def both_are_found(found: object, truth: np.ndarray) -> bool:
    """Two boxes, and each true one has an IoU above 0.4 with one of them."""
    assert isinstance(found, gradbox.Localization)
    best = iou(found.boxes, truth).max(axis=0)
    return len(found.boxes) == 2 and bool((best > 0.4).all())


def test_photographs_with_two_raccoons_come_out_as_two_boxes(assets: Path) -> None:
    """Three of the fifteen that show two: the others touch or are far apart in size."""
    network = gradbox.load_classifier(str(assets / "models/mobilenet_edgetpu.toml"), device="cpu")
    samples = {s.image_id: s for s in gradbox.load_dataset(f"csv:{assets}/data/raccoon").samples}
    shown = [samples[f"raccoon-{number}.jpg"] for number in (117, 31, 72)]
    found = gradbox.localize([s.source for s in shown], network, method="sensitivity", box=SPEC)
    for sample, one in zip(shown, found, strict=True):
        assert both_are_found(one, sample.boxes), sample.image_id


@pytest.mark.parametrize(
    "numbers", [("00000865", "00040347"), ("00003383", "00009254"), ("00003743", "00009811")]
)
def test_two_photographs_of_one_object_joined_come_out_as_two_boxes(
    numbers: tuple[str, str], assets: Path
) -> None:
    network = gradbox.load_classifier(str(assets / "models/mobilenet_edgetpu.toml"), device="cpu")
    dataset = gradbox.load_dataset(f"csv:{assets}/data/imagenet_dev")
    samples = {s.image_id: s for s in dataset.samples}
    halves, truth = [], []
    for i, number in enumerate(numbers):
        sample = samples[f"ILSVRC2012_val_{number}.JPEG"]
        rgb = load_rgb(sample.source)
        halves.append(np.asarray(Image.fromarray(rgb).resize((300, 300))))
        frame = Frame.squash((rgb.shape[0], rgb.shape[1]), (300, 300))
        truth.append(frame.to_input(sample.boxes)[0] + [300 * i, 0, 300 * i, 0])
    (found,) = gradbox.localize(
        [np.concatenate(halves, axis=1)], network, method="sensitivity", box=SPEC
    )
    assert both_are_found(found, np.array(truth))
