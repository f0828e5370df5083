"""Training on names and calls that nobody would type: one line each, and no file lost."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradbox.errors import UsageError
from gradbox.models.load import load_classifier
from gradbox.training import pixels as pixels_of
from gradbox.training.labels import read_labels
from gradbox.training.loop import Compute, Part, score
from gradbox.training.network import new_network
from gradbox.training.objectives import OneClass
from gradbox.training.records import Epoch, TrainingOptions
from gradbox.training.train import train

QUICK = TrainingOptions(size=16, epochs=1, batch_size=4)


def pictures(root: Path, *labels: str) -> Path:
    """Four pictures of each class, each of the class's own grey."""
    for number, label in enumerate(labels):
        (root / label).mkdir(parents=True)
        for i in range(4):
            grey = np.full((20, 20, 3), 40 * number + 5 * i, dtype=np.uint8)
            Image.fromarray(grey).save(root / label / f"{i}.png")
    return root


def test_names_do_not_shift_where_one_holds_a_separator(tmp_path: Path) -> None:
    """U+0085, U+2028 and a form feed end no line of `classes.txt`: `m` is class 2, and stays it."""
    labels = ("a\x0c1", "b\x85c", "m", "n\u2028o")
    report = train(str(pictures(tmp_path / "data", *labels)), out=tmp_path / "out", options=QUICK)
    assert load_classifier(str(report.card), device="cpu").class_names == labels
    assert set(report.per_class) == set(labels)


