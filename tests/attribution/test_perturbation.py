"""Maps of covered images: against captum, against a plain second implementation, and in calls."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import networks
import numpy as np
import pytest
import torch
from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor

from gradbox.attribution.maps import MapsOfImage
from gradbox.attribution.occlusion import Occlusion
from gradbox.attribution.perturbation import PerturbationMaps
from gradbox.attribution.rise import Rise
from gradbox.errors import ImageError, UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Selection
from gradbox.methods import METHODS, ready
from gradbox.models.classifier import Classifier
from gradbox.progress import listening
from gradbox.specs import build

CLASSIFIER = networks.classifier()
SIZE = networks.SIZE  # 14 x 10
FEATURES = "features"


def signed(options: Occlusion | Rise, pixels: Tensor, labels: Sequence[int | None]) -> np.ndarray:
    """The maps (k, h, w) of one image before what is below 0 is cut."""
    maps = PerturbationMaps(options, CLASSIFIER)
    image = CLASSIFIER.normalize(pixels)[0]
    return options.map_of(SIZE, maps.watch(image, labels)).numpy()


def heatmaps(options: Occlusion | Rise, asked: Any, classifier: Classifier = CLASSIFIER) -> Any:
    return PerturbationMaps(options, classifier).maps(asked)


def watched(target: str, score: str, label: int) -> Any:
    """The same target written for captum: from images to one number an image, or to scores."""
    module = CLASSIFIER.module
    if target == "layer_mean":
        return lambda x: module.features(x).flatten(1).mean(dim=1)
    if score == "probability":
        return lambda x: module(x).softmax(dim=1)[:, label]
    return lambda x: module(x)[:, label]


# 14 x 10: windows that fit and do not fit, squares that overlap, touch, and reach over the edge.
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 1), (4, 3), (5, 5), (10, 4), (7, 6)])
@pytest.mark.parametrize(
    ("target", "score"),
    [("class_score", "logit"), ("class_score", "probability"), ("layer_mean", "logit")],
)
def test_occlusion_is_captums(window: int, stride: int, target: str, score: str) -> None:
    pixels, label = networks.pixels(1), 4
    options = build(
        f"occlusion(target={target}, score={score}, window={window}, stride={stride})", METHODS
    )
    theirs = CaptumOcclusion(watched(target, score, label)).attribute(
        CLASSIFIER.normalize(pixels),
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        baselines=0,
    )
    ours = signed(options, pixels, [label if target == "class_score" else None])
    np.testing.assert_allclose(ours[0], theirs[0].mean(dim=0).numpy(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("fill", "level"), [("black", 0), ("grey", 128), ("white", 255)])
def test_what_covers_is_that_colour(fill: str, level: int) -> None:
    pixels = networks.pixels(1)
    colour = CLASSIFIER.normalize(torch.full_like(pixels, level))
    theirs = CaptumOcclusion(watched("class_score", "logit", 2)).attribute(
        CLASSIFIER.normalize(pixels),
        sliding_window_shapes=(3, 4, 4),
        strides=(3, 2, 2),
        baselines=colour,
    )
    options = build(f"occlusion(score=logit, window=4, stride=2, fill={fill})", METHODS)
    np.testing.assert_allclose(
        signed(options, pixels, [2])[0], theirs[0].mean(dim=0).numpy(), atol=1e-6
    )


def rise_by_hand(options: Rise, image: Tensor, label: int) -> np.ndarray:
    """The formula of the paper mask by mask, enlarged by OpenCV, with the same draws."""
    height, width = SIZE
    cell_h, cell_w = -(-height // options.cells), -(-width // options.cells)
    cells = np.random.default_rng([options.seed, 0])
    shifts = np.random.default_rng([options.seed, 1])
    total = np.zeros(SIZE)
    for _ in range(options.calls):
        grid = np.array(
            [
                [float(cells.random() < options.probability) for _ in range(options.cells)]
                for _ in range(options.cells)
            ],
            dtype=np.float32,
        )
        top, left = shifts.integers(0, (cell_h, cell_w))
        large = ((options.cells + 1) * cell_w, (options.cells + 1) * cell_h)
        mask = cv2.resize(grid, large, interpolation=cv2.INTER_LINEAR)
        mask = mask[top : top + height, left : left + width]
        with torch.no_grad():
            scores = CLASSIFIER.module(image * torch.from_numpy(mask).double())
        total += float(scores.softmax(dim=1)[0, label]) * mask
    return total / (options.calls * options.probability)


@pytest.mark.parametrize(
    "options",
    [Rise(calls=40), Rise(calls=33, cells=3, probability=0.3, seed=5), Rise(calls=1, cells=10)],
    ids=str,
)
def test_rise_is_the_papers_formula(options: Rise) -> None:
    pixels = networks.pixels(1, seed=2)
    ours = signed(options, pixels, [3])
    np.testing.assert_allclose(
        ours[0], rise_by_hand(options, CLASSIFIER.normalize(pixels), 3), atol=1e-6
    )


def test_a_classifier_that_sees_nothing_is_the_same_everywhere() -> None:
    """By hand: covering changes nothing, so a drop is 0, and RISE's map is the score itself."""
    blind = Classifier.from_function(
        lambda images: np.tile(np.float32([0, np.log(3)]), (len(images), 1)),
        preprocessing=Preprocessing(size=(32, 32)),
    )
    batch = networks.batch(networks.pixels(1, (32, 32)))
    ((occluded,),) = heatmaps(Occlusion(), batch, blind)
    assert not occluded.heatmap.any()
    ((seen,),) = heatmaps(Rise(calls=2000), batch, blind)
    assert seen.label_score == pytest.approx(0.75)
    # The mean of 2000 masks: a pixel's standard error is at most 0.5 / sqrt(2000) / 0.5 = 0.022.
    assert abs(seen.heatmap / 0.75 - 1).max() < 5 * 0.022


