"""Training a head: what is taught, that it learns, that it repeats, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gradbox.boxes import as_boxes
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.foreground.loss import distance, inside_boxes
from gradbox.foreground.spool import Spool
from gradbox.foreground.training import HeadTraining, train_head
from gradbox.localization import Sample

SHORT = HeadTraining(sizes=(64, 96), epochs=2, batch_size=4)


def scenes(count: int = 12) -> list[Sample]:
    return list(load_dataset(f"scenes:{count},size=96").samples)


def test_a_cell_is_inside_where_its_middle_is() -> None:
    """Middles lie at 1/8, 3/8, 5/8, 7/8: the first box holds two of them each way, the second one.

    Its left edge is on a middle, which counts; its right edge is on the next, which does not.
    """
    boxes = as_boxes([[0.3, 0.0, 0.7, 0.4], [0.125, 0.8, 0.375, 1.0]])
    np.testing.assert_array_equal(
        inside_boxes(boxes, 4, 4), [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    )


def test_a_small_object_weighs_as_much_as_a_large_one_in_the_dice_part() -> None:
    """By hand: p is a half everywhere, 16 cells of 64 and 1 of 64 are inside.

    Dice is (2 * 8 + 1) / (32 + 16 + 1) and (2 * 0.5 + 1) / (32 + 1 + 1). The cross-entropy of a
    half is log 2 whatever is true; of a sure and right answer both parts are 0.
    """
    inside = torch.zeros(2, 8, 8)
    inside[0, :4, :4] = inside[1, 0, 0] = 1
    found = distance(torch.zeros(2, 8, 8), inside, dice=3.0)
    unlike = (1 - 17 / 49 + 1 - 2 / 34) / 2
    assert float(found) == pytest.approx(np.log(2) + 3 * unlike)
    assert float(distance(200 * inside - 100, inside, dice=1.0)) == pytest.approx(0, abs=1e-6)


def test_activations_come_back_in_their_order_as_float16(tmp_path: Path) -> None:
    spool = Spool(tmp_path, [32, 64])
    first, second = torch.rand(2, 3, 2, 2), torch.rand(3, 3, 2, 2)
    for one in (first, second):
        spool.append({32: [one], 64: [2 * one, 3 * one]})
    both = torch.cat([first, second]).half().float()
    torch.testing.assert_close(spool.take(32, [4, 0])[0], both[[4, 0]])
    assert [len(one) for one in spool.take(64, [1, 2, 3])] == [3, 3]


def test_the_same_call_gives_the_same_head_and_another_seed_another() -> None:
    before = torch.get_rng_state()
    one, again, other = (
        train_head(
            scenes(),
            trained_on=["scenes"],
            options=HeadTraining(sizes=(64,), epochs=1, batch_size=4, seed=seed),
            device="cpu",
        )
        for seed in (0, 0, 1)
    )
    assert one.seen == again.seen  # the hash of the weights, and of the images
    assert one.seen.sha256 != other.seen.sha256
    assert one.origin.n_images == len(one.image_hashes) == 12
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_head_finds_the_objects_of_scenes_that_it_has_not_seen() -> None:
    """In the mean, P inside true boxes is more than twice that outside: chance would be equal."""
    samples = scenes(160)
    head = train_head(
        samples[:120],
        trained_on=["scenes"],
        options=HeadTraining(sizes=(96,), epochs=20, batch_size=16),
        device="cpu",
    )
    foregrounds = head.on("cpu")
    shares = []
    for sample in samples[120:]:
        rgb = np.asarray(sample.source() if callable(sample.source) else None)
        p = foregrounds.of(torch.from_numpy(rgb).permute(2, 0, 1)[None].contiguous())[0].numpy()
        inside = inside_boxes(sample.boxes / 96, *p.shape) > 0
        shares.append((p[inside].mean(), p[~inside].mean()))
    within, without = np.mean(shares, axis=0)
    assert within > 2 * without


def test_too_few_boxes_are_refused_before_the_backbone_is_loaded() -> None:
    bare = Sample(image_id="bare.png", source=np.zeros((8, 8, 3), dtype=np.uint8))
    with pytest.raises(UsageError, match="3 of 4 images have a box"):
        train_head([*scenes(3), bare], trained_on=[], options=HeadTraining(backbone="none"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "32 or more"),
        ({"epochs": 0}, "at least 1"),
        ({"batch_size": 1}, "at least 1"),
        ({"lr": 0.0}, "above 0"),
        ({"dice": -1.0}, "0 or more"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HeadTraining(**options)


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot be 'efficientnet_lite7'.*did you mean"):
        train_head(scenes(10), trained_on=[], options=HeadTraining(backbone="efficientnet_lite7"))
