from dataclasses import replace
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gradbox import boxes as bx
from gradbox.attribution.gradients import forward
from gradbox.dam.blobs import Smoothing, blob, union
from gradbox.dam.localizer import Dam, DamLocalizer
from gradbox.dam.neurons import (
    guided_backpropagation,
    layer_gradient_x_activation,
    neuron_maps,
    top_neurons,
)
from gradbox.dam.rescoring import Alone, region_alone, rescore
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Frame
from gradbox.images.decode import load_rgb
from gradbox.localization import Batch, Localization, Selection
from gradbox.methods import ready
from gradbox.models.load import load_classifier
from gradbox.specs import build, canonical

SIDE = 32
WIDE = replace(networks.classifier().preprocessing, size=(SIDE, SIDE))
RIGHT, LEFT = (slice(4, 12), slice(20, 28)), (slice(4, 12), slice(4, 12))
"""Where bright squares stand in `squares`."""
OPTIONS = {
    "defaults": Dam(kmax=4, k=2),
    "k=auto": Dam(kmax=5, k="auto"),
    "instances": Dam(kmax=5, k=4, instances=True, dilations=2, erosions=2),
    "authors' program": Dam(kmax=4, k=4, distinct_channels=True, effect="guided"),
    "other readings": Dam(kmax=4, k=2, population="all", components="all", smooth="union"),
    "crop": Dam(kmax=4, k=2, background="crop", rule="plain"),
    "blur": Dam(kmax=4, k=2, background="blur", overlap=0.2),
}


class Brightness(nn.Module):
    """Scores its classes by the sum of one colour each: every neuron is one 4 x 4 patch's mean.

    Negative inputs are cut at the first ReLU; class i knows only colour i.
    """

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 4, stride=4, bias=False)
        self.colours.weight.data = torch.eye(3)[:, :, None, None].expand(3, 3, 4, 4) / 16
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight.data = torch.eye(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.colours(x.relu()).relu().sum(dim=(2, 3)))


def brightness(**options: object) -> DamLocalizer:
    net = networks.classifier(Brightness())
    return DamLocalizer(Dam(**options), replace(net, preprocessing=WIDE))


def squares(right: int | None = None, left: int | None = None) -> Tensor:
    """One black image with bright squares of these colours."""
    pixels = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    for colour, square in ((right, RIGHT), (left, LEFT)):
        if colour is not None:
            pixels[0, colour][square] = 255
    return pixels


def localize(localizer: DamLocalizer, batch: Batch, details: bool = True) -> list[Localization]:
    return list(localizer.localize(batch, details=details))


def test_the_box_of_a_bright_square_by_hand():
    """The square fills 2 x 2 patches of colour 1: these four neurons speak for class 1.

    Each sees its patch alone, flat, so its blob is the patch; their union is the square.
    """
    localizer = brightness(kmax=4, k=4, dilations=0, erosions=0)
    (found,) = localize(localizer, networks.batch(squares(1), [(1,)]))
    assert localizer._stages.layer.name == "colours"
    assert found.boxes.tolist() == [[20, 4, 28, 12]]
    assert sorted(region.box.tolist() for region in found.regions) == [
        [20, 4, 24, 8], [20, 8, 24, 12], [24, 4, 28, 8], [24, 8, 28, 12],
    ]  # fmt: skip
    expected = np.zeros((SIDE, SIDE), dtype=bool)
    expected[RIGHT] = True
    assert (found.mask == expected).all()
    assert (found.heatmap > 0).tolist() == expected.tolist()


def test_the_score_is_the_probability_of_the_class_on_the_union_alone():
    localizer = brightness(kmax=4, k=4, dilations=0, erosions=0)
    (found,) = localize(localizer, networks.batch(squares(1), [(1,)]))
    x = localizer.classifier.normalize(squares(1))
    alone = x * torch.from_numpy(found.mask)
    expected = localizer.classifier.module(alone).softmax(dim=1)[0, 1]
    assert found.scores == pytest.approx((float(expected),), abs=1e-12)
    for region in found.regions:
        logits = localizer.classifier.module(x * torch.from_numpy(region.mask))
        assert region.score == pytest.approx(float(logits[0, 1]), abs=1e-12)


