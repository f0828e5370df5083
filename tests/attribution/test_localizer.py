"""From maps to localizations: where the peak lies, and what is kept of it."""

import json

import numpy as np
import torch

from gradbox.attribution.localizer import peak
from gradbox.attribution.maps import label_maps
from gradbox.errors import ImageError
from gradbox.geometry import Frame
from gradbox.localization import Localization
from gradbox.models.heads import SOFTMAX
from gradbox.results.predictions import from_line, to_line


def test_the_peak_is_the_middle_of_the_highest_pixel_in_the_original() -> None:
    """By hand: pixel (row 1, column 3) of 4 x 8 on an image of 40 x 160: x 3.5 * 20, y 1.5 * 10."""
    heatmap = np.zeros((4, 8))
    heatmap[1, 3] = 2.0
    assert peak(heatmap, Frame.squash((40, 160), (4, 8))) == (70.0, 15.0)
    # the same map over an input four times its size
    assert peak(heatmap, Frame.squash((40, 160), (16, 32))) == (70.0, 15.0)
    # an input that is a crop of 4 x 8, two rows and five columns into the image
    assert peak(heatmap, Frame((40, 160), (40, 160), (2, 5), (4, 8))) == (8.5, 3.5)
    assert peak(np.zeros((4, 8)), Frame.squash((40, 160), (4, 8))) is None


def test_peaks_survive_the_file() -> None:
    found = Localization(
        image_id="a.png",
        size=(40, 160),
        boxes=np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 9.0, 9.0]]),
        labels=(1, 2),
        label_scores=(0.5, 0.25),
        scores=(1.0, 0.5),
        peaks=((70.0, 15.5), None),
    )
    again = from_line(json.loads(json.dumps(to_line("a.png", found))))
    assert isinstance(again, Localization)
    assert again.peaks == found.peaks


def test_a_map_that_is_not_finite_fails_its_image_alone() -> None:
    maps = np.ones((2, 3, 3))
    maps[1, 0, 0] = np.nan
    good, bad = label_maps(SOFTMAX, torch.zeros(2, 4), [(1,), (2,)], [maps])
    assert not isinstance(good, ImageError)
    assert (good[0].label, good[0].label_score) == (1, 0.25)  # four equal logits
    assert isinstance(bad, ImageError)
