"""The learned linear map from a heat map to a box, as it is used and kept in a file.

Ebrahimpour & Noelle, equation A3: corners = W s + w, with s the map divided by its sum. How W and w
are found stands in `regression`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from importlib.metadata import version
from math import isqrt
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float

from gradbox.boxes import BoxChoice
from gradbox.errors import UsageError
from gradbox.estimators.estimator import Heatmaps, Regions, ScoredBoxes, one_each
from gradbox.estimators.features import Features, map_features, n_features
from gradbox.estimators.placing import place
from gradbox.files import hash_bytes
from gradbox.geometry import Frame
from gradbox.seen import Seen, hashes_of_array, hashes_to_array
from gradbox.tensor_files import TensorFile

FILE = TensorFile(format="gradbox.regressor", what="box regressor", command="gradbox fit")
DEFAULT_GRID = 14


@dataclass(frozen=True)
class Learned:
    """What `Ridge` and `Sgd` share: with `file` the map is used, without it is to be fitted.

    It sees `grid` x `grid` cells of a heat map (14 where none is given), or with
    `features=quantiles` where its mass lies (`marginal_quantiles`). With `features=regions` it sees
    no map but the regions that it is made of (`region_features`). A file knows its own.
    """

    file: str | None = None
    grid: int | None = None
    features: Features | None = None
    boxes: BoxChoice = "largest"

    def __post_init__(self) -> None:
        if self.features not in ("cells", None) and self.grid is not None:
            raise ValueError(f"grid={self.grid}: there is a grid with features=cells only")
        if self.grid is not None and self.grid < 1:
            raise ValueError(f"grid={self.grid}: a grid has at least one cell")
        if self.file is not None:
            self._leave_out_fitting()
            return
        object.__setattr__(self, "features", self.features or "cells")
        if self.features == "cells" and self.grid is None:
            object.__setattr__(self, "grid", DEFAULT_GRID)

    def _leave_out_fitting(self) -> None:
        """What is fitted already has no options of the fit: they are refused, or None."""
        for option in fields(self):
            if option.name in ("file", "grid", "features"):
                continue
            given = getattr(self, option.name)
            if given != option.default:
                raise ValueError(
                    f"{option.name}={given} is for fitting, and {self.file} is fitted: leave it out"
                )
            object.__setattr__(self, option.name, None)

    @property
    def is_to_fit(self) -> bool:
        """Whether no file is given."""
        return self.file is None

    @cached_property
    def regressor(self) -> "Regressor":
        """The fitted map in `file`.

        Raises:
            UsageError: no file is given, it cannot be read, or it was fitted with another grid or
                other features than those asked for.
        """
        name = type(self).__name__.lower()
        if self.file is None:
            asked = f"{name}({_seen(self.features, self.grid)})"
            raise UsageError(
                f"{asked} is not fitted yet: run `gradbox fit DATASET --model SPEC --method SPEC "
                f"--box '{asked}' --out FILE.safetensors`, then use {name}(FILE)"
            )
        found = Regressor.load(Path(self.file))
        if self.grid not in (None, found.grid) or self.features not in (None, found.features):
            was, asked = _seen(found.features, found.grid), _seen(self.features, self.grid)
            raise UsageError(
                f"{self.file} was fitted with {was}, not {asked}: leave that out, as in "
                f"{name}({self.file}), or fit another one"
            )
        return found

    def learned(self) -> "Regressor":
        """The fitted map, see `regressor`."""
        return self.regressor

    @property
    def sees_regions(self) -> bool:
        """Whether its features are those of regions."""
        return "regions" in (self.features, None if self.is_to_fit else self.regressor.features)

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame], regions: Regions = ()
    ) -> Sequence[ScoredBoxes]:
        """One box a map by the fitted regressor in `file`."""
        return self.regressor.estimate(heatmaps, frames, regions)


@dataclass(frozen=True)
class Ridge(Learned):
    """Least squares with a penalty on the squared weights, solved exactly.

    `penalty` is scikit-learn's `alpha` on standardized features; without one it is chosen by the
    squared error on held-out images, in `folds` parts.
    """

    penalty: float | None = None
    folds: int = 5

    def __post_init__(self) -> None:
        if self.penalty is not None and self.penalty <= 0:
            raise ValueError(f"penalty={self.penalty}: it is above 0; 1e-6 is next to none")
        if self.folds < 2:
            raise ValueError(f"folds={self.folds}: held-out images need at least 2 folds")
        super().__post_init__()


@dataclass(frozen=True)
class Sgd(Learned):
    """The paper's mini-batch gradient descent; `drop_every` steps the rate falls to a tenth.

    Without `lr` the rate is the paper's 0.1 divided by the largest eigenvalue of the features'
    covariance: on standardized features 0.1 itself diverges.
    """

    lr: float | None = None
    batch: int = 2048
    steps: int = 30_000
    drop_every: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.lr is not None and self.lr <= 0:
            raise ValueError(f"lr={self.lr}: a learning rate is above 0")
        for name in ("batch", "steps", "drop_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it is at least 1")
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a regressor was fitted with; specs are canonical.

    `kind` is the spec of the fit, `model_hash` the hash of the weights, `layer` the name of the
    layer that the maps look into, if any. `image_labels` says whether the true classes were given.
    `n_boxes` is the number of training rows, `n_blank` that of rows left out because their map was
    zero everywhere.
    """

    kind: str
    method: str
    model: str
    model_hash: str
    layer: str | None = None
    preprocessing: str | None = None
    image_labels: bool = False
    n_images: int
    n_boxes: int
    n_blank: int = 0
    penalty: float | None = None
    gradbox: str = field(default_factory=lambda: version("gradbox"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Regressor:
    """A fitted linear map: corners = weights @ ((features - mean) / scale) + bias.

    Corners are xmin, ymin, xmax, ymax in shares of the input's width and height; m is grid * grid
    where the features are cells. `image_hashes` are the SHA-256 of the training images, in hex.
    """

    weights: Float[np.ndarray, "4 m"]
    bias: Float[np.ndarray, "4"]
    mean: Float[np.ndarray, "m"]
    scale: Float[np.ndarray, "m"]
    features: Features = "cells"
    origin: Origin
    image_hashes: frozenset[str]

    def __post_init__(self) -> None:
        width = n_features(self.features, self.grid)
        shapes = [array.shape for array in self._arrays.values()]
        if shapes != [(4, width), (4,), (width,), (width,)]:
            raise ValueError(f"weights, bias, mean and scale do not fit together: {shapes}")

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in ("weights", "bias", "mean", "scale")}

    @property
    def sha256(self) -> str:
        """The SHA-256 of what it computes with."""
        return hash_bytes(
            b"".join(np.ascontiguousarray(a).tobytes() for a in self._arrays.values())
        )

    @property
    def grid(self) -> int | None:
        """Cells on each side of the pooled map; None where the features are no cells."""
        return isqrt(self.weights.shape[-1]) if self.features == "cells" else None

    @property
    def sees_regions(self) -> bool:
        """Whether its features are those of regions."""
        return self.features == "regions"

    def estimate(
        self, heatmaps: Heatmaps, frames: Sequence[Frame], regions: Regions = ()
    ) -> Sequence[ScoredBoxes]:
        """One box for each map, in original pixels, and the share of the map inside it."""
        height, width = heatmaps.shape[1:]
        seen = map_features(heatmaps, frames, regions, self.features, self.grid)
        features = (seen - self.mean) / self.scale
        corners = (features @ self.weights.T + self.bias) * np.array([width, height, width, height])
        low = np.minimum(corners[:, :2], corners[:, 2:])
        high = np.maximum(corners[:, :2], corners[:, 2:])
        return one_each(*place(heatmaps, np.concatenate([low, high], axis=1), frames))

    def check(
        self,
        method: str,
        model_hash: str,
        layer: str | None,
        preprocessing: str | None,
        *,
        rebuilt: Callable[[str], str] = str,
    ) -> None:
        """Refuse maps of another kind than those it was fitted on.

        `rebuilt` gives the present text of a method's canonical spec that another version wrote.

        Raises:
            UsageError: another method (canonical spec), layer or preprocessing, or other weights.
        """
        again = "use the same, or fit another one with `gradbox fit`"
        made = self.origin
        for was, now in (
            (rebuilt(made.method), method),
            (made.layer, layer),
            (made.preprocessing, preprocessing),
        ):
            if was != now:
                raise UsageError(f"this regressor was fitted on maps of {was}, not {now}: {again}")
        if model_hash != made.model_hash:
            raise UsageError(
                f"this regressor was fitted with {made.model}, whose weights have the hash "
                f"{made.model_hash}, not {model_hash}: {again}"
            )

    @property
    def seen(self) -> Seen:
        """The images that it was fitted on."""
        return Seen(
            what=f"{self.origin.n_boxes} boxes",
            sha256=self.sha256,
            hashes=self.image_hashes,
            image_labels=self.origin.image_labels,
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        arrays = {**self._arrays, "image_hashes": hashes_to_array(self.image_hashes)}
        origin = json.dumps(asdict(self.origin))
        FILE.save(path, arrays, {"features": self.features, "origin": origin})

    @classmethod
    def load(cls, path: Path) -> "Regressor":
        """Read what `save` wrote.

        Raises:
            UsageError: no such file, not a regressor of gradbox, or one of a newer gradbox.
        """
        arrays, header = FILE.load(path)
        try:
            hashes = hashes_of_array(arrays.pop("image_hashes"))
            origin = Origin(**json.loads(header["origin"]))
            features: Any = header.get("features", "cells")
            if features not in get_args(Features):
                raise ValueError(f"features={features}")
            return cls(**arrays, features=features, origin=origin, image_hashes=hashes)
        except (KeyError, TypeError, ValueError) as error:
            raise FILE.damaged(path, error) from error


def _seen(features: Features | None, grid: int | None) -> str:
    """The features as they are typed."""
    return f"features={features}" if grid is None else f"grid={grid}"
