"""The network to train, and the model card that loads it afterwards."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, finfo, float16, nn

from gradbox.errors import UsageError, nearest
from gradbox.files import whole_file, write_text
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.classifier import Classifier
from gradbox.models.load import NETWORKS, UNTRAINED, build
from gradbox.models.outputs import try_out
from gradbox.models.weights import read_weights

_SIZE = 128
_WITH_SECOND_OUTPUTS = ("torchvision/googlenet", "torchvision/inception_v3")
_SAME_NETWORK = 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """A module to train; `module` is built from `architecture` and `arguments` in a model card.

    `fresh` names the parameters that start at random, all or those of a new head.
    """

    module: nn.Module
    architecture: str
    arguments: Mapping[str, Any]
    preprocessing: Preprocessing
    fresh: frozenset[str]


def new_network(arch: str, n_classes: int, size: int | None, weights: str | None) -> Network:
    """A network with a head for these classes, drawn from torch's random numbers.

    Args:
        arch: `small`, `torchvision/NAME` or `timm/NAME`.
        n_classes: outputs.
        size: side of the square input; None is the usual one.
        weights: a file to start from, `untrained`, or None for the usual ones; `small` has none.

    Raises:
        UsageError: an unknown network, one that cannot take this size, or weights of another one.
    """
    architecture = f"gradbox/{arch}" if arch in NETWORKS else arch
    if not architecture.startswith(("gradbox/", "torchvision/", "timm/")):
        raise UsageError(
            f"unknown arch {arch!r}{nearest(arch, _names())}: write small, torchvision/NAME or "
            "timm/NAME"
        )
    extra = {"aux_logits": False} if architecture in _WITH_SECOND_OUTPUTS else {}
    arguments = {"num_classes": n_classes, **extra}
    model = build(architecture, arguments, UNTRAINED)
    side = size or (_SIZE if arch in NETWORKS else model.preprocessing.size[0])
    seen = dataclasses.replace(model.preprocessing, size=(side, side), resize="squash")
    try_out(Classifier.wrap(model.module, preprocessing=seen, name=arch, device="cpu"))
    start = _start(architecture, weights)
    loaded = _matching(model.module, start, weights or architecture) if start else {}
    model.module.load_state_dict(loaded, strict=False)
    return Network(
        module=model.module,
        architecture=architecture,
        arguments=arguments,
        preprocessing=seen,
        fresh=frozenset(name for name, _ in model.module.named_parameters() if name not in loaded),
    )


def write_model(
    folder: Path, network: Network, weights: Mapping[str, Tensor], class_names: Sequence[str]
) -> Path:
    """Write `model.safetensors` in float16, `classes.txt` and the card `model.toml`: its path."""
    tensors = {name: _half(tensor).contiguous() for name, tensor in weights.items()}
    with whole_file(folder / "model.safetensors") as partial:
        partial.write_bytes(save(tensors))  # save_file would let nobody else read it
    write_text(folder / "classes.txt", "\n".join(class_names) + "\n")
    about = {
        "architecture": network.architecture,
        "arguments": network.arguments,
        "weights": "model.safetensors",
        "classes": "classes.txt",
    }
    sections = {"model": about, "input": dataclasses.asdict(network.preprocessing)}
    write_text(folder / "model.toml", "\n".join(map(_section, sections, sections.values())))
    return folder / "model.toml"


def _names() -> Sequence[str]:
    from torchvision import models

    return [*NETWORKS, *(f"torchvision/{name}" for name in models.list_models(module=models))]


def _start(architecture: str, weights: str | None) -> Mapping[str, Tensor]:
    if weights == UNTRAINED or (weights is None and architecture.startswith("gradbox/")):
        return {}
    if weights is None:
        return build(architecture, {}, None).module.state_dict()
    return read_weights(Path(weights))


def _matching(
    module: nn.Module, tensors: Mapping[str, Tensor], source: str
) -> Mapping[str, Tensor]:
    """The tensors that fit by name and shape: all but those of the head."""
    wanted = module.state_dict()
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in wanted and tensor.shape == wanted[name].shape
    }
    if len(fitting) < _SAME_NETWORK * len(wanted):
        raise UsageError(
            f"{source} holds weights of another network: {len(fitting)} of {len(wanted)} tensors "
            "fit by name and shape; give the arch that they were made with"
        )
    return fitting


def _half(tensor: Tensor) -> Tensor:
    """The tensor in float16 where its numbers fit into it."""
    fits = tensor.is_floating_point() and float(tensor.abs().max()) < finfo(float16).max
    return tensor.to(float16) if fits else tensor


def _section(name: str, values: Mapping[str, Any]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
