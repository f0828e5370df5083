"""Training a foreground head by boxes: what is taught, the loop, and what is kept of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from gradbox.boxes import Boxes
from gradbox.errors import UsageError
from gradbox.foreground.backbone import LAYERS, activations, load_backbone, shape_of_head
from gradbox.foreground.head import Head, Origin
from gradbox.foreground.loss import distance, inside_boxes
from gradbox.foreground.network import HeadNetwork, HeadShape
from gradbox.foreground.spool import Activations, Spool
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import Sample
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.progress import Track, silent
from gradbox.seen import ilsvrc_number

FEWEST = 10
_IMAGES_AT_ONCE = 16
_WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class HeadTraining:
    """How a head is trained.

    Each step shows `batch_size` images, half of the time mirrored, at one of the `sizes`, shorter
    sides of the input in pixels. AdamW with one cycle of the learning rate, up to `lr`. `dice` is
    the weight of the part of the loss in which each image counts alike: see `loss.distance`.
    """

    backbone: str = DEFAULT_MODEL
    sizes: tuple[int, ...] = (224, 320, 448)
    epochs: int = 12
    batch_size: int = 32
    lr: float = 3e-3
    weight_decay: float = 0.05
    dice: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or any(size < 32 for size in self.sizes):
            raise UsageError(f"sizes={list(self.sizes)}: shorter sides in pixels, 32 or more")
        if self.epochs < 1 or self.batch_size < 2:
            raise UsageError(
                f"epochs={self.epochs}, batch_size={self.batch_size}: at least 1 and 2"
            )
        if self.lr <= 0:
            raise UsageError(f"lr={self.lr}: a learning rate is above 0")
        if self.dice < 0:
            raise UsageError(f"dice={self.dice}: the weight of a part of the loss, 0 or more")


_USUAL = HeadTraining()


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """An image that a head is taught by: its row in the spool, and its boxes (n, 4).

    The boxes are in shares of the input's width and height; `sha256` is the hash of the file.
    """

    row: int
    sample: Sample
    boxes: Boxes
    sha256: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Images that a backbone has looked at; make them with `look`."""

    backbone: Classifier
    spool: Spool
    images: Sequence[Example]

    def __len__(self) -> int:
        return len(self.images)

    def only(self, keep: Callable[[Sample], bool]) -> "Examples":
        """Those whose sample is to be kept, without another look."""
        return replace(self, images=[one for one in self.images if keep(one.sample)])


def train_head(
    samples: Sequence[Sample],
    *,
    trained_on: Sequence[str],
    options: HeadTraining = _USUAL,
    device: str = "auto",
    track: Track = silent,
) -> Head:
    """A head taught by the boxes of images: `look`, then `teach`.

    Raises:
        UsageError: too few images with boxes, or the backbone is not installed.
    """
    with look(samples, options=options, device=device, track=track) as examples:
        return teach(examples, trained_on=trained_on, options=options, track=track)


@contextmanager
def look(
    samples: Sequence[Sample],
    *,
    options: HeadTraining = _USUAL,
    device: str = "auto",
    track: Track = silent,
) -> Iterator[Examples]:
    """The backbone's activations of the images that have boxes and can be read.

    It looks at each image once a size; its activations wait in a temporary folder, about 0.5 MB an
    image.

    Args:
        samples: images with boxes; those without one are left out.
        options: the backbone and the sizes.
        device: cpu, cuda, cuda:N, mps or auto.
        track: shows progress.

    Raises:
        UsageError: too few images with boxes, or the backbone is not installed.
    """
    boxed = [sample for sample in samples if len(sample.boxes)]
    _check_number(len(boxed), len(samples))
    backbone = load_backbone(options.backbone, device)
    with TemporaryDirectory(prefix="gradbox-") as folder:
        spool = Spool(Path(folder), options.sizes)
        images: list[Example] = []
        groups = load_batches(
            boxed,
            backbone.preprocessing,
            batch_size=_IMAGES_AT_ONCE,
            workers=_WORKERS,
            keep_originals=True,
        )
        for group in track(groups, len(boxed), "looking"):
            usable = [one for one in group if isinstance(one, Loaded)]
            if usable:
                _add(usable, backbone, spool)
                images += [_example(len(images) + i, one) for i, one in enumerate(usable)]
        _check_number(len(images), len(samples))
        yield Examples(backbone=backbone, spool=spool, images=images)


