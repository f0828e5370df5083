"""The method `auto`: which maps it combines, its boxes, and what it says of itself."""

import json
from pathlib import Path

import heads
import networks
import numpy as np
import pytest
import torch
from fakes import FakeMaps

from gradbox.attribution.cam import GradCam
from gradbox.attribution.combinations import Product
from gradbox.attribution.maps import LabelledMap
from gradbox.auto import method as method_file
from gradbox.auto.confidence import Confidence
from gradbox.auto.evidence import FEATURES
from gradbox.auto.localizer import AutoLocalizer
from gradbox.auto.method import Auto
from gradbox.errors import UsageError
from gradbox.estimators.objects import Objects
from gradbox.foreground.maps import Foreground
from gradbox.geometry import Frame
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Localization, Sample, Selection
from gradbox.methods import DEFAULT_METHOD, METHODS, ready, to_estimator, to_method
from gradbox.models.classifier import Classifier
from gradbox.pipeline import localize, locate
from gradbox.specs import canonical

CLASSIFIER = networks.classifier(size=(64, 64))
SURE = Confidence(
    mean=(0.0,) * 2 * len(FEATURES),
    scale=(1.0,) * 2 * len(FEATURES),
    weights=(0.0,) * 2 * len(FEATURES),
    bias=float(np.log(3)),
)
"""Three quarters, whatever the evidence."""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A head with random weights."""
    path = tmp_path_factory.mktemp("head") / "head.safetensors"
    heads.untrained().save(path)
    return str(path)


def photograph(seed: int = 0, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def black_box() -> Classifier:
    def scores(images: np.ndarray) -> np.ndarray:
        return np.stack([images.mean(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))], axis=1)

    return Classifier.from_function(
        scores, outputs="logits", preprocessing=Preprocessing(size=(64, 64))
    )


@pytest.mark.foreground
def test_it_is_the_default_and_says_whether_the_foreground_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The text that run.json holds builds the same method where the extra is not installed."""
    assert DEFAULT_METHOD == "auto"
    with_it = canonical(to_method("auto"), METHODS)
    monkeypatch.setattr(method_file, "is_installed", lambda name: False)
    without = canonical(to_method("auto"), METHODS)
    assert with_it.startswith("auto(foreground=true, ")
    assert without.startswith("auto(foreground=false, ")
    assert to_method(with_it) == Auto(foreground=True)


def test_its_map_is_that_of_its_combination(head: str) -> None:
    method = Auto(foreground=True, head=head, power=0.3, closer=0)
    by_hand = Product((Foreground(head=head), GradCam()), powers=(1.0, 0.3))
    (found,), (expected,) = (
        list(localize([photograph()], CLASSIFIER, method=one, box="objects", details=True))
        for one in (method, by_hand)
    )
    assert isinstance(found, Localization)
    assert isinstance(expected, Localization)
    assert found.heatmap is not None
    np.testing.assert_array_equal(found.heatmap, expected.heatmap)
    (own,) = localize([photograph()], CLASSIFIER, method=method)
    assert isinstance(own, Localization)
    assert {tuple(box) for box in own.boxes} <= {tuple(box) for box in expected.boxes}
    np.testing.assert_array_equal(own.boxes[0], expected.boxes[0])  # the boxes are `objects`'


def test_a_box_estimator_takes_the_place_of_its_boxes() -> None:
    chosen = ready(Auto(foreground=False), "center(0.5)", CLASSIFIER)
    (found,) = localize([photograph()], CLASSIFIER, method=chosen.method, box=chosen.box)
    assert isinstance(found, Localization)
    np.testing.assert_allclose(found.boxes, [[30, 22.5, 90, 67.5]])


@pytest.mark.foreground
def test_of_a_black_box_it_takes_what_needs_no_gradient(head: str) -> None:
    classifier = black_box()
    for method in (Auto(foreground=True, head=head), Auto(foreground=False)):
        (found,) = localize([photograph()], classifier, method=method)
        assert isinstance(found, Localization)
        assert 0 <= found.scores[0] <= 1
    texts = [ready(one, None, classifier).combination for one in ("auto", Auto(foreground=False))]
    assert [text.partition("(")[0] for text in texts if text] == ["foreground", "occlusion"]


def test_without_a_class_it_is_the_foreground_alone(head: str) -> None:
    method = Auto(foreground=True, head=head, closer=0)
    asked = {"selection": Selection(top=0), "details": True}
    (found,) = localize([photograph()], CLASSIFIER, method=method, **asked)
    (alone,) = localize([photograph()], CLASSIFIER, method=Foreground(head=head), **asked)
    assert isinstance(found, Localization)
    assert isinstance(alone, Localization)
    assert found.labels[0] is None
    np.testing.assert_array_equal(found.heatmap, alone.heatmap)
    with pytest.raises(UsageError, match="needs a class"):
        list(localize([photograph()], CLASSIFIER, method=Auto(foreground=False), **asked))


def test_a_map_of_zeros_is_the_whole_image_with_the_score_0() -> None:
    frame = Frame.squash((30, 40), (8, 8))
    batch = Batch(
        image_ids=("a.png",),
        pixels=torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        frames=(frame,),
        labels=((0,),),
    )
    for value, score in ((0.0, 0.0), (1.0, 0.75)):
        maker = FakeMaps(rows=((value,) * 8,) * 8)
        (found,) = AutoLocalizer(maker, Objects(), SURE).localize(batch)
        assert isinstance(found, Localization)
        np.testing.assert_array_equal(found.boxes, [[0, 0, 40, 30]])
        assert found.scores == pytest.approx((score,))


def test_each_object_has_a_box_and_a_score() -> None:
    """Two squares on a map of 8 x 8 over an image of 80 x 80: each cell is 10 pixels."""
    grid = np.zeros((8, 8), dtype=np.float32)
    grid[1:3, 1:3], grid[4:8, 5:8] = 0.9, 1.0
    batch = Batch(
        image_ids=("a.png",),
        pixels=torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        frames=(Frame.squash((80, 80), (8, 8)),),
        labels=((0,),),
    )

    class Maker:
        def maps(self, batch: Batch) -> list[list[LabelledMap]]:
            return [[LabelledMap(0, 0.8, grid)]]

    (found,) = AutoLocalizer(Maker(), Objects(), SURE).localize(batch)
    assert isinstance(found, Localization)
    np.testing.assert_allclose(found.boxes, [[50, 40, 80, 80], [10, 10, 30, 30]])
    assert found.scores == pytest.approx((0.75, 0.75))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"power": 0.0}, "power=0.0"),
        ({"closer": 1.0}, "closer=1.0"),
        ({"foreground": False, "head": "x"}, "foreground=false uses none"),
        ({"foreground": False, "power": 0.3}, "power=0.3 is of the class's map beside the foregr"),
        ({"share": 1.0}, "share=1.0"),
    ],
)
def test_bad_options_are_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises((UsageError, ValueError), match=message):
        Auto(**options)  # type: ignore[arg-type]


def test_run_json_has_the_maps_that_are_combined(tmp_path: Path) -> None:
    sample = Sample(image_id="a.png", source=photograph)
    locate([sample], CLASSIFIER, tmp_path, method=Auto(foreground=False))
    run = json.loads((tmp_path / "run.json").read_text())["call"]
    assert run["method"].startswith("auto(foreground=false, ")
    maps, _, box = run["combination"].partition(" | ")
    assert maps == canonical(to_method(maps), METHODS)
    assert maps.startswith("average(")
    assert to_estimator(box) == Objects(share=0.45, split=0)
