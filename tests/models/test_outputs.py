"""What a network returns is held against what its card says, when it is loaded."""

from pathlib import Path

import networks
import pytest
import torch
from torch import Tensor, nn

from gradbox.attribution.gradients import forward
from gradbox.errors import UsageError
from gradbox.images.preprocessing import LARGEST_INPUT, Preprocessing
from gradbox.models.load import load_classifier
from gradbox.models.names import class_lines
from gradbox.models.outputs import as_logits
from gradbox.models.trying import check_outputs

BUILDER = """
import torch
from torch import nn

def build(classes=3, side=1):
    body = nn.Conv2d(3, 4, side), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(4, classes))

def features():
    return nn.Conv2d(3, 4, 3)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(BUILDER)
    return tmp_path


def load(folder: Path, about: str, given: str = "", architecture: str = "net.py:build"):
    text = f'[model]\narchitecture = "{architecture}"\n{about}\n[input]\nsize = [16, 16]\n{given}'
    (folder / "card.toml").write_text(text)
    return load_classifier(str(folder / "card.toml"), device="cpu")


# A name too few or too many: which outputs the others belong to nobody can tell.
@pytest.mark.parametrize("count", [1, 2, 4, 1000])
@pytest.mark.parametrize("key", ["classes", "wnids"])
def test_a_card_with_another_number_of_names_than_outputs_is_refused(
    key: str, count: int, folder: Path
) -> None:
    with pytest.raises(UsageError, match=rf"has {count} .* but its network has 3 outputs") as error:
        load(folder, f"{key} = {[str(i) for i in range(count)]}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("names", [1, 999, 1001])
def test_a_thousand_outputs_need_a_thousand_names(names: int, folder: Path) -> None:
    (folder / "names.txt").write_text("".join(f"class {i}\n" for i in range(names)))
    with pytest.raises(UsageError, match=f"has {names} class names but its network has 1000"):
        load(folder, 'arguments = {classes = 1000}\nclasses = "names.txt"')


def test_a_card_with_as_many_names_as_outputs_or_none_is_loaded(folder: Path) -> None:
    assert load(folder, 'classes = ["a", "b", "c"]').class_names == ("a", "b", "c")
    assert load(folder, "").class_names == ()


def test_a_network_without_a_head_is_loaded_where_it_needs_no_names(folder: Path) -> None:
    """Its layers can be looked into; with names it would have to be a classifier."""
    assert load(folder, "", architecture="net.py:features").class_names == ()
    with pytest.raises(UsageError, match=r"returned \(1, 4, 14, 14\) of float32: a classifier"):
        load(folder, 'classes = ["a"]', architecture="net.py:features")


def test_a_network_that_cannot_take_its_input_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be run on an input of 16 x 16 .*Kernel") as error:
        load(folder, "arguments = {side = 17}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("resize = 0", "must be positive"),
        ("mean = [nan, 0, 0]", "mean and std finite"),
        ("std = [inf, 1, 1]", "mean and std finite"),
        ("scale = nan", "scale nan must be positive"),
        ("scale = inf", "scale inf must be positive"),
    ],
)
def test_an_input_that_no_number_comes_out_of_is_refused(given: str, reason: str, folder: Path):
    with pytest.raises(UsageError, match=reason):
        load(folder, "", given)


def test_an_input_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    usual = Preprocessing(size=(LARGEST_INPUT, 1))
    for size in ((100_000, 100_000), (1, LARGEST_INPUT + 1)):
        with pytest.raises(UsageError, match="a side has at most 4096 pixels"):
            Preprocessing(size=size)
    with pytest.raises(UsageError, match="a side has at most 4096 pixels"):
        usual.at(2)  # as `average(sizes=...)` asks for it


@pytest.mark.parametrize(
    "text",
    [
        "a\x85b\nc\x0b\nd\u2028e\n",
        "\ufeffa\x85b\r\nc\x0b\r\nd\u2028e",
        "a\x85b\rc\x0b\rd\u2028e\n\n\n",
    ],
)
def test_names_in_a_file_end_where_its_lines_end(text: str, folder: Path) -> None:
    """By hand: three names, however the lines end, with a mark at the beginning or without."""
    (folder / "names.txt").write_bytes(text.encode())
    expected = ("a\x85b", "c\x0b", "d\u2028e")
    assert class_lines(text) == expected
    assert load(folder, 'classes = "names.txt"').class_names == expected


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (b"a\n\nb\nc\n", r"names\.txt: name 2, of class 1, is empty"),
        (b"\xff\xfe", "cannot be read as one class name a line"),
    ],
)
def test_a_file_of_names_that_would_shift_is_refused(names: bytes, reason: str, folder: Path):
    (folder / "names.txt").write_bytes(names)
    with pytest.raises(UsageError, match=reason):
        load(folder, 'classes = "names.txt"')


def test_an_empty_name_in_the_card_is_refused_too(folder: Path) -> None:
    with pytest.raises(UsageError, match="name 3, of class 2, is empty: write one for each output"):
        load(folder, 'classes = ["a", "b", " "]')


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5000])
def test_a_card_that_python_cannot_read_is_one_line(text: str, folder: Path) -> None:
    (folder / "card.toml").write_text(text)
    with pytest.raises(UsageError, match="is not a model card in TOML") as error:
        load_classifier(str(folder / "card.toml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("output", "returned"),
    [
        (torch.zeros(2, 3, dtype=torch.long), r"\(2, 3\) of int64"),
        (torch.zeros(2, 3, dtype=torch.bool), r"\(2, 3\) of bool"),
        (torch.zeros(2, 3, dtype=torch.complex64), r"\(2, 3\) of complex64"),
        (torch.zeros(2, 3).to_sparse(), r"\(2, 3\) of sparse float32"),
        (torch.zeros(2, 0), r"\(2, 0\) of float32"),
        (torch.zeros(3), r"\(3,\) of float32"),
        ([], "list"),
    ],
)
def test_logits_of_another_kind_are_described(output: object, returned: str) -> None:
    with pytest.raises(UsageError, match=f"returned {returned}: a classifier returns"):
        as_logits(output)


class Twice(nn.Module):
    """Returns each row of its network's logits twice."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).repeat(2, 1)


def test_a_forward_pass_says_what_load_could_not_know() -> None:
    """From Python there is no card; the first batch is the first time that the outputs are seen."""
    classifier = networks.classifier()
    images = classifier.normalize(networks.pixels(2, classifier.preprocessing.size))
    n_outputs = forward(classifier, images).logits.shape[1]
    named = networks.classifier(class_names=["a"] * (n_outputs - 1))
    with pytest.raises(UsageError, match=f"has {n_outputs - 1} class names but its network has"):
        forward(named, images)
    with pytest.raises(UsageError, match="returned 4 rows of logits for 2 images"):
        check_outputs(classifier, Twice(classifier.module)(images), 2)
