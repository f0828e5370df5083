"""Networks of 1, 4 and 12 channels, beside the same network of three."""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
import torch
from commands import run
from examples import examples
from onnx import TensorProto, helper
from torch import nn

from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import hash_source, load
from gradbox.images.decode import decode
from gradbox.images.pixels import as_rgb
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Localization, Sample
from gradbox.methods import METHODS
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.small import Small
from gradbox.pipeline import localize

COUNTS = (1, 4, 12)


def seen(channels: int) -> Preprocessing:
    return Preprocessing(size=(32, 32), mean=(0.5,) * channels, std=(0.25,) * channels)


def network(channels: int) -> nn.Sequential:
    """The same function of grey for any number of channels, each of which has its share of it."""
    torch.manual_seed(0)
    grey, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
    head = nn.Linear(8, 3)
    first = nn.Conv2d(channels, 8, 3, padding=1).double()
    first.weight.data[:] = grey.weight.data.double() / channels
    first.bias.data[:] = grey.bias.data
    return nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head
    ).double()


def classifier(channels: int) -> Classifier:
    return Classifier.wrap(
        network(channels), preprocessing=seen(channels), device="cpu", dtype="float64"
    )


def disc() -> np.ndarray:
    """A bright disc on dark noise, (60, 50) uint8, larger than the input."""
    grey = np.random.default_rng(0).integers(0, 40, (60, 50), dtype=np.uint8)
    cv2.circle(grey, (30, 24), 12, 230, -1)
    return grey


def stacked(grey: np.ndarray, channels: int) -> np.ndarray:
    return np.repeat(grey[..., None], channels, axis=2)


@pytest.mark.parametrize("method", [one for one in examples(METHODS) if one != "smoothgrad"])
def test_every_method_finds_in_any_channels_what_it_finds_in_three(method: str):
    """An input that is the same in every channel has the same gradient in each, 1/c of the whole.

    So the maps are the same but for a factor, and the boxes of `mass` are the same; those of
    smoothgrad are not, whose noise differs in each channel.
    """
    found = {
        count: localize(stacked(disc(), count), classifier(count), method=method)
        for count in (3, *COUNTS)
    }
    for count in COUNTS:
        assert found[count].labels == found[3].labels
        np.testing.assert_allclose(found[count].label_scores, found[3].label_scores, atol=1e-12)
        np.testing.assert_allclose(found[count].boxes, found[3].boxes, atol=1e-6)


