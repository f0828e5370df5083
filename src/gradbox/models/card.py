"""Model cards: TOML files that say what a network is, what it takes, and what its classes are."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from gradbox.errors import UsageError, nearest
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.reading import Reading
from gradbox.models.black_box import Scores
from gradbox.models.heads import Head, HeadKind
from gradbox.models.names import imagenet1k_names, imagenet1k_wnids, read_names
from gradbox.specs import convert

_READING = get_type_hints(Reading)
_PREPROCESSING = {k: hint for k, hint in get_type_hints(Preprocessing).items() if k != "reading"}
_CARD: Mapping[str, Mapping[str, Any]] = {
    "model": {
        "architecture": str,
        "arguments": dict,
        "weights": str,
        "classes": tuple[str, ...] | str,
        "wnids": tuple[str, ...] | str,
        "layer": str,
        "outputs": Scores,
        "head": HeadKind,
        "thresholds": tuple[float, ...] | float,
    },
    "input": {**_PREPROCESSING, **_READING},
}
"""The keys of each section of a model card, and the types of their values."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is said of a classifier: by a model card, or by the text of a `--model` alone.

    `name` is that text or the card's path; `root` is the folder that paths are relative to.
    `outputs` marks a black box, whose architecture is a function from images to scores and not one
    that returns a module. `preprocessing` is None where nothing is said of the input, `head` where
    nothing is said of the outputs.
    """

    name: str
    architecture: str
    root: Path = Path()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    outputs: Scores | None = None
    head: Head | None = None
    layer: str | None = None
    preprocessing: Preprocessing | None = None
    class_names: Sequence[str] = ()
    wnids: Sequence[str] = ()

    @property
    def is_black_box(self) -> bool:
        """Whether it can only be called: an ONNX file, or a function marked by `outputs`."""
        return self.outputs is not None or self.architecture.endswith(".onnx")

    @property
    def head_kind(self) -> HeadKind:
        """That of its head; softmax where nothing is said of it."""
        return "softmax" if self.head is None else self.head.kind


def read_card(path: Path) -> Card:
    """The card of this file.

    Raises:
        UsageError: no such file, or it is no card.
    """
    sections = _sections(path)
    about, given = sections.get("model", {}), sections.get("input", {})
    if "architecture" not in about:
        raise UsageError(
            f'{path}: [model] needs architecture = "torchvision/NAME", "hf/FOLDER", "file.py:NAME" '
            'or "net.onnx"'
        )
    try:
        reading = Reading(**{key: value for key, value in given.items() if key in _READING})
        rest = {key: value for key, value in given.items() if key in _PREPROCESSING}
        preprocessing = Preprocessing(**rest, reading=reading) if given else None
        head = _head(about)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    names, wnids = _classes(path.parent, about)
    return Card(
        name=str(path),
        root=path.parent,
        architecture=about["architecture"],
        arguments=about.get("arguments", {}),
        weights=str(path.parent / about["weights"]) if "weights" in about else None,
        outputs=about.get("outputs"),
        head=head,
        layer=about.get("layer"),
        preprocessing=preprocessing,
        class_names=names,
        wnids=wnids,
    )


def _sections(path: Path) -> Mapping[str, Mapping[str, Any]]:
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


def _head(about: Mapping[str, Any]) -> Head | None:
    thresholds = about.get("thresholds", ())
    if "head" not in about and not thresholds:
        return None
    each = thresholds if isinstance(thresholds, tuple) else (thresholds,)
    return Head(about.get("head", "softmax"), each)


def _classes(root: Path, about: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    classes, wnids = about.get("classes"), about.get("wnids")
    if classes == "imagenet1k":
        return imagenet1k_names(), imagenet1k_wnids()
    return read_names(root, classes), read_names(root, wnids)
