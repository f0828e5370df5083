"""Networks in ONNX files: the same classes as the module they were made of, clear lines else."""

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import gradbox
from gradbox import cli
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.localization import Localization
from gradbox.models.classifier import Classifier
from gradbox.models.load import SCENES, load_classifier

WEIGHTS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
"""From the mean colour (3,) to the scores of four classes."""
FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE


def write(
    path: Path,
    shape: Sequence[int | str] = ("b", 3, 16, 12),
    *,
    dtype: int = FLOAT,
    axes: Sequence[int] = (2, 3),
    softmax: bool = False,
    more_inputs: int = 0,
    more_outputs: int = 0,
    external: str | None = None,
    out: Sequence[int | str] | None = None,
) -> Path:
    """A network of one linear layer on the mean of the `axes`: its scores are known by hand."""
    weights = WEIGHTS[:1] if 1 in shape[1:2] else WEIGHTS  # of one colour
    number = helper.tensor_dtype_to_np_dtype(dtype)
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1)
        if softmax
        else helper.make_node("Identity", ["logits"], ["scores"]),
    ]
    if out is not None:
        nodes[-1] = helper.make_node("Unsqueeze", ["logits", "axes"], ["scores"])
    extra = [helper.make_tensor_value_info(f"in{i}", dtype, ["b", 1]) for i in range(more_inputs)]
    outs = [helper.make_tensor_value_info("scores", dtype, out or [shape[0], 4])]
    if more_outputs:
        outs.append(helper.make_tensor_value_info("means", dtype, [shape[0], 3]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", dtype, shape), *extra],
        outs,
        [
            numpy_helper.from_array(weights.astype(number), "weights"),
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=external is not None,
        location=external,
        size_threshold=60,  # the weights, not the axes
    )
    return path


def load(path: Path, about: str = "", seen: str = "size = [16, 12]", **options: str) -> Classifier:
    """The network by a model card beside it."""
    text = f'[model]\narchitecture = "{path.name}"\n{about}\n[input]\n{seen}\n'
    path.with_suffix(".toml").write_text(text)
    return load_classifier(str(path.with_suffix(".toml")), **{"device": "cpu", **options})


def images(count: int = 5, size: tuple[int, int] = (16, 12)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=generator)


def logits(classifier: Classifier, pixels: torch.Tensor) -> np.ndarray:
    return classifier.module(classifier.normalize(pixels)).numpy()


def by_hand(classifier: Classifier, pixels: torch.Tensor) -> np.ndarray:
    return classifier.normalize(pixels).mean(dim=(2, 3)).numpy() @ WEIGHTS


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        (("b", 3, 16, 12), (2, 3)),
        (("b", 3, "h", "w"), (2, 3)),
        ((1, 3, 16, 12), (2, 3)),
        ((2, 3, 16, 12), (2, 3)),  # five images: the last one alone, filled up
        ((8, 3, 16, 12), (2, 3)),
        (("b", 16, 12, 3), (1, 2)),  # colours last
        ((2, "h", "w", 3), (1, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize(("dtype", "error"), [(FLOAT, 1e-5), (HALF, 1e-2), (DOUBLE, 1e-5)])
def test_every_clear_input_has_the_scores_by_hand(
    shape: Sequence[int | str], axes: Sequence[int], dtype: int, error: float, tmp_path: Path
) -> None:
    classifier = load(write(tmp_path / "net.onnx", shape, axes=axes, dtype=dtype))
    np.testing.assert_allclose(
        logits(classifier, images()), by_hand(classifier, images()), atol=error
    )


def test_a_file_alone_has_the_size_that_it_says(tmp_path: Path) -> None:
    fixed = load_classifier(str(write(tmp_path / "fixed.onnx")), device="cpu")
    assert fixed.preprocessing.size == (16, 12)
    opened = write(tmp_path / "open.onnx", ("b", 3, "h", "w"))
    assert load_classifier(str(opened), device="cpu").preprocessing.size == (224, 224)
    assert logits(load(opened, seen="size = [20, 30]"), images(2, (20, 30))).shape == (2, 4)


@pytest.mark.parametrize("about", ["", 'outputs = "probabilities"'])
def test_scores_after_a_softmax_are_known_as_probabilities(about: str, tmp_path: Path) -> None:
    before = load(write(tmp_path / "before.onnx"))
    after = load(write(tmp_path / "after.onnx", softmax=True), about)
    expected = torch.from_numpy(logits(before, images())).softmax(dim=1)
    found = torch.from_numpy(logits(after, images())).softmax(dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_hash_is_that_of_the_file_and_of_what_it_keeps_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    assert load(path).weights_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    name = "weights" * 20 + ".bin"  # longer than one byte can say
    path = write(tmp_path / "parts.onnx", external=name)
    before = load(path).weights_hash
    assert before != hashlib.sha256(path.read_bytes()).hexdigest()
    beside = bytearray((tmp_path / name).read_bytes())
    beside[1] ^= 1
    (tmp_path / name).write_bytes(beside)
    assert load(path).weights_hash != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"more_inputs": 1}, r"has 2 inputs \(images, in0\) and gradbox has images alone"),
        ({"more_outputs": 1}, r"has 2 outputs \(scores, means\) and gradbox needs scores alone"),
        ({"shape": ("b", 1, 16, 12)}, "b x 1 x 16 x 12, in which 3 channels stand neither second"),
        ({"shape": ("b", "c", "h", "w")}, "b x c x h x w, in which 3 channels stand neither"),
        ({"shape": ("b", 3, 16), "axes": [2]}, "b x 3 x 16, in which 3 channels stand neither"),
        ({"out": ("b", 4, 1, 1)}, "float. of b x 4 x 1 x 1: a classifier gives images x classes"),
        ({"shape": ("b", 3, 20, 12)}, r"takes images of 20 x 12, not 16 x 12: write size = \[20"),
    ],
)
def test_a_network_that_is_no_classifier_of_images_is_one_line(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(write(tmp_path / "net.onnx", **options))
    assert "\n" not in str(caught.value)


def test_a_network_of_whole_numbers_is_one_line(tmp_path: Path) -> None:
    cast = [
        helper.make_node("Cast", ["images"], ["f"], to=FLOAT),
        helper.make_node("Flatten", ["f"], ["scores"]),
    ]
    graph = helper.make_graph(
        cast,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["b", 3, 2, 2])],
        [helper.make_tensor_value_info("scores", FLOAT, ["b", 12])],
    )
    path = tmp_path / "net.onnx"
    opset = [helper.make_opsetid("", 18)]
    onnx.save_model(helper.make_model(graph, opset_imports=opset, ir_version=10), str(path))
    with pytest.raises(UsageError, match=r"tensor.uint8., and normalized images are floating"):
        load_classifier(str(path), device="cpu")


