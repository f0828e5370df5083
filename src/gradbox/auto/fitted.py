"""What `gradbox fit` has learned for `auto` from boxes, as it is used and kept in a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.auto.confidence import Confidence
from gradbox.auto.evidence import FEATURES
from gradbox.auto.settings import Settings, Tuned
from gradbox.errors import UsageError
from gradbox.files import hash_bytes
from gradbox.foreground.fitted_head import FITTED, seen_of
from gradbox.foreground.last_layer import LastLayer
from gradbox.models.classifier import Classifier
from gradbox.scores.bootstrap import Bounds
from gradbox.seen import Seen, hashes_to_array

_AGAIN = "use the same, or fit another one with `gradbox fit`"


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A step of the fit, scored on images that it was not fitted on.

    `corloc`, `mean_iou` (of main boxes) and `calibration_error` are in [0, 1], the intervals those
    of a bootstrap over images, without ends where a file of gradbox 0.2 has none. `gain` is the
    mean difference to what had been taken before, by what the step is for, and `error` its standard
    error; both None for the first.
    """

    name: str
    corloc: float
    mean_iou: float
    calibration_error: float
    corloc_interval: Bounds = (None, None)
    mean_iou_interval: Bounds = (None, None)
    gain: float | None = None
    error: float | None = None
    taken: bool = True


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What was fitted with what: specs are canonical, hashes are those of weights.

    `head_hash` is None where there is no foreground. `image_labels` says whether the true classes
    were given. `n_boxes` is the number of true boxes.
    """

    method: str
    model: str
    model_hash: str
    head_hash: str | None
    preprocessing: str
    image_labels: bool
    n_images: int
    n_boxes: int
    gradbox: str = field(default_factory=lambda: version("gradbox"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """What was learned, from what, and why it was taken.

    `image_hashes` are the SHA-256 of the images in hex. Without a `last_layer` that of the head
    stays.
    """

    tuned: Tuned
    last_layer: LastLayer | None
    rungs: tuple[Rung, ...]
    origin: Origin
    image_hashes: frozenset[str]

    @cached_property
    def seen(self) -> Seen:
        """The images that it was fitted on."""
        return seen_of(self._arrays, self._header | {"sha256": self.sha256})

    @property
    def sha256(self) -> str:
        """The SHA-256 of what it computes with."""
        layer = {} if self.last_layer is None else self.last_layer.arrays
        parts = [self._header["tuned"].encode(), *(one.tobytes() for one in layer.values())]
        return hash_bytes(b"".join(parts))

    def check_head(self, head_hash: str | None) -> None:
        """Refuse another foreground head.

        Raises:
            UsageError: it was fitted with another one, or without.
        """
        was, now = self.origin.head_hash, head_hash
        if was != now:
            raise UsageError(
                f"this was fitted with {_head(was)}, not {_head(now)}: {_AGAIN}; `head` and "
                "`foreground` of auto say which"
            )

    def check(self, classifier: Classifier) -> None:
        """Refuse another classifier.

        Raises:
            UsageError: other weights or preprocessing.
        """
        made = self.origin
        if made.model_hash != classifier.weights_hash:
            raise UsageError(
                f"this was fitted with {made.model}, whose weights have the hash {made.model_hash},"
                f" not {classifier.weights_hash}: {_AGAIN}"
            )
        if made.preprocessing != str(classifier.preprocessing):
            raise UsageError(
                f"this was fitted on inputs of {made.preprocessing}, not "
                f"{classifier.preprocessing}: {_AGAIN}"
            )

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        FITTED.save(path, self._arrays, self._header | {"sha256": self.sha256})

    @classmethod
    def load(cls, path: Path) -> "Fitted":
        """Read what `save` wrote.

        Raises:
            UsageError: no such file, not one of `gradbox fit`, a damaged one, or one of a newer
                gradbox.
        """
        arrays, header = FITTED.load(path)
        try:
            rungs = tuple(_rung(one) for one in json.loads(header["rungs"]))
            found = cls(
                tuned=_tuned(json.loads(header["tuned"])),
                last_layer=LastLayer.of(arrays),
                rungs=rungs,
                origin=Origin(**json.loads(header["origin"])),
                image_hashes=seen_of(arrays, header).hashes,
            )
            if found.sha256 != header["sha256"]:
                raise ValueError("its hash is another one")
        except (KeyError, TypeError, ValueError) as error:
            raise FITTED.damaged(path, error) from error
        return found

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        layer = {} if self.last_layer is None else self.last_layer.arrays
        return {"image_hashes": hashes_to_array(self.image_hashes), **layer}

    @property
    def _header(self) -> dict[str, str]:
        return {
            "tuned": json.dumps(asdict(self.tuned)),
            "rungs": json.dumps([asdict(one) for one in self.rungs]),
            "origin": json.dumps(asdict(self.origin)),
        }


def _head(digest: str | None) -> str:
    return "no foreground head" if digest is None else f"the foreground head of the hash {digest}"


def _rung(values: Mapping[str, Any]) -> Rung:
    bounds = {name: _bounds(both) for name, both in values.items() if name.endswith("_interval")}
    return Rung(**{**values, **bounds})


def _bounds(values: Sequence[float | None]) -> Bounds:
    low, high = values
    return low, high


def _tuned(values: Mapping[str, Any]) -> Tuned:
    return Tuned(
        settings=tuple(Settings(**one) for one in values["settings"]),
        confidence=_confidence(values["confidence"]),
        choice=None if values["choice"] is None else _confidence(values["choice"]),
    )


def _confidence(values: Mapping[str, Any]) -> Confidence:
    numbers = {name: tuple(map(float, values[name])) for name in ("mean", "scale", "weights")}
    found = Confidence(**numbers, bias=float(values["bias"]))
    _ = found.of(np.zeros((1, len(FEATURES))))  # which fails where the numbers do not fit together
    return found
