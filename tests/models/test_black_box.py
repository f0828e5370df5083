"""A function from images to scores is a classifier: the same runs, clear lines where it is none."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import networks
import numpy as np
import pytest
import torch
from examples import examples

import gradbox
from gradbox.attribution.layers import spatial_layers
from gradbox.attribution.targets import class_target
from gradbox.errors import ImageError, UsageError
from gradbox.files import hash_bytes
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Localization
from gradbox.methods import METHODS, ready
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier

ONLY_CALL = ("rise", "occlusion", "foreground", "auto")
SEEN = Preprocessing(size=networks.SIZE)
MODULE = networks.classifier(dtype="float32")
FUNCTION = """
import numpy as np

def predict(images):
    assert images.dtype == np.float32
    left, right = images[..., :32].mean(axis=(1, 2, 3)), images[..., 32:].mean(axis=(1, 2, 3))
    first = 1 / (1 + np.exp(right - left))
    return np.stack([first, 1 - first], axis=1)
"""
CARD = """
[model]
architecture = "scores.py:predict"
outputs = "probabilities"
classes = ["left", "right"]

[input]
size = [64, 64]
"""


def by_module(images: np.ndarray) -> np.ndarray:
    """The scores of a torch network, as a function that gives arrays alone."""
    with torch.no_grad():
        return MODULE.module(torch.from_numpy(images)).numpy()


def wrapped(function: Callable[[np.ndarray], Any], **options: Any) -> Classifier:
    return Classifier.from_function(function, preprocessing=SEEN, **options)


def logits(classifier: Classifier, count: int = 3) -> torch.Tensor:
    return classifier.module(classifier.normalize(networks.pixels(count)))


@pytest.fixture
def function_card(tmp_path: Path) -> Path:
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "scores.py").write_text(FUNCTION)
    (folder / "card.toml").write_text(CARD)
    return folder / "card.toml"


@pytest.mark.parametrize("method", ["occlusion(window=4)", "rise(calls=30)"])
def test_a_function_has_the_boxes_of_the_network_that_it_calls(method: str) -> None:
    batch = networks.batch(networks.pixels(3))
    ours, theirs = (
        ready(method, None, one).localizer.localize(batch) for one in (wrapped(by_module), MODULE)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one, Localization)
        assert isinstance(other, Localization)
        assert one.labels == other.labels
        assert one.label_scores == pytest.approx(other.label_scores, abs=1e-6)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)


def test_the_softmax_gives_probabilities_back() -> None:
    given = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    classifier = wrapped(lambda images: given[: len(images)], outputs="probabilities")
    np.testing.assert_allclose(logits(classifier).softmax(dim=1).numpy(), given, atol=1e-6)
    assert logits(classifier).isfinite().all()


def test_what_the_function_does_to_its_array_is_its_own() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        found = by_module(images)
        images[:] = np.nan
        return found

    np.testing.assert_array_equal(logits(wrapped(scores)), logits(wrapped(by_module)))


def test_a_function_need_not_be_able_to_be_copied() -> None:
    class Locked:
        def __init__(self) -> None:
            self.lock = Lock()

        def __call__(self, images: np.ndarray) -> np.ndarray:
            with self.lock:
                return by_module(images)

    classifier = wrapped(Locked())
    assert logits(classifier).shape == (3, 6)
    assert classifier.weights_hash.startswith("function ")
    assert classifier.weights_hash.endswith(
        ":test_a_function_need_not_be_able_to_be_copied.<locals>.Locked"
    )


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda b: torch.zeros(b, 6), r"a torch tensor \(3, 6\): return a numpy array, scores.det"),
        (lambda b: [[0.0] * 6] * b, "type list: return a numpy array .images, classes., np.array"),
        (lambda b: None, "an object of type NoneType: return a numpy array"),
        (lambda b: np.zeros((b, 6), int), r"array \(3, 6\) of int64: return floating-point scores"),
        (lambda b: np.zeros(b), r"returned \(3,\) of float32: a classifier returns \(batch, class"),
        (lambda b: np.zeros((b, 6, 1)), r"returned \(3, 6, 1\) of float32: a classifier returns"),
        (lambda b: np.zeros((b, 0)), r"returned \(3, 0\) of float32"),
        (lambda b: np.zeros((b + 1, 6)), "4 rows of logits for 3 images: one each"),
        (lambda b: np.zeros((1, 6)), "1 rows of logits for 3 images: one each"),
        (lambda b: np.zeros((b, 5)), "has 6 class names but its network has 5 outputs"),
    ],
)
@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_what_is_no_row_of_scores_for_each_image_is_one_line(
    returned: Callable[[int], Any], message: str, method: str
) -> None:
    classifier = wrapped(lambda images: returned(len(images)), class_names=list("abcdef"))
    with pytest.raises(UsageError, match=message) as caught:
        ready(method, None, classifier).localizer.localize(networks.batch(networks.pixels(3)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.2, 0.2], 'add up to 0.4: .* if these are logits, say outputs="logits"'),
        ([-1.0, 2.0], "from -1 to 2 that add up to 1: probabilities are 0 or more"),
    ],
)
def test_probabilities_that_are_none_are_one_line(row: list[float], message: str) -> None:
    classifier = wrapped(lambda images: np.array([row] * len(images)), outputs="probabilities")
    with pytest.raises(UsageError, match=message):
        logits(classifier)


def test_classes_that_change_in_number_are_one_line() -> None:
    widths = iter([6, 3])

    def scores(images: np.ndarray) -> np.ndarray:
        return np.arange(next(widths), dtype=np.float32) * np.ones((len(images), 1), np.float32)

    localizer = ready("occlusion", None, wrapped(scores, name="mine")).localizer
    with pytest.raises(UsageError, match="mine returned 3 scores where it returned more before"):
        localizer.localize(networks.batch(networks.pixels(1)))  # class 5 is the highest of 6


def test_a_torch_module_is_no_function() -> None:
    with pytest.raises(UsageError, match=r"a torch module goes to Classifier\.wrap"):
        Classifier.from_function(networks.network())


def test_nan_and_a_function_that_raises_fail_their_image_alone() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        grey = images.mean(axis=(1, 2, 3))
        if (grey > 2).any():
            raise RuntimeError("too bright")
        return np.stack([np.where(grey < -1.9, np.nan, grey), -grey], axis=1)

    bright, dark, fine = (np.full((14, 10, 3), level, np.uint8) for level in (255, 0, 120))
    classifier = Classifier.from_function(scores, preprocessing=SEEN)
    found = list(gradbox.localize([bright, dark, fine], classifier, method="occlusion"))
    assert str(found[0]) == "the method failed: RuntimeError: too bright"
    assert isinstance(found[1], ImageError)
    assert "NaN" in str(found[1])
    assert isinstance(found[2], Localization)


@pytest.mark.parametrize(
    "text",
    [
        *(t for t in examples(METHODS) if t.split("(")[0] not in ONLY_CALL),
        "product(sensitivity, occlusion)",
        "occlusion(target=layer_mean)",
        "rise(target=layer_mean)",
        "peer(torchcam, GradCAM)",
    ],
)
def test_what_needs_a_gradient_or_a_layer_says_what_does_not(text: str) -> None:
    with pytest.raises(UsageError, match=r"is a black box.* --method occlusion or") as caught:
        ready(text, None, wrapped(by_module, name="mine"))
    assert "\n" not in str(caught.value)


def test_a_gradient_and_layers_are_refused_in_python_too() -> None:
    classifier = wrapped(by_module)
    images = classifier.normalize(networks.pixels(1))
    for call in (
        lambda: gradbox.input_gradient(classifier, images, class_target((0,))),
        lambda: spatial_layers(classifier),
        lambda: classifier.with_layer("features"),
    ):
        with pytest.raises(UsageError, match="is a black box"):
            call()


@pytest.mark.parametrize(
    "method",
    [
        "product(occlusion(window=4), smooth(rise(calls=40), sigma=1))",
        "foreground(sizes=[32])",
        "product(foreground(sizes=[32]), rise(calls=40), powers=[1, 0.25])",
    ],
)
def test_methods_that_only_call_combine(method: str, discs: Path) -> None:
    images = sorted((discs / "images").iterdir())[:2]
    classifier = wrapped(by_module)
    assert all(
        isinstance(found, Localization)
        for found in gradbox.localize(images, classifier, method=method)
    )


def test_a_run_of_a_function_is_never_gone_on_with_and_one_of_a_file_is(
    function_card: Path, discs: Path, tmp_path: Path
) -> None:
    data = gradbox.load_dataset(f"csv:{discs}")

    def run(classifier: Classifier, out: str) -> dict[str, Any]:
        gradbox.locate(data.samples[:2], classifier, tmp_path / out, method="occlusion(window=8)")
        return json.loads((tmp_path / out / "run.json").read_text())["call"]

    def scores(images: np.ndarray) -> np.ndarray:
        return by_module(images)

    call = run(wrapped(scores), "value")
    assert call["weights_hash"].startswith("function ")
    assert call["weights_hash"].endswith(".scores")
    with pytest.raises(UsageError, match="its classifier is a function without a file"):
        run(wrapped(scores), "value")

    loaded = load_classifier(str(function_card))
    source = function_card.with_name("scores.py")
    expected = hash_bytes(f"{hash_bytes(source.read_bytes())}:predict".encode())
    assert run(loaded, "file")["weights_hash"] == expected
    assert run(load_classifier(str(function_card)), "file")["weights_hash"] == expected
    source.write_text(FUNCTION + "\n# changed\n")
    with pytest.raises(UsageError, match="weights_hash"):
        run(load_classifier(str(function_card)), "file")


def test_a_function_in_a_file_follows_its_card(function_card: Path) -> None:
    classifier = load_classifier(str(function_card), device="cpu")
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 40:56] = 255  # right of the middle
    found = gradbox.localize(image, classifier, method="occlusion(window=8)")
    assert found.names == ("right",)
    # Normalized by std 0.225 on average, 16 of 32 columns: the halves differ by 0.5 / 0.226.
    assert found.label_scores[0] == pytest.approx(1 / (1 + np.exp(-0.5 / 0.226)), abs=0.01)
    xmin, _, xmax, _ = found.boxes[0]
    assert (xmin + xmax) / 2 == pytest.approx(48, abs=1)  # the map is as symmetric as the bar
    assert 40 - 8 < xmin < xmax < 56 + 8  # a square of 8 outside covers nothing bright


@pytest.mark.parametrize(
    ("about", "options", "message"),
    [
        ("arguments = {a = 1}", {}, "is a black box, which takes no arguments: leave them out"),
        ('weights = "w.pth"', {}, "is a black box, which takes no weights: leave them out"),
        ("", {"weights": "untrained"}, "is a black box, which takes no weights: leave them out"),
        ("", {"dtype": "float64"}, "dtype=float64: scores.py:predict is a black box, which takes"),
        ("", {"layer": "conv"}, "is a black box, which has neither a gradient nor layers"),
        ('classes = ["a"]', {}, "has 1 class names but its network has 2 outputs"),
    ],
)
def test_a_card_of_a_function_that_says_too_much_is_one_line(
    about: str, options: dict[str, str], message: str, function_card: Path
) -> None:
    text = CARD.replace('classes = ["left", "right"]', about)
    function_card.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_classifier(str(function_card), device="cpu", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"scores.py:predict"', '"torchvision/vgg16"', "marks a black box and 'torchvision/vgg16'"),
        ('"probabilities"', '"scores"', "outputs=scores is not one of logits, probabilities"),
        ("predict", "pridect", "has no function 'pridect' .did you mean predict"),
        ('outputs = "probabilities"\n', "", r"card.toml: predict\(\) missing 1 required"),
    ],
)
def test_a_card_that_marks_no_function_is_one_line(
    old: str, new: str, message: str, function_card: Path
) -> None:
    function_card.write_text(CARD.replace(old, new))
    with pytest.raises(UsageError, match=message) as caught:
        load_classifier(str(function_card), device="cpu")
    assert "\n" not in str(caught.value)
