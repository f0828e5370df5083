"""Methods made of methods: by hand on small maps, and against their parts on a network."""

from collections.abc import Iterator
from contextlib import contextmanager

import networks
import numpy as np
import pytest
import torch
from fakes import FakeMaps
from torch import nn

from gradbox.attribution import passes
from gradbox.attribution.combinations import Average, Maximum, Mean, Product, Smooth
from gradbox.attribution.heatmaps import normalize_max
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.errors import UsageError
from gradbox.geometry import Frame
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Selection
from gradbox.methods import METHODS, ready, to_method
from gradbox.specs import build, canonical

CLASSIFIER = networks.classifier()
A = FakeMaps(((1.0, 4.0), (0.0, 2.0)))
B = FakeMaps(((0.0, 1.0), (1.0, 1.0)))


def only_map(method: object) -> np.ndarray:
    """The map of one image for one class."""
    batch = networks.batch(networks.pixels(1), labels=[(0,)])
    ((found,),) = to_method(method).maps(CLASSIFIER).maps(batch)
    return found.heatmap


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # A scaled to the maximum 1 is (0.25, 1; 0, 0.5).
        (Mean((A, B)), [[0.125, 1], [0.5, 0.75]]),
        (Maximum((A, B)), [[0.25, 1], [1, 1]]),
        (Product((A, B)), [[0, 1], [0, 0.5**0.5]]),  # the geometric mean
        (Product((A, B), powers=(2, 1)), [[0, 1], [0, 0.25]]),
    ],
)
def test_maps_are_combined_by_hand(method: object, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(only_map(method), expected, rtol=1e-6)


def test_maps_meet_at_the_largest_size_bilinearly() -> None:
    wide = FakeMaps(((1.0, 1.0, 1.0, 1.0),))
    # (0, 1) at four times the width: pixel centres at -1/4, 1/4, 3/4, 5/4 of the two pixels.
    low = FakeMaps(((0.0, 1.0),))
    np.testing.assert_allclose(only_map(Product((wide, low), powers=(1, 1))), [[0, 0.25, 0.75, 1]])
    tall = FakeMaps(((1.0,), (1.0,), (1.0,)))
    assert only_map(Mean((wide, tall))).shape == (3, 4)


def test_a_map_of_zeros_stays_zero_in_a_product() -> None:
    nothing = FakeMaps(((0.0, 0.0), (0.0, 0.0)))
    assert not only_map(Product((A, nothing))).any()


def test_a_product_on_a_network_is_the_product_of_its_parts_for_each_class() -> None:
    batch = networks.batch(networks.pixels(3), selection=Selection(top=2))
    parts = [Sensitivity(), Sensitivity(reduce="max", target="layer_mean")]
    ours = Product(tuple(parts), powers=(1.0, 0.5)).maps(CLASSIFIER).maps(batch)
    theirs = [
        part.maps(CLASSIFIER).maps(networks.batch(networks.pixels(3), selection=Selection(top=2)))
        for part in parts
    ]
    for one, first, second in zip(ours, *theirs, strict=True):
        assert [m.label for m in one] == [m.label for m in first]
        for made, a, b in zip(one, first, second, strict=True):
            scaled = [normalize_max(torch.from_numpy(m.heatmap)[None])[0].numpy() for m in (a, b)]
            np.testing.assert_allclose(made.heatmap, scaled[0] * scaled[1] ** 0.5, rtol=1e-10)
            assert made.label_score == a.label_score


@contextmanager
def counted_forwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    calls: list[str] = []
    plain = passes.forward

    def counting(*given: object, **options: object) -> object:
        calls.append("forward")
        return plain(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(passes, "forward", counting)
    yield calls


@pytest.mark.parametrize(
    "text",
    [
        "product(sensitivity, sensitivity(reduce=max))",
        "product(sensitivity, dam)",
        "mean(dam, product(sensitivity, sensitivity(target=layer_mean)))",
    ],
)
def test_parts_share_one_forward_pass(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = build(text, METHODS)
    with counted_forwards(monkeypatch) as calls:
        method.maps(CLASSIFIER).maps(networks.batch(networks.pixels(2), labels=[(0,), (3, 1)]))
    assert calls == ["forward"]


def test_flips_by_hand_a_map_and_its_mirror_image() -> None:
    """The fake gives the same map for the mirrored input, which is turned back."""
    np.testing.assert_allclose(only_map(Average(A, flips=True)), [[0.625, 0.625], [0.25, 0.25]])


def test_flips_on_a_network_are_symmetric() -> None:
    method = Average(Sensitivity(), flips=True).maps(CLASSIFIER)
    pixels = networks.pixels(2)
    labels = [(1,), (2,)]
    one = method.maps(networks.batch(pixels, labels=labels))
    mirrored = method.maps(networks.batch(pixels.flip(3), labels=labels))
    for (a,), (b,) in zip(one, mirrored, strict=True):
        np.testing.assert_allclose(a.heatmap, b.heatmap[:, ::-1], rtol=1e-6)


def test_sizes_look_at_the_original_again() -> None:
    """Each view is the original at that size, by another way, and the maps meet at the largest."""
    rng = np.random.default_rng(0)
    originals = tuple(rng.integers(0, 255, (60, 44, 3), dtype=np.uint8) for _ in range(2))
    network = networks.classifier(size=(32, 32))
    usual = network.preprocessing
    batch = Batch(
        image_ids=("a", "b"),
        pixels=torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        frames=tuple(usual.frame((60, 44)) for _ in originals),
        labels=((0,), (1,)),
        originals=originals,
    ).view(usual)
    ours = Average(Sensitivity(), sizes=(32, 48)).maps(network).maps(batch)
    views = [batch.view(usual), batch.view(Preprocessing(size=(48, 48)))]
    theirs = [Sensitivity().maps(network).maps(view) for view in views]
    for (made,), (small,), (large,) in zip(ours, *theirs, strict=True):
        assert made.heatmap.shape == (48, 48)
        combined = only_map(Mean((_fixed(small.heatmap), _fixed(large.heatmap))))
        np.testing.assert_allclose(made.heatmap, combined, rtol=1e-5, atol=1e-7)


def _fixed(heatmap: np.ndarray) -> FakeMaps:
    return FakeMaps(tuple(map(tuple, heatmap.tolist())))


def test_a_size_that_the_network_cannot_take_is_a_wrong_call() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 30 * 30, 3))
    network = networks.classifier(net, size=(32, 32))
    rgb = np.zeros((40, 40, 3), dtype=np.uint8)
    batch = Batch(
        image_ids=("a",),
        pixels=torch.zeros(1, 3, 32, 32, dtype=torch.uint8),
        frames=(Frame.squash((40, 40), (32, 32)),),
        labels=((0,),),
        originals=(rgb,),
    )
    with pytest.raises(UsageError, match=r"cannot be run on an input of 48 x 48 .*leave that size"):
        Average(Sensitivity(), sizes=(48,)).maps(network).maps(batch)


def test_smoothing_keeps_the_mass_and_widens_the_peak() -> None:
    point = np.zeros((21, 21), dtype=np.float32)
    point[10, 10] = 1.0
    batch = networks.batch(networks.pixels(1, size=(42, 42)), labels=[(0,)])
    ((found,),) = Smooth(_fixed(point), sigma=4.0).maps(CLASSIFIER).maps(batch)
    # sigma is in input pixels: 4 of 42 are 2 of 21; a Gaussian's peak is 1 / (2 pi sigma^2).
    assert found.heatmap.sum() == pytest.approx(1.0, rel=1e-3)
    assert found.heatmap.max() == pytest.approx(1 / (2 * np.pi * 4), rel=0.02)


def test_nested_text_has_one_canonical_form() -> None:
    text = "average(product(sensitivity, smooth(dam(k=3), 2), powers=[1, 0.35]), flips=true)"
    method = build(text, METHODS)
    assert method == Average(
        Product((Sensitivity(), Smooth(build("dam(k=3)", METHODS), 2.0)), powers=(1.0, 0.35)),
        flips=True,
    )
    written = canonical(method, METHODS)
    assert build(written, METHODS) == method
    assert "powers=[1.0, 0.35]" in written
    assert canonical(build(written, METHODS), METHODS) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("product(sensitivity, mass)", r"unknown name 'mass' in 'mass' where .*parts\[2\] wants"),
        ("product(sensitivity, 3)", r"parts\[2\]=3 is no part; known: auto, average, dam"),
        ("product(sensitivity)", "1 maps to combine: give two or more"),
        ("product()", "product needs parts"),
        ("product(sensitivity, dam, powers=[1])", "1 powers for 2 maps"),
        ("product(sensitivity, dam, powers=[1, 0])", "each is above 0"),
        ("average(sensitivity)", "an average of one view"),
        ("average(sensitivity, sizes=[4])", "16 or more"),
        ("average(sensitivity, sizes=[a])", "is not int"),
        ("smooth(sensitivity, sigma=0)", "above 0"),
        ("smooth(dam(kk=3))", "dam has no option 'kk'"),
        ("sensitivity(layer=mean(dam, dam))", "is not text"),
    ],
)
def test_a_wrong_nesting_says_what_stands_where_and_what_may(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(text, METHODS)


def test_a_combination_says_where_its_class_comes_from() -> None:
    attention = "sensitivity(target=layer_mean)"
    assert ready(f"mean({attention}, {attention})", None, CLASSIFIER).class_from == "none"
    mixed = ready(f"product({attention}, sensitivity)", None, CLASSIFIER)
    assert mixed.class_from == "predicted"
    assert mixed.method.needs_class
