"""Weights on disk into a module: safetensors, or torch files that hold tensors only."""

import hashlib
import os
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gradbox.errors import UsageError

_WRAPPERS = ("state_dict", "model", "model_state_dict")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, on the CPU.

    Raises:
        UsageError: no such file, not a weights file, or one that holds more than tensors.
    """
    if not os.path.isfile(path):  # unlike Path.is_file it answers for every text
        raise UsageError(f"{path}: no such weights file")
    content: object
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path}: cannot be read as weights: it holds no tensors, or code beside them, which "
            "is not run; give a .safetensors file, or one that torch.load(weights_only=True) reads"
        ) from error
    except Exception as error:  # of any type: torch's reader looks into whatever the file holds
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(f"{path}: cannot be read as weights: {reason}") from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise UsageError(f"{path}: holds no state dict (a mapping from names to tensors)")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into the module of the same names and shapes.

    Raises:
        UsageError: keys are missing, surplus or of another shape; all kinds are listed.
    """
    wanted = module.state_dict()
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = [name for name in wanted if name not in tensors and name not in counters]
    surplus = [name for name in tensors if name not in wanted]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    faults = [
        f"{len(names)} {kind}: {_some(names)}"
        for kind, names in (("missing", missing), ("surplus", surplus), ("misshapen", misshapen))
        if names
    ]
    if faults:
        raise UsageError(f"{source} does not fit the network; {'; '.join(faults)}")
    module.load_state_dict(dict(tensors), strict=False)


def hash_weights(module: nn.Module) -> str:
    """SHA-256 over names, shapes and float32 values: the same for every file that holds them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _some(names: Iterable[str], count: int = 5) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (
        f", and {len(names) - count} more" if len(names) > count else ""
    )