def test_the_map_is_the_mean_of_the_channels_that_are_there():
    """Of a linear network the gradient is its weights, so the map is the mean of their amounts."""
    weights = torch.arange(-6.0, 6.0)
    net = nn.Sequential(nn.Conv2d(12, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[0].weight.data[:] = 0.0
    net[0].weight.data[1, :, 0, 0] = weights
    one = Classifier.wrap(net, preprocessing=replace(seen(12), size=(4, 4)), device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 12), dtype=np.uint8)
    found = localize(image, one, method="sensitivity", labels=["1"], details=True)
    np.testing.assert_allclose(found.heatmap, 3.0 / 16, rtol=1e-6)  # (6+5+4+3+2+1+0+1+..+5) / 12
    assert weights.abs().mean() == 3.0


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_each_channel_is_resized_as_a_colour_is(count: int, interpolation: str):
    """Pillow resizes RGB; a channel on its own comes out the same."""
    image = np.random.default_rng(0).integers(0, 256, (37, 53, count), dtype=np.uint8)
    box = np.array([5.5, 3.0, 40.0, 31.25])
    for region in (None, box):
        own = replace(seen(count), interpolation=interpolation)
        resized, frame = own.resized(image, region)
        assert resized.shape == (count, 32, 32)
        for channel in range(count):
            colours = stacked(image[..., channel], 3)
            expected, as_frame = replace(seen(3), interpolation=interpolation).resized(
                colours, region
            )
            np.testing.assert_array_equal(resized[channel], expected[0])
            assert frame == as_frame


def test_normalization_is_a_number_for_each_channel():
    own = Preprocessing(size=(1, 1), mean=(0.0, 0.5, 1.0, 0.2), std=(1.0, 2.0, 4.0, 0.1))
    pixels = torch.tensor([255, 51, 0, 102], dtype=torch.uint8).view(1, 4, 1, 1)
    values = own.normalize(pixels, torch.float64)
    expected = [1.0, (0.2 - 0.5) / 2.0, -1.0 / 4.0, (0.4 - 0.2) / 0.1]  # pixel / 255, by hand
    np.testing.assert_allclose(values.flatten(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mean": (0.5,)}, "a number for each channel"),
        ({"mean": (), "std": ()}, "a number for each channel"),
        ({"mean": (0.5,), "std": (0.0,)}, "std not 0"),
        ({"mean": (0.5,), "std": (0.5,), "color": "BGR"}, "BGR is of three channels"),
    ],
)
def test_what_is_no_normalization(changes: dict, said: str):
    with pytest.raises(ValueError, match=said):
        Preprocessing(**changes)


def test_what_comes_in_another_number_of_channels(tmp_path):
    grey = disc()
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    cv2.imwrite(str(tmp_path / "colours.png"), np.dstack([grey, grey, 255 - grey]))
    np.testing.assert_array_equal(decode(tmp_path / "grey.png", channels=1).pixels, grey[..., None])
    np.testing.assert_array_equal(decode(grey, channels=1).pixels, grey[..., None])
    with pytest.raises(ImageError, match="has 3 channels and the network takes 1 channel"):
        decode(tmp_path / "colours.png", channels=1)
    with pytest.raises(ImageError, match="has 1 channel and the network takes 12 channels"):
        decode(tmp_path / "grey.png", channels=12)
    with pytest.raises(ImageError, match="has 5 channels and the network takes 12 channels"):
        decode(stacked(grey, 5), channels=12)


def test_16_bits_of_many_channels_are_scaled_together():
    """12 bits hold the largest of all numbers, so 4095 is 255 and the channels keep their ratio."""
    numbers = np.zeros((2, 2, 5), dtype=np.uint16)
    numbers[..., 1], numbers[..., 4] = 4095, 819
    pixels = decode(numbers, channels=5).pixels
    np.testing.assert_array_equal(pixels[0, 0], [0, 255, 0, 0, 51])


def test_the_hash_of_an_array_is_that_of_its_numbers_however_it_is_loaded():
    for count in (1, 3, 12):
        image = stacked(disc(), count)
        said = Preprocessing(size=(8, 8), mean=(0.5,) * count, std=(0.5,) * count)
        loaded = load(Sample(image_id="a", source=image), said)
        assert loaded.sha256 == hash_source(image) == hashlib.sha256(image.tobytes()).hexdigest()


def test_what_people_see_of_channels():
    """One is grey, two are red and green, of more the first three are the colours."""
    grey = disc()
    image = np.dstack([grey, 255 - grey, grey // 2, grey // 3])
    black = np.zeros_like(grey)
    np.testing.assert_array_equal(as_rgb(image[..., :1]), stacked(grey, 3))
    np.testing.assert_array_equal(as_rgb(image[..., :2]), np.dstack([grey, 255 - grey, black]))
    np.testing.assert_array_equal(as_rgb(image[..., :3]), image[..., :3])
    np.testing.assert_array_equal(as_rgb(image), image[..., :3])


CARD = """
[model]
architecture = "gradbox/small"
arguments = { num_classes = 2, widths = [4, 4], channels = 1 }
weights = "weights.pt"
classes = ["yes", "no"]

[input]
size = [32, 32]
mean = [0.5]
std = [0.25]
"""


def test_a_card_says_how_many(tmp_path, capsys):
    """Its mean and std do; grey files go through, a coloured one is reported, the run goes on."""
    torch.manual_seed(0)
    torch.save(Small(2, (4, 4), channels=1).state_dict(), tmp_path / "weights.pt")
    card = tmp_path / "card.toml"
    card.write_text(CARD)
    assert load_classifier(str(card)).preprocessing.channels == 1
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for i in range(2):
        cv2.imwrite(str(photographs / f"{i}.png"), disc())
    colours = np.dstack([disc(), disc(), 255 - disc()])
    cv2.imwrite(str(photographs / "colours.png"), colours)
    out = tmp_path / "out"
    call = ("locate", photographs, "--model", card, "--out", out, "--pictures", "--masks")
    assert run(*call) == 1  # one image failed
    assert "colours.png" in capsys.readouterr().err
    assert len((out / "predictions.jsonl").read_text().splitlines()) == 3
    drawn = cv2.imread(str(next((out / "pictures").glob("0*"))))
    assert drawn is not None
    card.write_text(CARD.replace("mean = [0.5]", "").replace("std = [0.25]", ""))
    with pytest.raises(UsageError, match=r"with 3 channels .*a number for each channel"):
        load_classifier(str(card))


def test_an_onnx_file_of_four_channels(tmp_path):
    """Scores are the means of channels 1 and 3, so the class is the brighter of the two."""
    weights = np.zeros((2, 4, 1, 1), dtype=np.float32)
    weights[0, 1], weights[1, 3] = 1, 1
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, str(tmp_path / "net.onnx"))
    with pytest.raises(UsageError, match="in which 3 channels stand neither second nor last"):
        load_classifier(str(tmp_path / "net.onnx"))
    card = tmp_path / "card.toml"
    card.write_text(
        '[model]\narchitecture = "net.onnx"\n[input]\nsize = [16, 16]\n'
        "mean = [0, 0, 0, 0]\nstd = [1, 1, 1, 1]\n"
    )
    image = np.zeros((20, 20, 4), dtype=np.uint8)
    image[..., 3] = 200
    found = localize(image, load_classifier(str(card)), method="rise(calls=20)")
    assert isinstance(found, Localization)
    assert found.labels == (1,)