def test_the_first_masks_of_many_are_those_of_few() -> None:
    few, many = (torch.cat(list(Rise(calls=n).masks(SIZE))) for n in (37, 100))
    assert len(few) == 37
    assert torch.equal(few, many[:37])
    other = torch.cat(list(Rise(calls=37, seed=1).masks(SIZE)))
    assert not torch.equal(few, other)


@pytest.mark.parametrize("options", [Rise(calls=50), Occlusion()], ids=["rise", "occlusion"])
def test_a_map_depends_neither_on_the_batch_nor_on_chance_before(options: Rise | Occlusion) -> None:
    pixels = networks.pixels(3)
    together = heatmaps(options, networks.batch(pixels, [(1,), (2, 5), (0,)]))
    np.random.seed(7)
    torch.manual_seed(7)
    ((alone, second),) = heatmaps(options, networks.batch(pixels[1:2], [(2, 5)]))
    np.testing.assert_array_equal(alone.heatmap, together[1][0].heatmap)
    np.testing.assert_array_equal(second.heatmap, together[1][1].heatmap)


class Counting:
    """A black box that counts the images that it is shown; its score is the brightness."""

    def __init__(self) -> None:
        self.images = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.images += len(images)
        grey = images.mean(axis=(1, 2, 3))
        return np.stack([grey, -grey, 0 * grey], axis=1)


