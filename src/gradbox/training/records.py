"""What goes into a training and what comes out: options, epochs, the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.images.preprocessing import LARGEST_INPUT
from gradbox.images.reading import Reading

_MANY = 1_000_000
_RANGES = {
    "size": (8, LARGEST_INPUT),
    "epochs": (1, _MANY),
    "batch_size": (2, _MANY),
    "patience": (1, _MANY),
    "seed": (0, 2**32 - 1),  # the loop makes larger numbers of it, which torch has to take
}
_LARGEST_LR = 1000.0
_CHOICES = {
    "dtype": ("auto", "float32", "bfloat16"),
    "head": ("auto", "softmax", "sigmoid"),
    "balance": ("none", "weights", "sampling"),
}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a classifier is trained.

    `arch` is `small`, `torchvision/NAME`, `timm/NAME` or a function in a file, see `network`;
    `size` is the side of its square input, None the usual one (128 for `small` and for functions).
    `weights` is a file to start from or `untrained`; None takes the published ones, where there are
    some. `freeze` trains nothing but the new head. `lr` is the
    peak of the learning rate's cycle, None 0.003 from nothing and 0.0003 from weights. `validation`
    is the share of each class that is held out; training ends after `patience` epochs without a
    better score on it. `dtype` is that of matrix products: float32, bfloat16, or auto for bfloat16
    on a GPU that has it.

    `init` is a model to start from, in place of `arch` and `weights`: one that is built in, or a
    model card. `head` is softmax (an image has one class), sigmoid (any number), or auto, sigmoid
    where an image has several. `balance` evens out rare and frequent classes, by weights of the
    loss or by sampling. `label_smoothing` is the share of a target that is spread over all answers.
    `channels`, `range` and `stack` are what is said of the numbers of files, as on the command
    line; the card then says it, too.
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
    init: str | None = None
    head: str = "auto"
    balance: str = "none"
    label_smoothing: float = 0.0
    channels: str | None = None
    range: str | None = None
    stack: str | None = None

    @property
    def reading(self) -> Reading:
        """What is said of the numbers of the files.

        Raises:
            UsageError: it cannot be read.
        """
        return Reading.of_texts(self.channels, self.range, self.stack)

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
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(
                f"label_smoothing={self.label_smoothing}: a share from 0 to below 1, as in 0.1"
            )
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                *others, last = choices
                raise UsageError(f"{name}={value}: write {', '.join(others)} or {last}")
        named = self.weights is not None or self.arch != TrainingOptions.arch
        if self.init is not None and named:
            raise UsageError(
                f"init={self.init} says which network is trained and with which weights it starts: "
                "leave arch and weights out"
            )


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch, counted from 1, came to: a line of `log.jsonl`.

    Losses are mean cross-entropies in nats, accuracies in [0, 1], see `objectives`; those that
    begin with `train_` are of augmented images, with the smoothing and weights that are learned
    with. `lr` is the learning rate at the end.
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

    `accuracy` and `per_class` are in [0, 1], by the objective of the `head`, `loss` is in nats; all
    of them belong to the weights on disk. `epoch` is the one whose weights were kept, of `epochs`.
    `skipped` names the images that could not be used, each with the reason; `notes` say what the
    labels cannot teach.
    """

    card: Path
    head: str
    accuracy: float
    loss: float
    per_class: Mapping[str, float]
    epoch: int
    epochs: int
    n_train: int
    n_validation: int
    seconds: float
    skipped: tuple[str, ...]
    notes: tuple[str, ...] = ()