def test_a_named_class_is_found_among_others():
    # Colour 0 on the right, colour 2 on the left, mirrored: each class has its own neurons.
    localizer = brightness(kmax=4, k=4, dilations=0, erosions=0)
    found = localize(localizer, networks.batch(squares(0, 2), [(2, 0)]))[0]
    assert found.labels == (2, 0)
    assert found.boxes.tolist() == [[4, 4, 12, 12], [20, 4, 28, 12]]
    assert found.peaks[0][0] < 16 < found.peaks[1][0]
    assert found.mask[RIGHT].sum() == 0  # it belongs to the main box


def test_classes_with_a_near_probability_get_a_box_each():
    localizer = brightness(kmax=4, k=4)
    near = Selection(top=1, near_top=0.1)  # e^9.0 and e^10.6 of the two, e^0 of the third
    (found,) = localize(localizer, networks.batch(squares(0, 2), selection=near))
    assert set(found.labels) == {0, 2}
    (found,) = localize(localizer, networks.batch(squares(0, 2)))
    assert len(found.labels) == 1


def test_k_auto_stops_where_the_unions_score_no_longer_rises():
    # Four patches hold the square; the other neurons see black, which adds nothing.
    (found,) = localize(
        brightness(kmax=12, k="auto", dilations=0, erosions=0),
        networks.batch(squares(1), [(1,)]),
    )
    assert sum(region.chosen for region in found.regions) == 4
    assert found.boxes.tolist() == [[20, 4, 28, 12]]