def teach(
    examples: Examples,
    *,
    trained_on: Sequence[str],
    options: HeadTraining = _USUAL,
    track: Track = silent,
) -> Head:
    """A head taught by these images; the same call gives the same head.

    Args:
        examples: what the backbone has seen.
        trained_on: the names of the data sets, for the head's file.
        options: how to train; the backbone and the sizes are those of `look`.
        track: shows progress.

    Raises:
        UsageError: the training diverged.
    """
    shape = shape_of_head(examples.backbone)
    numbers = (ilsvrc_number(one.sample.image_id) for one in examples.images)
    return Head(
        shape=shape,
        network=_taught(examples, shape, options, track),
        origin=Origin(
            trained_on=tuple(trained_on),
            n_images=len(examples),
            n_boxes=sum(len(one.boxes) for one in examples.images),
            backbone_hash=examples.backbone.weights_hash,
            sizes=options.sizes,
            epochs=options.epochs,
            seed=options.seed,
        ),
        image_hashes=frozenset(one.sha256 for one in examples.images),
        ilsvrc=frozenset(number for number in numbers if number is not None),
    )


def _add(usable: Sequence[Loaded], backbone: Classifier, spool: Spool) -> None:
    batch = to_batch(usable)
    views = {size: batch.view(backbone.preprocessing.at(size)).pixels for size in spool.sizes}
    spool.append({size: activations(backbone, view, LAYERS) for size, view in views.items()})


def _example(row: int, one: Loaded) -> Example:
    height, width = one.frame.input
    shares = one.frame.to_input(one.sample.boxes) / np.array([width, height, width, height])
    return Example(row=row, sample=one.sample, boxes=shares, sha256=one.sha256)


def _taught(
    examples: Examples, shape: HeadShape, options: HeadTraining, track: Track
) -> HeadNetwork:
    """A network taught by the examples; the caller's random numbers stay as they are."""
    device = examples.backbone.device
    steps = options.epochs * ceil(len(examples) / options.batch_size)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(options.seed)
        network = HeadNetwork(shape).to(device).train()
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=options.weight_decay)
        scheduler = OneCycleLR(optimizer, options.lr, total_steps=steps + 1)
        for epoch in range(1, options.epochs + 1):
            order = torch.split(torch.randperm(len(examples)), options.batch_size)
            for rows in track(order, len(examples), f"epoch {epoch} of {options.epochs}"):
                images = [examples.images[row] for row in rows.tolist()]
                activated, inside = _shown(images, examples.spool)
                logits = network([one.to(device) for one in activated])
                loss = distance(logits, inside.to(device), options.dice)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                scheduler.step()
            if not torch.isfinite(loss):
                raise UsageError(f"the loss became {float(loss)}: train with a lower lr")
    return network.cpu().eval()


def _shown(images: Sequence[Example], spool: Spool) -> tuple[Activations, Float[Tensor, "b h w"]]:
    """Images at a size drawn by chance, half of the time mirrored, and what is inside boxes."""
    size = spool.sizes[int(torch.randint(len(spool.sizes), ()))]
    activated = spool.take(size, [one.row for one in images])
    height, width = max(one.shape[2:] for one in activated)
    inside = np.stack([inside_boxes(one.boxes, height, width) for one in images])
    if torch.rand(()) < 0.5:
        return [one.flip(3) for one in activated], torch.from_numpy(inside).flip(2)
    return activated, torch.from_numpy(inside)


def _check_number(boxed: int, given: int) -> None:
    if boxed < FEWEST:
        raise UsageError(
            f"{boxed} of {given} images have a box and can be read: a foreground head is taught by "
            f"{FEWEST} or more"
        )
