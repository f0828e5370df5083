"""The network to train, and the model card that loads it afterwards."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, finfo, float16, nn

from gradbox.errors import UsageError, nearest
from gradbox.files import whole_file, write_text
from gradbox.functions import is_function
from gradbox.grammar import Spec, parse
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.card import read_card
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import RELEASES
from gradbox.models.model import Model
from gradbox.models.sources import NETWORKS, UNTRAINED, build
from gradbox.models.trying import try_out
from gradbox.models.weights import read_weights

_SIZE = 128
_PUBLISHED = ("torchvision/", "timm/")
"""What networks are called of which weights are published."""
_OUTPUTS, _SIDE = "num_classes", "img_size"
"""What networks call the number of their outputs, and transformers of timm the input's side."""
_WITH_SECOND_OUTPUTS = ("torchvision/googlenet", "torchvision/inception_v3")
_SAME_NETWORK = 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """A module to train; `module` is built from `architecture` and `arguments` in a model card.

    `head` says what its outputs mean, see `objectives`. `fresh` names the parameters that start at
    random, all or those of a new head; `start` is the file that the others came from, if one did.
    """

    module: nn.Module
    architecture: str
    arguments: Mapping[str, Any]
    preprocessing: Preprocessing
    head: str
    fresh: frozenset[str]
    start: Path | None = None


def new_network(
    arch: str, n_classes: int, size: int | None, weights: str | None, head: str = "softmax"
) -> Network:
    """A network with a head for these classes, drawn from torch's random numbers.

    Args:
        arch: `small`, `torchvision/NAME`, `timm/NAME` or `path/file.py:FUNCTION`, which takes
            `num_classes` and returns a module; with what it is made of in brackets, as in
            `timm/vit_tiny_patch16_224(patch_size=8, depth=6)`.
        n_classes: outputs.
        size: side of the square input; None is the usual one.
        weights: a file to start from, `untrained`, or None for the usual ones; `small` has none.
        head: softmax or sigmoid.

    Raises:
        UsageError: an unknown network, one that cannot take this size, or weights of another one.
    """
    name, arguments = _called(arch)
    architecture = f"gradbox/{name}" if name in NETWORKS else name
    has_weights = name.startswith(_PUBLISHED)
    usual = None if has_weights else _SIZE
    network = _fresh(architecture, arguments, n_classes, size or usual, None, head)
    if weights == UNTRAINED or (weights is None and not has_weights):
        return network
    if weights is not None:
        return _started(network, read_weights(Path(weights)), weights, Path(weights))
    ready = {key: value for key, value in network.arguments.items() if key != _OUTPUTS}
    return _started(network, build(architecture, ready, None).module.state_dict(), architecture)


def network_from(init: str, n_classes: int, size: int | None, head: str = "softmax") -> Network:
    """The network of a model with its weights and input, but a new head: see `new_network`.

    Args:
        init: a built-in classifier, such as `efficientnet_lite0`, or the path of a model card.
        n_classes: outputs.
        size: side of the square input; None is that of the model.
        head: softmax or sigmoid.

    Raises:
        UsageError: another model, one that is not installed, or that cannot take this size.
    """
    if init in RELEASES:
        model, architecture, arguments = build(init, {}, None), f"timm/tf_{init}", {}
        file, seen = None, model.preprocessing
    elif init.endswith(".toml"):
        card = read_card(Path(init))
        architecture, arguments = card.architecture, dict(card.arguments)
        if card.is_black_box:
            raise UsageError(f"init={init}: {architecture} can only be called, not trained")
        if is_function(architecture):
            architecture = str(card.root / architecture)
        model = build(architecture, arguments, card.weights)
        file, seen = Path(card.weights or init), card.preprocessing or model.preprocessing
    else:
        raise UsageError(
            f"init={init}{nearest(init, RELEASES)}: write {', '.join(RELEASES)} or a model card, "
            "path/model.toml; other networks are named by arch"
        )
    arguments = {key: value for key, value in arguments.items() if key not in (_OUTPUTS, _SIDE)}
    network = _fresh(architecture, arguments, n_classes, size or seen.size[0], seen, head)
    return _started(network, model.module.state_dict(), init, file)