@given(st.lists(st.lists(st.integers(0, 3), min_size=0, max_size=6), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_k_auto_asks_for_no_union_that_cannot_count(logits: list[list[int]]) -> None:
    """Blob n of an image is pixel n, so its unions are the first n pixels, scored as given.

    The count is that of the paper's rule over all unions: the first after which none is higher.
    """
    asked: list[tuple[int, int]] = []

    class Scores(Alone):
        def scores(self, masks: list[np.ndarray], score: str) -> list[np.ndarray]:
            assert score == "logit"
            asked.extend((i, int(one.sum())) for i, own in enumerate(masks) for one in own)
            return [
                np.array([logits[i][int(one.sum()) - 1] for one in own], dtype=float)
                for i, own in enumerate(masks)
            ]

    localizer = brightness(kmax=6, k="auto")
    images = torch.zeros(len(logits), 3, SIDE, SIDE, dtype=torch.float64)
    alone = Scores(localizer.classifier, images, [0] * len(logits), "mean", 8)
    blobs = [np.eye(len(own), 6, dtype=bool)[:, None] for own in logits]
    counts = localizer._stages.counts(alone, blobs)
    for image, own in enumerate(logits):
        assert counts[image] == int(np.argmin(np.append(np.diff(own) > 0, False))) + 1
        assert max([n for i, n in asked if i == image], default=0) <= counts[image] + 1


def test_a_region_that_was_shown_is_not_shown_again() -> None:
    net, rng = networks.classifier(faster=False), np.random.default_rng(0)
    x = net.normalize(networks.pixels(2))
    shown: list[int] = []
    net.module.head.register_forward_hook(lambda _m, given, _o: shown.append(len(given[0])))
    alone = Alone(net, x, [4, 1], "mean", at_once=8)
    masks = rng.random((3, *networks.SIZE)) < 0.3
    masks[2] = False
    first = alone.scores([masks, masks[:1]], "logit")  # both images' own
    assert sum(shown) == 3
    again = alone.scores([masks[1::-1], masks[2:]], "logit")
    assert sum(shown) == 3
    assert again[0].tolist() == first[0][1::-1].tolist()
    assert (first[0][2], again[1].tolist()) == (-np.inf, [-np.inf])
    (probability,), _ = alone.scores([masks[:1], masks[:0]], "probability")
    owners, label = np.array([0]), torch.tensor([4])
    expected = rescore(net, x, masks[:1], owners, label, score="probability")
    assert probability == pytest.approx(float(expected), abs=1e-12)


def test_instances_of_one_class_get_a_box_each():
    two = networks.batch(squares(1, 1), [(1,)])
    options = {"kmax": 8, "k": 8, "dilations": 0, "erosions": 0}
    (apart,) = localize(brightness(instances=True, **options), two)
    assert sorted(apart.boxes.tolist()) == [[4, 4, 12, 12], [20, 4, 28, 12]]
    assert apart.labels == (1, 1)
    (together,) = localize(brightness(**options), two)
    assert together.boxes.tolist() == [[4, 4, 28, 12]]


def test_a_box_with_a_score_below_abstain_is_left_out():
    batch = networks.batch(squares(1), [(1,)])
    (score,) = localize(brightness(), batch)[0].scores
    assert len(localize(brightness(abstain=score), batch)[0].boxes) == 1
    (silent,) = localize(brightness(abstain=min(score + 1e-6, 1.0)), batch)
    assert silent.boxes.shape == (0, 4)
    assert silent.mask is None
    assert silent.heatmap is not None  # what was seen is kept, though nothing is claimed
    assert silent.heatmap[4:12, 20:28].all()
    assert len(silent.regions) == 4


def test_an_image_in_which_no_neuron_sees_anything_is_answered_with_the_whole():
    (found,) = localize(brightness(), networks.batch(squares(), [(1,)]))
    assert found.boxes.tolist() == [[0, 0, SIDE, SIDE]]
    assert found.scores == (0.0,)
    assert found.regions == ()
    assert found.peaks == (None,)
    assert not found.heatmap.any()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_batch_equals_one_image_and_class_at_a_time(name: str):
    # `at_once` 3 cuts the 5 x 2 (image, class) pairs and their regions in uneven chunks.
    classifier = networks.classifier()
    pixels = networks.pixels(5)
    labels = [(3, 1), (0, 5), (2, 4), (5, 3), (1, 0)]
    together = DamLocalizer(OPTIONS[name], classifier, at_once=3)
    found = localize(together, networks.batch(pixels, labels))
    for i, both in enumerate(found):
        parts = [
            localize(
                DamLocalizer(OPTIONS[name], classifier),
                networks.batch(pixels[i : i + 1], [(label,)]),
            )[0]
            for label in labels[i]
        ]
        assert both.boxes.tolist() == [box for one in parts for box in one.boxes.tolist()]
        assert both.scores == pytest.approx([s for one in parts for s in one.scores], abs=1e-10)
        np.testing.assert_allclose(both.heatmap, parts[0].heatmap, rtol=0, atol=1e-10)
        assert (both.mask == parts[0].mask).all()
        regions = [region for one in parts for region in one.regions]
        assert [r.box.tolist() for r in both.regions] == [r.box.tolist() for r in regions]
        assert [r.chosen for r in both.regions] == [r.chosen for r in regions]
        np.testing.assert_allclose(
            [r.score for r in both.regions], [r.score for r in regions], rtol=0, atol=1e-10
        )


def test_the_stages_one_after_another_give_the_localizers_box():
    classifier = networks.classifier()
    pixels = networks.pixels(1)
    x, label = classifier.normalize(pixels), torch.tensor([2])
    outputs = forward(classifier, x, layers=["features"])
    ranked = layer_gradient_x_activation(outputs, "features", label)
    _, neurons = top_neurons(ranked, 6)
    maps = guided_backpropagation(classifier, x, "features", neurons)[0].mean(dim=1).numpy()
    blobs = np.stack([blob(one, smoothing=Smoothing()) for one in maps])
    scores = rescore(classifier, x, blobs, np.zeros(6, dtype=int), label.expand(6))
    best = scores.argsort(descending=True, stable=True)[:3].numpy()
    whole = union(blobs[best])
    (found,) = localize(DamLocalizer(Dam(kmax=6, k=3), classifier), networks.batch(pixels, [(2,)]))
    assert found.boxes.tolist() == [bx.bounding(whole).tolist()]
    assert (found.mask == whole).all()


def test_boxes_masks_and_peaks_are_in_original_pixels():
    # The input is the original squashed to a half in x and a quarter in y.
    frame = Frame.squash((4 * SIDE, 2 * SIDE), (SIDE, SIDE))
    batch = replace(networks.batch(squares(1), [(1,)]), frames=(frame,))
    (found,) = localize(brightness(kmax=4, k=4, dilations=0, erosions=0), batch)
    assert found.boxes.tolist() == [[40, 16, 56, 48]]
    assert found.mask.shape == (4 * SIDE, 2 * SIDE)
    assert bx.bounding(found.mask).tolist() == [40, 16, 56, 48]
    assert all((region.box >= [40, 16, 40, 16]).all() for region in found.regions)


def test_without_details_only_the_pictures_are_left_out():
    batch = networks.batch(networks.pixels(2))
    localizer = DamLocalizer(Dam(), networks.classifier())
    plain, full = localize(localizer, batch, details=False)[0], localize(localizer, batch)[0]
    assert plain.heatmap is None
    assert plain.mask is None
    assert all(r.heatmap is None and r.mask is None for r in plain.regions)
    assert full.regions[0].heatmap.shape == full.regions[0].mask.shape == networks.SIZE
    assert plain.boxes.tolist() == full.boxes.tolist()
    assert [r.score for r in plain.regions] == [r.score for r in full.regions]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_mode_of_the_caller_does_not_matter(mode: type):
    batch = networks.batch(networks.pixels(2))
    localizer = DamLocalizer(Dam(), networks.classifier())
    expected = localize(localizer, batch)
    with mode():
        inside = localize(localizer, batch)
    assert [one.boxes.tolist() for one in inside] == [one.boxes.tolist() for one in expected]


def test_an_image_that_becomes_nan_is_an_error_and_the_others_are_as_without_it():
    classifier = networks.classifier(nn.Sequential(networks.NanWhereDark(), *networks.network()))
    pixels = networks.pixels(3)
    pixels[1] = 0
    first, dark, third = localize(DamLocalizer(Dam(), classifier), networks.batch(pixels))
    assert isinstance(dark, ImageError)
    assert "NaN" in str(dark)
    alone = localize(DamLocalizer(Dam(), classifier), networks.batch(pixels[[0, 2]]))
    assert [o.boxes.tolist() for o in (first, third)] == [o.boxes.tolist() for o in alone]


def test_half_precision_finds_the_same_square():
    classifier = replace(networks.classifier(Brightness(), "bfloat16"), preprocessing=WIDE)
    localizer = DamLocalizer(Dam(kmax=4, k=4, dilations=0, erosions=0), classifier)
    (found,) = localize(localizer, networks.batch(squares(1), [(1,)]))
    assert found.boxes.tolist() == [[20, 4, 28, 12]]


def test_no_class_is_a_wrong_call():
    batch = networks.batch(networks.pixels(1), selection=Selection(top=0))
    with pytest.raises(UsageError, match="dam looks for a class"):
        DamLocalizer(Dam(), networks.classifier()).localize(batch)


def test_a_region_alone_by_hand():
    # The mean pixel is 0 after normalization; the crop of the left half is each column twice.
    x = torch.arange(32.0).view(1, 1, 4, 8).expand(1, 3, 4, 8)
    mask = np.zeros((1, 4, 8), dtype=bool)
    mask[0, :, :4] = True
    mean = region_alone(x, mask, "mean")
    assert (mean[..., :4] == x[..., :4]).all()
    assert not mean[..., 4:].any()
    blur = region_alone(x, mask, "blur")
    assert (blur[..., :4] == x[..., :4]).all()
    assert not torch.equal(blur[..., 4:], x[..., 4:])
    crop = region_alone(x, mask, "crop")
    # Column j of 8 covers [j / 2, (j + 1) / 2) of the crop: its middle lies at j / 2 - 0.25.
    assert crop[0, 0, 1, 2:6].tolist() == pytest.approx([8.75, 9.25, 9.75, 10.25])


def test_a_region_without_a_pixel_is_not_shown_to_the_network():
    classifier = networks.classifier(nn.Sequential(networks.Raising()))
    masks = np.zeros((1, *networks.SIZE), dtype=bool)
    x = classifier.normalize(networks.pixels(1))
    owners, labels = np.array([0]), torch.tensor([0])
    assert rescore(classifier, x, masks, owners, labels).tolist() == [-np.inf]
    assert rescore(classifier, x, masks, owners, labels, score="probability").tolist() == [0]


def test_the_defaults_are_the_papers():
    assert canonical(build("dam", {"dam": Dam}), {"dam": Dam}) == (
        "dam(kmax=10, k=5, percentile=80.0, population=positive, distinct_channels=false, "
        "effect=plain, rule=guided, background=mean, components=largest, smooth=blobs, element=3, "
        "dilations=15, erosions=15, overlap=1.0, instances=false, abstain=0.0)"
    )


@pytest.mark.parametrize(
    "spec",
    ["dam(kmax=0)", "dam(k=0)", "dam(k=11)", "dam(k=some)", "dam(percentile=100)",
     "dam(overlap=2)", "dam(abstain=-1)", "dam(rule=gided)", "dam(element=2)",
     "dam(instances=true, smooth=union)"],
)  # fmt: skip
def test_options_out_of_range_are_refused(spec: str):
    with pytest.raises(UsageError):
        build(spec, {"dam": Dam})


@pytest.mark.parametrize("card", ["squeezenet1_1", "mobilenet_edgetpu", "bvlc_googlenet"])
def test_on_real_networks_the_regions_are_seen_as_the_class(assets: Path, card: str):
    # Property: the best region of a real photograph scores above one drawn at the image's corner.
    classifier = load_classifier(str(assets / "models" / f"{card}.toml"), device="cpu")
    (path, *_) = sorted((assets / "data" / "imagenet_dev" / "images").iterdir())
    pixels, frame = classifier.preprocessing.resized(load_rgb(path))
    batch = Batch(
        image_ids=(path.name,),
        pixels=torch.from_numpy(pixels)[None],
        frames=(frame,),
        labels=(None,),
    )
    (found,) = localize(DamLocalizer(Dam(kmax=3, k=1), classifier), batch)
    corner = np.zeros((1, *classifier.preprocessing.size), dtype=bool)
    corner[0, :30, :30] = True
    at_corner = rescore(
        classifier,
        classifier.normalize(batch.pixels),
        corner,
        np.array([0]),
        torch.tensor([found.labels[0]]),
    )
    assert found.regions[0].score > float(at_corner)


def test_its_map_for_a_box_estimator_by_hand():
    """The four neurons of the square see a patch each, evenly: the map is even on the square.

    So the box between the ends of its mass is the square, for each of the two classes asked for.
    """
    options = "dam(kmax=4, k=4, dilations=0, erosions=0)"
    method = ready(options, "mass(floor=0, trim=0)", brightness().classifier)
    batch = networks.batch(squares(1, 2), [(1, 2)])
    (found,) = method.localizer.localize(batch)
    assert isinstance(found, Localization)
    assert found.boxes.tolist() == [[20, 4, 28, 12], [4, 4, 12, 12]]
    assert found.labels == (1, 2)
    (own,) = ready(options, None, brightness().classifier).localizer.localize(batch)
    assert isinstance(own, Localization)
    assert (found.label_scores, found.top_labels) == (own.label_scores, own.top_labels)


def test_its_map_is_the_heat_map_of_its_localization() -> None:
    localizer = DamLocalizer(Dam(kmax=4, k=2), networks.classifier())
    batch = networks.batch(torch.rand(3, 3, 16, 16).mul(255).byte(), [(0,), (1,), (2,)])
    for maps, found in zip(localizer.maps(batch), localize(localizer, batch), strict=True):
        assert not isinstance(maps, ImageError)
        np.testing.assert_array_equal(maps[0].heatmap, found.heatmap)


def test_a_black_image_has_a_map_of_zeros_and_gets_the_whole_image() -> None:
    method = ready("dam", "mass", brightness().classifier)
    (found,) = method.localizer.localize(networks.batch(squares(), [(1,)]))
    assert isinstance(found, Localization)
    assert found.boxes.tolist() == [[0, 0, SIDE, SIDE]]
    assert found.scores == (0.0,)


@pytest.mark.parametrize("option", ["instances=true", "abstain=0.5"])
def test_options_of_its_own_boxes_are_refused_with_another_box(option: str) -> None:
    with pytest.raises(UsageError, match="boxes that dam makes itself"):
        ready(f"dam({option})", "mass", brightness().classifier)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_map_that_is_not_finite_is_an_error_of_its_image(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = DamLocalizer(Dam(kmax=3, k=2), networks.classifier())

    def overflown(*given: object, **options: object) -> Tensor:
        maps = neuron_maps(*given, **options)
        maps[1, 2, 0] = value
        return maps

    monkeypatch.setattr("gradbox.dam.stages.neuron_maps", overflown)
    batch = networks.batch(torch.rand(3, 3, 16, 16).mul(255).byte(), [(0,), (1,), (2,)])
    for answers in (localizer.localize(batch), localizer.maps(batch)):
        assert [isinstance(one, ImageError) for one in answers] == [False, True, False]