@pytest.mark.parametrize(
    ("about", "options", "message"),
    [
        ('classes = ["a", "b", "c"]', {}, "has 3 class names but its network has 4 outputs"),
        ("arguments = {a = 1}", {}, "is a black box, which takes no arguments"),
        ("", {"weights": "w.pth"}, "is a black box, which takes no weights"),
        ("", {"dtype": "bfloat16"}, "dtype=bfloat16: net.onnx is a black box, which takes float32"),
        ("", {"layer": "conv"}, "is a black box, which has neither a gradient nor layers"),
    ],
)
def test_what_does_not_go_with_a_file_is_one_line(
    about: str, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(write(tmp_path / "net.onnx"), about, **options)
    assert "\n" not in str(caught.value)


def test_probabilities_that_are_none_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='if these are logits, say outputs="logits"'):
        load(write(tmp_path / "net.onnx"), 'outputs = "probabilities"')


@pytest.mark.parametrize("content", [b"", b"not a network", None])
def test_a_damaged_or_missing_file_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"net\.onnx: (cannot be read as an ONNX|no such)") as line:
        load_classifier(str(path), device="cpu")
    assert "\n" not in str(line.value)


def test_a_network_cut_in_the_middle_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UsageError, match="cannot be read as an ONNX network"):
        load_classifier(str(path), device="cpu")


def test_without_onnxruntime_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"needs onnxruntime: pip install 'gradbox\[onnx\]'"):
        load_classifier(str(write(tmp_path / "net.onnx")), device="cpu")


def test_one_network_answers_in_threads_as_alone(tmp_path: Path) -> None:
    classifier = load(write(tmp_path / "net.onnx", (2, 3, 16, 12)))
    batches = [images()[i : i + 1] for i in range(5)] * 8
    alone = [logits(classifier, one) for one in batches]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda one: logits(classifier, one), batches))
    np.testing.assert_array_equal(together, alone)


@pytest.fixture(scope="module")
def scenes_card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier of generated scenes, exported by torch, with its model card."""
    folder = tmp_path_factory.mktemp("scenes_onnx")
    module = load_classifier(SCENES, device="cpu", memory_format="contiguous")
    torch.onnx.export(
        module.module,
        (torch.zeros(2, 3, 128, 128),),
        str(folder / "net.onnx"),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("images")},),
        verbose=False,
    )
    (folder / "classes.txt").write_text("\n".join(module.class_names))
    (folder / "card.toml").write_text(
        '[model]\narchitecture = "net.onnx"\nclasses = "classes.txt"\n[input]\nsize = [128, 128]\n'
    )
    return folder / "card.toml"


def test_an_exported_classifier_has_the_same_classes_and_boxes(scenes_card: Path) -> None:
    """torch and onnxruntime are two implementations of one network."""
    module, file = (load_classifier(str(one), device="cpu") for one in (SCENES, scenes_card))
    sources = [sample.source for sample in load_dataset("scenes:3").samples]
    method = "occlusion(window=32, stride=24)"
    ours, theirs = (list(gradbox.localize(sources, one, method=method)) for one in (module, file))
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one, Localization)
        assert isinstance(other, Localization)
        assert one.names == other.names
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.1)
    with torch.no_grad():
        expected = module.module(module.normalize(images(4, (128, 128)))).numpy()
    np.testing.assert_allclose(logits(file, images(4, (128, 128))), expected, atol=1e-4)


def test_the_command_line_takes_a_file_and_its_card(
    scenes_card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sample = load_dataset("scenes:1").samples[0]
    assert callable(sample.source)
    Image.fromarray(sample.source()).save(tmp_path / "scene.png")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gradbox", "locate", str(tmp_path / "scene.png"), *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    code, out, _ = run("--model", str(scenes_card), "--method", "occlusion(window=32)")
    assert code == 0
    assert sample.labels[0] in out
    code, out, err = run("--model", str(scenes_card), "--method", "gradcam")
    assert (code, out) == (2, "")
    assert "is a black box" in err
    assert "--method occlusion" in err
    file = str(scenes_card.with_name("net.onnx"))
    code, out, _ = run("--model", file, "--method", "rise(calls=20)")
    assert code == 0
