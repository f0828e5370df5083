"""The steps of training, and scoring a network on images whose classes are known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.progress import Track
from gradbox.training.augment import Augmentation
from gradbox.training.network import Network
from gradbox.training.objectives import OBJECTIVES, Counts, Objective, no_counts, rarity
from gradbox.training.pixels import Pixels
from gradbox.training.records import TrainingOptions

_WARM_UP = 0.2
_WEIGHT_DECAY = 0.05
_LR_FROM_NOTHING, _LR_FROM_WEIGHTS = 3e-3, 3e-4
_SEEDS_A_RUN = 1_000_003  # no two epochs of neighbouring seeds draw the same numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """Some images of a training: rows of `pixels`, and which classes each has."""

    pixels: Pixels
    indices: Int[Tensor, "n"]
    targets: Bool[Tensor, "n c"]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, chosen: Int[Tensor, "b"], device: torch.device) -> tuple[Tensor, Tensor]:
        """(b, 3, h, w) uint8 pixels and (b, c) targets on the device."""
        rows = self.pixels.rows[self.indices[chosen]]
        return rows.to(device), self.targets[chosen].to(device)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Where and how finely a network is computed; weights stay in float32."""

    device: torch.device
    dtype: torch.dtype

    def logits(
        self, module: nn.Module, preprocessing: Preprocessing, pixels: Tensor
    ) -> Float[Tensor, "b n"]:
        """Float32 logits of uint8 pixels (b, 3, h, w)."""
        images = preprocessing.normalize(pixels, torch.float32)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
            return module(images).float()


class Trainer:
    """AdamW with one cycle of the learning rate; the module of `network` is trained in place.

    The random numbers of an epoch depend on the seed and the epoch's number alone. With `freeze`
    only the network's fresh parameters change, and batch normalization keeps its statistics.

    Raises:
        UsageError: `freeze`, but no parameter is fresh.
    """

    def __init__(
        self, network: Network, images: Part, compute: Compute, options: TrainingOptions
    ) -> None:
        self.network = network
        self.images = images
        self.compute = compute
        self.options = options
        self.batch_size = min(options.batch_size, len(images))
        kind = OBJECTIVES[network.head]
        self.objective = kind(
            smoothing=options.label_smoothing,
            weights=kind.balanced(images.targets) if options.balance == "weights" else None,
        )
        self.augmentation = Augmentation()
        module = network.module.to(compute.device).to(memory_format=torch.channels_last)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(not options.freeze or name in network.fresh)
        learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not learned:
            raise UsageError("freeze leaves nothing to train: the weights fill the whole network")
        from_weights = len(network.fresh) < len(list(module.parameters()))
        lr = options.lr or (_LR_FROM_WEIGHTS if from_weights else _LR_FROM_NOTHING)
        steps = 1 + options.epochs * (len(images) // self.batch_size)  # one past the last
        self.optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=_WEIGHT_DECAY)
        rise = max(_WARM_UP, 2 / steps)  # OneCycleLR divides by 0 where it has one step to rise
        self.scheduler = OneCycleLR(self.optimizer, lr, total_steps=steps, pct_start=rise)

    def state_dict(self) -> dict[str, Any]:
        """All that changes from epoch to epoch."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    @property
    def _parts(self) -> dict[str, Any]:
        module = self.network.module
        return {"module": module, "optimizer": self.optimizer, "scheduler": self.scheduler}

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.scheduler.get_last_lr()[0])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights and buffers, on the CPU."""
        state = self.network.module.state_dict()
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

    def epoch(self, number: int, track: Track, title: str) -> tuple[float, float]:
        """Train with as many images as there are: mean loss in nats, accuracy, of augmented images.

        Each is used once, or with `balance=sampling` as often as it is drawn. What is left over
        after the last full batch waits for another epoch.

        Raises:
            UsageError: the loss is not finite.
        """
        module = self.network.module.train(not self.options.freeze)
        count = len(self.images) // self.batch_size * self.batch_size
        devices = [self.compute.device] if self.compute.device.type == "cuda" else []
        loss_sum, counts = 0.0, no_counts(self.images.targets)
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.options.seed * _SEEDS_A_RUN + number)
            for chosen in track(torch.split(self._drawn(count), self.batch_size), count, title):
                pixels, targets = self.images.take(chosen, self.compute.device)
                logits = self.compute.logits(
                    module, self.network.preprocessing, self.augmentation(pixels)
                )
                loss = self.objective.losses(logits, targets).mean()
                self.optimizer.zero_grad()
                torch.autograd.backward(loss)
                self.optimizer.step()
                self.scheduler.step()
                loss_sum += float(loss.detach()) * len(targets)
                counts = counts + self.objective.count(logits.detach(), targets)
        _check_loss(loss_sum)
        return loss_sum / count, self.objective.accuracy(counts)

    def _drawn(self, count: int) -> Int[Tensor, "{count}"]:
        """The images of an epoch, in order."""
        if self.options.balance == "sampling":
            return torch.multinomial(rarity(self.images.targets), count, replacement=True)
        return torch.randperm(len(self.images))[:count]

    def score(self, images: Part) -> tuple[float, Counts]:
        """`score` of the network as it is now."""
        network = self.network
        plain = type(self.objective)()
        return score(
            network.module, network.preprocessing, images, self.compute, self.batch_size, plain
        )


@torch.no_grad()
def score(
    module: nn.Module,
    preprocessing: Preprocessing,
    images: Part,
    compute: Compute,
    batch_size: int,
    objective: Objective,
) -> tuple[float, Counts]:
    """The mean loss in nats and the counts of these images as they are.

    Raises:
        UsageError: a loss is not finite.
    """
    module.eval()
    loss_sum, counts = 0.0, no_counts(images.targets)
    for chosen in torch.split(torch.arange(len(images)), batch_size):
        pixels, targets = images.take(chosen, compute.device)
        logits = compute.logits(module, preprocessing, pixels)
        loss_sum += float(objective.losses(logits, targets).sum())
        counts = counts + objective.count(logits, targets)
    _check_loss(loss_sum)
    return loss_sum / len(images), counts


def _check_loss(loss: float) -> None:
    if not math.isfinite(loss):
        raise UsageError(f"the loss became {loss}: train with a lower lr")
