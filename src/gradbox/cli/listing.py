"""What can be named: methods, box estimators, data sets, formats, models and layers."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gradbox.attribution.layers import last_convolutional_layer, spatial_layers
from gradbox.datasets import LOADERS
from gradbox.datasets.layout import ABOUT, FORMS
from gradbox.errors import UsageError, nearest
from gradbox.estimators import ESTIMATORS
from gradbox.exports import FORMATS
from gradbox.grammar import Spec
from gradbox.methods import METHODS
from gradbox.models.load import load_classifier
from gradbox.models.sources import UNTRAINED

Rows = Sequence[tuple[str, ...]]

_WORDS = {str: "TEXT", int: "INT", float: "NUMBER"}


def rows(what: str | None, model: str | None = None) -> Mapping[str, Rows]:
    """Tables by title: the one that `what` names, or all but the long ones.

    Raises:
        UsageError: there is no such list.
    """
    short = {
        "methods": _parts(METHODS),
        "boxes": _parts(ESTIMATORS),
        "datasets": [(FORMS.get(name, f"{name}:REST"), ABOUT.get(name, "")) for name in LOADERS],
        "formats": [
            ("jsonl", "always written"),
            *_parts(FORMATS),
        ],
    }
    if what is None:
        return short
    if what == "models":
        return {"models": _models()}
    if what == "layers":
        return {"layers, the one taken by itself last": _layers(model)}
    if what not in short:
        known = [*short, "models", "layers"]
        raise UsageError(f"there is no list {what!r}{nearest(what, known)}: {', '.join(known)}")
    return {what: short[what]}


def _parts(registry: Mapping[str, Any]) -> Rows:
    return [_part(registry, name) for name in registry]


def _part(registry: Mapping[str, Any], name: str) -> tuple[str, str]:
    """A part with its options; where it cannot be loaded, why."""
    try:
        part = registry[name]
    except UsageError as error:
        return name, str(error)
    return _usage(name, part), _about(part)


def _usage(name: str, part: Any) -> str:
    if not dataclasses.is_dataclass(part):
        return name
    hints = get_type_hints(part)
    fields = [f for f in dataclasses.fields(part) if f.init]
    return f"{name}({', '.join(_option(f.name, _default(f), hints[f.name]) for f in fields)})"


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _option(name: str, default: Any, hint: Any) -> str:
    """An option with its default, or with what it may be where it has none of its own."""
    if default is dataclasses.MISSING:
        return "METHOD, METHOD, ..." if get_origin(hint) is tuple else "METHOD"
    if default not in (None, ()):
        return f"{name}={str(Spec('', (default,), {})).removeprefix('(').removesuffix(')')}"
    return f"{name}={'|'.join(_words(hint))}"


def _words(hint: Any) -> list[str]:
    if hint in _WORDS:
        return [_WORDS[hint]]
    if get_origin(hint) is tuple:
        return [f"[{_words(get_args(hint)[0])[0]}, ...]"]
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return [word for kind in kinds for word in _words(kind)]


def _about(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _models() -> Rows:
    from torchvision import models

    names = [(f"torchvision/{name}",) for name in models.list_models(module=models)]
    others = (
        "timm/NAME",
        "hf/NAME_OR_FOLDER",
        "path/file.py:function",
        "path/net.onnx",
        "path/card.toml",
    )
    return [*names, *((name,) for name in others)]


def _layers(model: str | None) -> Rows:
    if model is None:
        raise UsageError("list layers needs a --model, as in --model torchvision/vgg16")
    named = model.startswith(("torchvision/", "timm/"))
    classifier = load_classifier(model, weights=UNTRAINED if named else None, device="cpu")
    taken = last_convolutional_layer(classifier)
    layers = [layer for layer in spatial_layers(classifier) if layer.name != taken.name]
    return [(layer.name, " x ".join(map(str, layer.shape))) for layer in [*layers, taken]]
