"""From regions over the input to a localization, by hand."""

import networks
import numpy as np
import pytest
import torch

from gradbox.dam.regions import RegionsOfClass, heatmap, localization
from gradbox.localization import Localization

SIZE = (8, 16)


def found() -> RegionsOfClass:
    """Two blobs of 2 x 2, the first of which makes the only shape."""
    blobs = np.zeros((2, *SIZE), dtype=bool)
    blobs[0, 2:4, 4:6] = True
    blobs[1, 6:8, 10:12] = True
    maps = blobs * np.array([4.0, 2.0])[:, None, None]
    return RegionsOfClass(
        label=1,
        blobs=blobs,
        logits=np.array([3.0, 1.0]),
        heatmaps=maps,
        count=1,
        shapes=blobs[:1],
        scores=np.array([0.75]),
    )


def answer(abstain: float = 0.0) -> Localization:
    batch = networks.batch(networks.pixels(1, SIZE))
    return localization(batch, 0, torch.tensor([0.1, 0.9]), [found()], abstain, details=True)


def test_a_shape_becomes_a_box_and_each_blob_a_region() -> None:
    one = answer()
    assert one.boxes.tolist() == [[4, 2, 6, 4]]
    assert (one.labels, one.label_scores, one.scores) == ((1,), (pytest.approx(0.9),), (0.75,))
    assert [region.box.tolist() for region in one.regions] == [[4, 2, 6, 4], [10, 6, 12, 8]]
    assert [region.chosen for region in one.regions] == [True, False]
    assert one.peaks == ((4.5, 2.5),)
    assert one.mask is not None
    assert int(one.mask.sum()) == 4


def test_only_the_chosen_maps_make_the_heat_map_each_with_the_maximum_1() -> None:
    expected = np.zeros(SIZE)
    expected[2:4, 4:6] = 1.0
    np.testing.assert_array_equal(heatmap(found()), expected)


def test_a_score_below_abstain_leaves_no_box() -> None:
    assert len(answer(abstain=0.8).boxes) == 0