def _called(arch: str) -> tuple[str, Mapping[str, Any]]:
    """The name of a network, and what stands in brackets behind it."""
    name, bracket, rest = arch.partition("(")
    if name not in NETWORKS and not name.startswith(_PUBLISHED) and not is_function(name):
        raise UsageError(
            f"unknown arch {arch!r}{nearest(arch, _names())}: write small, torchvision/NAME, "
            "timm/NAME or path/file.py:FUNCTION"
        )
    spec = parse(f"arch({rest}") if bracket else Spec("arch")
    if spec.args:
        raise UsageError(f"arch {arch!r}: write what it is made of as key=value")
    return name, spec.kwargs


def _fresh(
    architecture: str,
    arguments: Mapping[str, Any],
    n_classes: int,
    size: int | None,
    preprocessing: Preprocessing | None,
    head: str,
) -> Network:
    """A network with random weights, tried out on its input."""
    more = {"aux_logits": False} if architecture in _WITH_SECOND_OUTPUTS else {}
    made = {**arguments, _OUTPUTS: n_classes, **more}
    model = _build(architecture, made)
    side = size or model.preprocessing.size[0]
    if _side_of(model.module) not in (None, side) and _SIDE not in made:
        made[_SIDE] = side
        model = _build(architecture, made)
    base = preprocessing or model.preprocessing
    seen = dataclasses.replace(base, size=(side, side), resize="squash")
    try_out(Classifier.wrap(model.module, preprocessing=seen, name=architecture, device="cpu"))
    return Network(
        module=model.module,
        architecture=architecture,
        arguments=made,
        preprocessing=seen,
        head=head,
        fresh=frozenset(name for name, _ in model.module.named_parameters()),
    )


def _build(architecture: str, arguments: Mapping[str, Any]) -> Model:
    try:
        return build(architecture, arguments, UNTRAINED)
    except UsageError:
        raise
    except Exception as error:  # of any type: it is the network's own code
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        made_of = ", ".join(f"{key}={value}" for key, value in arguments.items())
        raise UsageError(f"{architecture} cannot be made of {made_of}: {reason}") from error


def _side_of(module: nn.Module) -> int | None:
    """The side of the only input that a transformer of timm takes; None of other networks."""
    sides = getattr(getattr(module, "patch_embed", None), "img_size", None)
    return sides[0] if sides else None


def _started(
    network: Network, tensors: Mapping[str, Tensor], source: str, file: Path | None = None
) -> Network:
    """The network with these weights, as far as they fit: all but those of the head."""
    loaded = _matching(network.module, tensors, source)
    network.module.load_state_dict(loaded, strict=False)
    return dataclasses.replace(network, fresh=frozenset(network.fresh - loaded.keys()), start=file)


def write_model(
    folder: Path, network: Network, weights: Mapping[str, Tensor], class_names: Sequence[str]
) -> Path:
    """Write `model.safetensors` in float16, `classes.txt` and the card `model.toml`: its path."""
    tensors = {name: _half(tensor).contiguous() for name, tensor in weights.items()}
    with whole_file(folder / "model.safetensors") as partial:
        partial.write_bytes(save(tensors))  # save_file would let nobody else read it
    write_text(folder / "classes.txt", "\n".join(class_names) + "\n")
    head = {} if network.head == "softmax" else {"head": network.head}
    architecture = network.architecture
    if is_function(architecture):  # a card names files by the way from its own folder
        architecture = os.path.relpath(architecture, folder)
    about = {
        "architecture": architecture,
        "arguments": network.arguments,
        "weights": "model.safetensors",
        "classes": "classes.txt",
        **head,
    }
    sections = {"model": about, "input": network.preprocessing.about}
    write_text(folder / "model.toml", "\n".join(map(_section, sections, sections.values())))
    return folder / "model.toml"


def _names() -> Sequence[str]:
    from torchvision import models

    return [*NETWORKS, *(f"torchvision/{name}" for name in models.list_models(module=models))]


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
