import os
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from safetensors.torch import save_file

from gradbox.errors import UsageError
from gradbox.models.weights import hash_weights, load_weights, read_weights


def state() -> dict[str, torch.Tensor]:
    return networks.network().state_dict()


class Code:
    """Unpickled, it would make a folder: arbitrary code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt", "w.bin"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_read_back_holds_the_same_tensors(tmp_path: Path, name: str, prefix: str):
    path = tmp_path / name
    prefixed = {prefix + key: tensor for key, tensor in state().items()}
    save_file(prefixed, path) if name.endswith("safetensors") else torch.save(prefixed, path)
    read = read_weights(path)
    assert read.keys() == state().keys()
    assert all(torch.equal(read[key], tensor) for key, tensor in state().items())


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_a_training_checkpoint_is_unwrapped(tmp_path: Path, wrapper: str):
    torch.save({wrapper: state(), "epoch": 7, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == state().keys()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_with_code_is_refused_in_one_line_and_nothing_is_executed(tmp_path: Path, name: str):
    path, made = tmp_path / name, tmp_path / "made by code"
    torch.save({"state_dict": state(), "extra": Code(made)}, path)
    with pytest.raises(UsageError, match="cannot be read as weights") as caught:
        read_weights(path)
    assert not made.exists()
    assert "\n" not in str(caught.value)
    assert "weights_only=False" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00.", bytes(range(256)) * 8])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    try:
        assert read_weights(tmp_path / name) == {}  # a pickle of an empty mapping is one
    except UsageError as error:
        assert str(tmp_path / name) in str(error)  # noqa: PT017 - either is fine


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_half_a_file_is_refused(tmp_path: Path, name: str, cut: float):
    path = tmp_path / name
    save_file(state(), path) if name.endswith("safetensors") else torch.save(state(), path)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(UsageError, match="cannot be read as weights"):
        read_weights(path)


@pytest.mark.parametrize("content", [[torch.ones(1)], {"a": 1}, {0: torch.ones(1)}, torch.ones(2)])
def test_a_file_of_something_else_holds_no_state_dict(tmp_path: Path, content: object):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UsageError, match="holds no state dict"):
        read_weights(tmp_path / "w.pth")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.pth: no such weights file"):
        read_weights(tmp_path / "none.pth")


def test_every_kind_of_misfit_is_listed_at_once():
    tensors = state()
    del tensors["head.bias"]
    tensors["extra.weight"] = torch.ones(1)
    tensors["head.weight"] = torch.ones(3, 16)
    net = networks.network()
    with pytest.raises(UsageError) as caught:
        load_weights(net, tensors, "w.pth")
    assert str(caught.value) == (
        "w.pth does not fit the network; 1 missing: head.bias; 1 surplus: extra.weight; "
        "1 misshapen: head.weight (3, 16) instead of (6, 16)"
    )
    # Nothing was loaded in part.
    assert hash_weights(net) == hash_weights(networks.network())


def test_the_weights_of_another_network_are_refused_with_counts_and_a_few_names():
    with pytest.raises(
        UsageError, match=r"missing: features.0.weight, .*, and \d+ more; 7 surplus"
    ):
        load_weights(networks.network(), {f"a.{i}": torch.ones(1) for i in range(7)}, "w")


def test_the_counters_of_batch_norm_may_be_missing():
    # Converted files have none, and nothing in evaluation mode reads them.
    tensors = {k: v for k, v in state().items() if not k.endswith("num_batches_tracked")}
    net = networks.network(seed=1)
    load_weights(net, tensors, "w")
    assert hash_weights(net) == hash_weights(networks.network())


def test_half_precision_files_are_computed_in_float32_and_have_the_hash_of_their_float32_copy(
    tmp_path: Path,
):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state().items()}
    save_file(half, tmp_path / "half.safetensors")
    full = {k: v.float() if v.is_floating_point() else v for k, v in half.items()}
    torch.save(full, tmp_path / "full.pth")
    nets = []
    for name in ("half.safetensors", "full.pth"):
        net = networks.network(seed=1)
        load_weights(net, read_weights(tmp_path / name), name)
        assert {p.dtype for p in net.parameters()} == {torch.float32}
        nets.append(net)
    assert hash_weights(nets[0]) == hash_weights(nets[1]) != hash_weights(networks.network())
    assert torch.equal(nets[0].head.weight, state()["head.weight"].half().float())


def test_the_hash_knows_values_names_and_shapes_but_no_layout():
    net = networks.network()
    before = hash_weights(net)
    assert hash_weights(net.to(memory_format=torch.channels_last)) == before
    with torch.no_grad():
        net.head.bias[0] += 1e-6
    assert hash_weights(net) != before
    assert hash_weights(torch.nn.Linear(2, 3)) != hash_weights(torch.nn.Linear(3, 2))


def test_a_name_longer_than_any_file_has_is_a_missing_file():
    with pytest.raises(UsageError, match="xxx: no such weights file"):
        read_weights(Path("x" * 5000))
