"""`gradbox.training.train`: a classifier from image labels alone, as a model card."""

import dataclasses
import platform
import shlex
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from gradbox.errors import UsageError
from gradbox.files import hash_file
from gradbox.models.classifier import DTYPES, find_device
from gradbox.models.load import UNTRAINED, load_classifier
from gradbox.progress import Track, silent
from gradbox.training.folder import Progress, TrainingFolder, reading, refuse_others_files
from gradbox.training.labels import read_labels, split_by_class
from gradbox.training.loop import Compute, Part, Trainer, score
from gradbox.training.network import new_network, write_model
from gradbox.training.pixels import Pixels, decode
from gradbox.training.records import Epoch, TrainingOptions, TrainingReport, best

_USUAL = TrainingOptions()


@torch.random.fork_rng([])  # the caller's random numbers stay as they are
def train(
    source: str,
    *,
    out: Path,
    options: TrainingOptions = _USUAL,
    device: str = "auto",
    overwrite: bool = False,
    track: Track = silent,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> TrainingReport:
    """Train a classifier with image labels, never with boxes, and write its model card.

    `out` gets `model.toml`, `model.safetensors` (float16), `classes.txt`, `log.jsonl` (a line for
    each epoch) and `train.json`. After each epoch a whole `checkpoint.pt` stands there; the same
    call goes on from it, on a CPU bit by bit, and returns at once where it had ended.

    Args:
        source: `DIR` of class folders, `folder:DIR`, `csv:DIR`, `FILE.csv` (image,label) or
            `scenes:N`.
        out: folder for the results.
        options: how to train.
        device: cpu, cuda, cuda:N, mps or auto.
        overwrite: replace what another call, or the user, left in `out`.
        track: shows progress.
        on_epoch: is told of each epoch.

    Raises:
        UsageError: the source has no labels of two classes, an option does not fit, or `out` holds
            another call's training, or files of its names that no training made.
    """
    compute = _compute(device, options.dtype)
    if not overwrite:
        refuse_others_files(out)
    samples = read_labels(source)
    class_names = sorted({str(sample.label) for sample in samples})
    torch.default_generator.manual_seed(options.seed)
    network = new_network(options.arch, len(class_names), options.size, options.weights)
    pixels = decode(samples, network.preprocessing, out, track)
    held_in, held_out = _parts(pixels, class_names, options)
    folder = TrainingFolder(path=out, call=_call(source, options, pixels))
    if overwrite:
        folder.clear()
    if ended := folder.report():
        return ended
    trainer = Trainer(network, held_in, compute, options)
    progress = _run(trainer, held_out, folder, options, track, on_epoch)
    write_model(out, network, progress.best_weights, class_names)
    scores = _score_on_disk(folder.card, held_out, class_names, compute, options)
    report = TrainingReport(
        card=folder.card,
        **scores,
        epoch=best(progress.epochs).epoch,
        epochs=len(progress.epochs),
        n_train=len(held_in),
        n_validation=len(held_out),
        seconds=sum(epoch.seconds for epoch in progress.epochs),
        skipped=pixels.skipped,
    )
    folder.finish(report, {"command": _command(source, out, options), "versions": _versions()})
    return report


def _run(
    trainer: Trainer,
    held_out: Part,
    folder: TrainingFolder,
    options: TrainingOptions,
    track: Track,
    on_epoch: Callable[[Epoch], None],
) -> Progress:
    """Train from the checkpoint, or from the start, to the end."""
    progress = folder.progress()
    if progress.epochs:
        with reading(folder.checkpoint):
            trainer.load_state_dict(progress.trainer)
    while not _has_ended(progress.epochs, options):
        epoch = _epoch(trainer, held_out, progress.epochs, options, track)
        epochs = (*progress.epochs, epoch)
        weights = trainer.weights() if best(epochs) is epoch else progress.best_weights
        progress = Progress(epochs=epochs, best_weights=weights, trainer=trainer.state_dict())
        folder.save(progress)
        on_epoch(epoch)
    return progress


def _has_ended(epochs: tuple[Epoch, ...], options: TrainingOptions) -> bool:
    waited = len(epochs) - best(epochs).epoch if epochs else 0
    return len(epochs) == options.epochs or waited >= options.patience


def _epoch(
    trainer: Trainer,
    held_out: Part,
    before: tuple[Epoch, ...],
    options: TrainingOptions,
    track: Track,
) -> Epoch:
    start = perf_counter()
    number = len(before) + 1
    so_far = f", accuracy {before[-1].accuracy:.3f}" if before else ""
    title = f"epoch {number} of {options.epochs}{so_far}"
    train_loss, train_accuracy = trainer.epoch(number, track, title)
    losses, right = trainer.score(held_out)
    return Epoch(
        epoch=number,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        loss=float(losses.mean()),
        accuracy=float(right.float().mean()),
        lr=trainer.lr,
        seconds=perf_counter() - start,
    )


def _parts(
    pixels: Pixels, class_names: Sequence[str], options: TrainingOptions
) -> tuple[Part, Part]:
    """The images to train with and those to validate with.

    Raises:
        UsageError: no image of a class is usable.
    """
    if unusable := set(class_names) - {str(sample.label) for sample in pixels.samples}:
        raise UsageError(
            f"no image of the class {min(unusable)!r} can be used, for instance "
            f"{pixels.skipped[0]}; mend them or leave the class out"
        )
    labels = torch.tensor([class_names.index(str(s.label)) for s in pixels.samples])
    split = split_by_class(pixels.samples, options.validation, options.seed)
    rows = (torch.tensor(indices) for indices in split)
    held_in, held_out = (Part(pixels=pixels, indices=i, labels=labels[i]) for i in rows)
    return held_in, held_out


def _score_on_disk(
    card: Path, images: Part, class_names: Sequence[str], compute: Compute, options: TrainingOptions
) -> dict[str, Any]:
    """Accuracy, loss and accuracy of each class of the weights as they were written."""
    written = load_classifier(str(card), device=str(compute.device))
    losses, right = score(
        written.module, written.preprocessing, images, compute, options.batch_size
    )
    by_class = {
        name: float(right[images.labels == index].float().mean())
        for index, name in enumerate(class_names)
    }
    return {
        "accuracy": float(right.float().mean()),
        "loss": float(losses.mean()),
        "per_class": by_class,
    }


def _compute(device: str, dtype: str) -> Compute:
    place = find_device(device)
    fast = place.type == "cuda" and torch.cuda.is_bf16_supported()
    kind = ("bfloat16" if fast else "float32") if dtype == "auto" else dtype
    return Compute(device=place, dtype=DTYPES[kind])


def _call(source: str, options: TrainingOptions, pixels: Pixels) -> dict[str, Any]:
    """What has to be the same for a training to go on."""
    start = options.weights if options.weights not in (None, UNTRAINED) else None
    hashes = {"images": pixels.sha256, "start": hash_file(Path(start)) if start else None}
    return {"source": source, **dataclasses.asdict(options), **hashes}


def _command(source: str, out: Path, options: TrainingOptions) -> str:
    """The line to type for this training, with every option that is not the usual one."""
    words = ["gradbox", "train", source, "--out", str(out)]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default or field.name == "arch":
            flag = "--" + field.name.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def _versions() -> dict[str, str]:
    packages = ("gradbox", "torch", "torchvision", "numpy")
    return {name: metadata.version(name) for name in packages} | {
        "python": platform.python_version()
    }
