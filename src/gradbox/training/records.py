"""What goes into a training and what comes out: options, epochs, the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.images.preprocessing import LARGEST_INPUT

_MANY = 1_000_000
_RANGES = {
    "size": (8, LARGEST_INPUT),
    "epochs": (1, _MANY),
    "batch_size": (2, _MANY),
    "patience": (1, _MANY),
    "seed": (0, 2**32 - 1),  # the loop makes larger numbers of it, which torch has to take
}
_LARGEST_LR = 1000.0


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a classifier is trained.

    `arch` is `small`, `torchvision/NAME` or `timm/NAME`, `size` the side of its square input, None
    the usual one (128 for `small`). `weights` is a file to start from or `untrained`; None takes
    the usual ones, which `small` has not. `freeze` trains nothing but the new head. `lr` is the
    peak of the learning rate's cycle, None 0.003 from nothing and 0.0003 from weights. `validation`
    is the share of each class that is held out; training ends after `patience` epochs without a
    better score on it. `dtype` is that of matrix products: float32, bfloat16, or auto for bfloat16
    on a GPU that has it.
    """

    arch: str = "small"
    size: int | None = None
    epochs: int = 30
    batch_size: int = 64
    lr: float | None = None
    validation: float = 0.2
    patience: int = 10
    seed: int = 0
    weights: str | None = None
    freeze: bool = False
    dtype: str = "auto"

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"{name}={value}: write a whole number from {least} to {most}")
        if self.lr is not None and not 0 < self.lr <= _LARGEST_LR:
            raise UsageError(
                f"lr={self.lr}: a learning rate is above 0 and at most {_LARGEST_LR:g}, as in 0.003"
            )
        if not 0 < self.validation < 1:
            raise UsageError(f"validation={self.validation}: a share between 0 and 1, as in 0.2")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise UsageError(f"dtype={self.dtype}: write auto, float32 or bfloat16")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch, counted from 1, came to: a line of `log.jsonl`.

    Losses are mean cross-entropies in nats, accuracies shares of the images in [0, 1]; those that
    begin with `train_` are of augmented images. `lr` is the learning rate at the end.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    loss: float
    accuracy: float
    lr: float
    seconds: float


def best(epochs: tuple[Epoch, ...]) -> Epoch:
    """The epoch with the highest accuracy on the images held out, then with the lowest loss."""
    return max(epochs, key=lambda epoch: (epoch.accuracy, -epoch.loss))


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """The classifier that came out: its card, and how well it does on the images held out.

    `accuracy` and `per_class` are shares in [0, 1], `loss` is in nats; all of them belong to the
    weights on disk. `epoch` is the one whose weights were kept, of `epochs`. `skipped` names the
    images that could not be used, each with the reason.
    """

    card: Path
    accuracy: float
    loss: float
    per_class: Mapping[str, float]
    epoch: int
    epochs: int
    n_train: int
    n_validation: int
    seconds: float
    skipped: tuple[str, ...]
