"""The head's network, its file, and what is refused."""

import pickle
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import heads
import networks
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from gradbox.errors import UsageError
from gradbox.foreground.backbone import load_backbone
from gradbox.foreground.head import Head, shipped
from gradbox.foreground.maps import Foreground
from gradbox.foreground.network import HeadNetwork, HeadShape
from gradbox.methods import to_method


def test_layers_of_several_strides_meet_at_the_finest() -> None:
    network = HeadNetwork(HeadShape(backbone="x", layers=("a", "b"), channels=(5, 3), width=4))
    coarse, fine = torch.rand(2, 5, 3, 4), torch.rand(2, 3, 6, 8)
    logits = network.eval()([coarse, fine])
    assert logits.shape == (2, 6, 8)
    # The bilinear values of a constant map are the constant: fine cells then say the same.
    flat = coarse.mean(dim=(2, 3), keepdim=True)
    at_once = network([flat.expand(2, 5, 6, 8), fine])
    torch.testing.assert_close(network([flat.expand(2, 5, 3, 4), fine]), at_once)


def test_a_file_gives_the_same_head_back(tmp_path: Path) -> None:
    head, path = heads.untrained(), tmp_path / "head.safetensors"
    head.save(path)
    found = Head.load(path)
    assert (found.shape, found.origin) == (head.shape, head.origin)
    assert (found.image_hashes, found.ilsvrc) == (head.image_hashes, head.ilsvrc)
    pixels = heads.pixels()
    before, after = (one.on("cpu").of(pixels) for one in (head, found))
    torch.testing.assert_close(after, before, atol=2e-3, rtol=0)  # float16 has 11 bits
    found.save(tmp_path / "again.safetensors")
    assert Head.load(tmp_path / "again.safetensors").seen == found.seen  # with the weights' hash


def test_foreground_is_a_probability_for_each_cell_and_has_no_gradient() -> None:
    with torch.enable_grad():
        found = heads.untrained().on("cpu").of(heads.pixels(96, 64))
    stride = heads.stride()
    assert found.shape == (2, 96 // stride, 64 // stride)
    assert not found.requires_grad
    assert ((found > 0) & (found < 1)).all()


def test_no_image_of_the_batch_changes_anothers_foreground() -> None:
    foregrounds, pixels = heads.untrained().on("cpu"), heads.pixels()
    alone = torch.cat([foregrounds.of(one[None]) for one in pixels])
    torch.testing.assert_close(foregrounds.of(pixels), alone, atol=1e-5, rtol=0)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    other = heads.untrained(backbone_hash="aa")
    with pytest.raises(UsageError, match=r"weights of the hash aa, not .* foreground train"):
        other.on("cpu")
    unknown = heads.untrained(backbone="resnet50")
    unknown.save(tmp_path / "head.safetensors")
    with pytest.raises(UsageError, match="head of resnet50, which is not known here"):
        Head.load(tmp_path / "head.safetensors")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not offer another --model: the head's backbone is its own."""
    monkeypatch.setitem(sys.modules, "timm", None)
    load_backbone.cache_clear()
    wanted = r"beside yours: .* needs timm: pip install 'gradbox\[imagenet\]' \([^)]*\)$"
    with pytest.raises(UsageError, match=wanted) as error:
        Foreground().maps(networks.classifier())
    assert "\n" not in str(error.value)


def _rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, str]], None]) -> None:
    with safe_open(path, framework="numpy") as stream:
        header, tensors = stream.metadata(), {n: stream.get_tensor(n) for n in stream.keys()}  # noqa: SIM118
    change(tensors, header)
    save_file(tensors, path, metadata=header)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not a whole safetensors file"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "not a whole safetensors file"),
        (lambda path: path.unlink(), "there is no file .*: make one with `gradbox foreground"),
        (lambda path: save_file({"a": np.zeros(3)}, path), "is not a foreground head"),
        (lambda path: _rewrite(path, lambda _, h: h.update(shape="{")), "damaged foreground head"),
        (lambda path: _rewrite(path, lambda t, _: t.pop("ilsvrc")), "damaged foreground head"),
        (
            lambda path: _rewrite(path, lambda t, _: t.pop("deciding.2.weight")),
            "1 missing: deciding.2.weight",
        ),
        (lambda path: _rewrite(path, lambda _, h: h.update(format_version="2")), "newer gradbox"),
    ],
)
def test_what_is_no_whole_head_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "head.safetensors"
    heads.untrained().save(path)
    damage(path)
    with pytest.raises(UsageError, match=message) as error:
        to_method(f"foreground(head='{path}')").seen  # noqa: B018 - reads the file
    assert "\n" not in str(error.value)


def test_the_shipped_head_says_what_it_was_trained_on() -> None:
    head = shipped()
    assert head.origin.trained_on == ("imagenet_dev", "imagenet_dogs10")
    assert head.origin.n_images == len(head.image_hashes) == len(head.ilsvrc)
    assert head.seen.what == f"foreground head: {head.origin.n_images:,} boxed photographs"
    head.on("cpu")  # its backbone is the built-in classifier, with the weights it was trained on
    file = resources.files("gradbox.foreground") / "data/efficientnet_lite0.safetensors"
    assert Path(str(file)).stat().st_size < 500_000