@pytest.mark.parametrize("labels", [(0,), (2, 0, 1)])
@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("rise(calls=70)", 70),
        ("occlusion(window=8, calls=17)", 1 + 4 * 4),  # stride 8: (32 - 8) / 8 + 1 = 4 a side
        ("occlusion(window=8, calls=25)", 1 + 4 * 4),  # stride 6 would take 5 a side and 26 calls
        ("occlusion(window=8, calls=26)", 1 + 5 * 5),
        ("occlusion(window=8, calls=10000)", 1 + 25 * 25),  # stride 1
        ("occlusion(window=8, stride=5)", 1 + 6 * 6),  # 0, 5, ..., 25: the last reaches over
    ],
)
def test_all_classes_come_from_the_same_calls(
    text: str, calls: int, labels: tuple[int, ...]
) -> None:
    counting = Counting()
    classifier = Classifier.from_function(counting, preprocessing=Preprocessing(size=(32, 32)))
    batch = networks.batch(networks.pixels(2, (32, 32)), [labels] * 2)
    found = ready(text, None, classifier).localizer.localize(batch)
    assert [one.labels for one in found] == [labels] * 2  # type: ignore[union-attr]
    assert counting.images == 2 * (1 + calls)  # one more recognizes the class


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rise(calls=0)", "calls=0: forward passes an image, 1 or more"),
        ("occlusion(calls=-3)", "calls=-3: forward passes an image, 1 or more"),
        ("occlusion(calls=16, window=8)", "32 x 32 pixels takes 17 calls with window=8; give so"),
        ("occlusion(calls=100, stride=2)", "give stride or calls, not both"),
        ("occlusion(window=0)", "window=0: a length in pixels"),
        ("occlusion(stride=0)", "stride=0: a length in pixels"),
        ("occlusion(window=33)", "window=33: the input has 32 x 32 pixels"),
        ("occlusion(window=4, stride=5)", "stride=5 leaves gaps between squares of window=4"),
        ("occlusion(layer=features)", "layer=features is what target=layer_mean watches"),
        ("occlusion(fill=red)", "fill=red is not one of mean, black, grey, white"),
        ("rise(cells=0)", "cells=0: a number of cells"),
        ("rise(cells=33)", "cells=33: the input has 32 x 32 pixels"),
        ("rise(probability=0)", "probability=0.0: a share of seen cells"),
        ("rise(probability=1)", "probability=1.0: a share of seen cells"),
        ("rise(seed=-1)", "seed=-1: 0 or more"),
    ],
)
def test_options_that_cannot_be_are_one_line_before_any_call(text: str, message: str) -> None:
    counting = Counting()
    classifier = Classifier.from_function(counting, preprocessing=Preprocessing(size=(32, 32)))
    with pytest.raises(UsageError, match=message) as caught:
        ready(text, None, classifier)
    assert "\n" not in str(caught.value)
    assert counting.images == 0


def test_the_mean_of_a_layer_does_not_run_the_head() -> None:
    net = networks.network()
    net.head = networks.RaisingAtWork()
    classifier = networks.classifier(net, layer=FEATURES)
    batch = networks.batch(networks.pixels(1), selection=Selection(top=0))
    for text in ("occlusion(target=layer_mean)", "rise(target=layer_mean, calls=20)"):
        maps = build(text, METHODS).maps(classifier)
        ((one,),) = maps.maps(batch)
        assert one.label is None
        assert one.heatmap.any()


def test_a_class_score_needs_a_class() -> None:
    batch = networks.batch(networks.pixels(1), selection=Selection(top=0))
    with pytest.raises(UsageError, match="for none at all, use target=layer_mean"):
        heatmaps(Occlusion(), batch)


def test_an_image_whose_scores_are_nan_fails_alone() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        grey = images.mean(axis=(1, 2, 3))
        return np.stack([np.where(grey < 0.5, grey, np.nan), grey], axis=1)

    classifier = Classifier.from_function(scores, preprocessing=Preprocessing(size=(16, 16)))
    pixels = networks.pixels(2, (16, 16)) // 2
    pixels[1] = 255
    found: Sequence[MapsOfImage] = heatmaps(Rise(calls=5), networks.batch(pixels), classifier)
    assert not isinstance(found[0], ImageError)
    assert isinstance(found[1], ImageError)


@pytest.mark.parametrize(
    ("options", "calls"), [(Rise(calls=50), 50), (Occlusion(window=4, stride=3), 5 * 3)]
)
def test_who_listens_sees_the_calls_of_each_image(options: Rise | Occlusion, calls: int) -> None:
    seen: list[tuple[int, int, str]] = []

    def track(groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
        done = 0
        for group in groups:
            yield group
            done += len(group)
        seen.append((done, count, title))

    batch = networks.batch(networks.pixels(2))
    with listening(track):
        heatmaps(options, batch)
    heatmaps(options, batch)  # nobody listens any more
    assert seen == [(calls, calls, "calls")] * 2