@pytest.mark.parametrize("label", ["a\nb", "a\rb", "\ufeffa", " ", "\t"])
def test_a_name_that_is_no_line_is_refused_before_training(label: str, tmp_path: Path) -> None:
    """It would come back from `classes.txt` as two names, as another one, or as none."""
    with pytest.raises(UsageError, match="cannot be written as one line of text") as error:
        read_labels(str(pictures(tmp_path, label, "other")))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("image,label\na.png,a\na.png,a\n", r"line 3 \('a.png'\): listed before"),
        ("image,label\na\0.png,a\n", "line 2 .*: this can be no file"),
        ("image,label\na.png\n", "line 2: 1 cells under 2 columns"),
        (f"image,label\na.png,{'x' * 140_000}\n", "line 2: field larger than field limit"),
        ('image,label\na.png,"b\n', "line 2: unexpected end of data; close each quote"),
        ("image,class\na.png,b\n", "has no column label"),
        ('image,label\na.png,"b\nc"\n', "cannot be written as one line of text"),
    ],
)
def test_a_broken_table_of_labels_is_one_line(table: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(UsageError, match=reason) as error:
        read_labels(str(tmp_path / "labels.csv"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000, "csv:a\0b", "~nobody-of-this-name/x"])
def test_a_source_that_can_be_no_folder_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"write a folder of class folders|there is no file"):
        read_labels(text)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"lr": math.inf}, "lr=inf: a learning rate is above 0 and at most 1000"),
        ({"lr": math.nan}, "lr=nan"),
        ({"lr": 1e308}, r"lr=1e\+308"),
        ({"seed": 10**30}, "seed=10+: write a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "from 0 to 4294967295"),
        ({"size": 100_000}, "size=100000: write a whole number from 8 to 4096"),
        ({"epochs": 10**15}, "epochs=10+: write a whole number from 1 to 1000000"),
        ({"batch_size": 10**20}, "batch_size=10+: write"),
        ({"validation": math.nan}, "validation=nan"),
    ],
)
def test_numbers_that_no_training_ends_with_are_refused(
    wrong: dict[str, float], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        TrainingOptions(**wrong)  # type: ignore[arg-type]


def test_the_largest_seed_is_one_that_the_loop_can_use(tmp_path: Path) -> None:
    """The loop multiplies it, and torch takes less than 2 ** 64."""
    options = TrainingOptions(size=16, epochs=1, batch_size=4, seed=2**32 - 1)
    data = pictures(tmp_path / "data", "a", "b")
    assert train(str(data), out=tmp_path / "out", options=options).epochs == 1


@pytest.mark.parametrize(
    ("arch", "size"), [("torchvision/alexnet", 16), ("timm/vit_tiny_patch16_224", 8)]
)
def test_a_network_that_cannot_take_the_size_is_refused_before_training(
    arch: str, size: int
) -> None:
    if arch.startswith("timm/"):
        pytest.importorskip("timm")
    with pytest.raises(UsageError, match=f"cannot be run on an input of {size} x {size}") as error:
        new_network(arch, 2, size, "untrained")
    assert "\n" not in str(error.value)


def test_a_loss_on_images_held_out_that_is_not_finite_is_one_line(tmp_path: Path) -> None:
    """Weights that one step blew up show in the next pass; JSON could not hold their loss."""
    network = new_network("small", 2, 16, None)
    for parameter in network.module.parameters():
        torch.nn.init.constant_(parameter, math.nan)
    samples = read_labels(str(pictures(tmp_path, "a", "b")))
    decoded = pixels_of.decode(samples, network.preprocessing, tmp_path / "out", lambda g, n, t: g)
    targets = torch.eye(2, dtype=torch.bool).repeat_interleave(4, dim=0)
    images = Part(pixels=decoded, indices=torch.arange(8), targets=targets)
    compute = Compute(device=torch.device("cpu"), dtype=torch.float32)
    with pytest.raises(UsageError, match="the loss became nan: train with a lower lr"):
        score(network.module, network.preprocessing, images, compute, 4, OneClass())


DAMAGED = {
    "train.json": [b"", b"junk", b"[]", b"{}", b'{"call": 3}', b"\xff", b"[" * 100_000],
    "checkpoint.pt": [b"", b"junk", b"PK\x03\x04" + b"\0" * 40],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name in DAMAGED for content in DAMAGED[name]]
)
def test_a_damaged_file_of_a_training_is_one_line_that_names_it(
    name: str, content: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(content)
    data = str(pictures(tmp_path / "data", "a", "b"))
    with pytest.raises(UsageError, match=rf"{name} is damaged .*: remove it") as error:
        train(data, out=out, options=QUICK)
    assert "\n" not in str(error.value)
    assert (out / name).read_bytes() == content
    assert train(data, out=out, options=QUICK, overwrite=True).epochs == 1


@pytest.mark.parametrize("junk", [[1], torch.zeros(3), {"call": 3}, {"epochs": 1}])
def test_a_checkpoint_of_something_else_is_one_line(junk: object, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    torch.save(junk, tmp_path / "out" / "checkpoint.pt")
    with pytest.raises(UsageError, match=r"checkpoint\.pt is damaged"):
        train(str(pictures(tmp_path / "data", "a", "b")), out=tmp_path / "out", options=QUICK)


def test_a_checkpoint_of_this_call_that_lost_a_part_is_one_line(tmp_path: Path) -> None:
    def stop(_epoch: Epoch) -> None:
        raise KeyboardInterrupt

    data, out = str(pictures(tmp_path / "data", "a", "b")), tmp_path / "out"
    two = TrainingOptions(size=16, epochs=2, batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        train(data, out=out, options=two, on_epoch=stop)
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    del saved["trainer"]["optimizer"]
    torch.save(saved, out / "checkpoint.pt")
    with pytest.raises(UsageError, match=r"checkpoint\.pt is damaged \('optimizer'\)"):
        train(data, out=out, options=two)


@pytest.mark.parametrize("name", ["model.toml", "classes.txt", "model.safetensors", "log.jsonl"])
def test_a_users_own_file_is_not_overwritten(name: str, tmp_path: Path) -> None:
    """Without --overwrite it stays, and the call is refused before any image is read."""
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    data = pictures(tmp_path / "data", "a", "b")
    with pytest.raises(UsageError, match=rf"{name} was not made by a training"):
        train(str(data), out=out, options=QUICK)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [(name, "mine")]
    train(str(data), out=out, options=QUICK, overwrite=True)
    assert json.loads((out / "train.json").read_text())["report"]["epochs"] == 1
    assert train(str(data), out=out, options=QUICK).epochs == 1  # and it is a training's now


def test_other_files_of_the_user_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    data = pictures(tmp_path / "data", "a", "b")
    train(str(data), out=tmp_path / "out", options=QUICK)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("below", ["", "further/below"])
def test_an_out_that_is_a_file_is_one_line(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    data = pictures(tmp_path / "data", "a", "b")
    with pytest.raises(UsageError, match=r"takes a folder|Not a directory") as error:
        train(str(data), out=tmp_path / "file" / below, options=QUICK)
    assert "\n" not in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_one_line_before_the_images_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is taken at once: written through a map, a full disk would end the process."""

    def full(_descriptor: int, _offset: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pixels_of.os, "posix_fallocate", full)
    data = pictures(tmp_path / "data", "a", "b")
    # 8 images of 3 x 16 x 16 bytes
    with pytest.raises(UsageError, match=r"No space left on device: the images take 0\.0 MB"):
        train(str(data), out=tmp_path / "out", options=QUICK)
