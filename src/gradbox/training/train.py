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
from gradbox.images.survey import surveyed
from gradbox.localization import Sample
from gradbox.models.devices import DTYPES, find_device
from gradbox.models.load import load_classifier
from gradbox.progress import Track, silent
from gradbox.reports.learning import ClassRow, write_learning
from gradbox.training.folder import Progress, TrainingFolder, reading, refuse_others_files
from gradbox.training.labels import Labelled, read_labels, split_by_class
from gradbox.training.loop import Compute, Part, Trainer, score
from gradbox.training.network import Network, network_from, new_network, write_model
from gradbox.training.objectives import OBJECTIVES
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
    each epoch), `report.html` (the learning curve) and `train.json`. After each epoch a whole
    `checkpoint.pt` stands there; the same call goes on from it, on a CPU bit by bit, and returns at
    once where it had ended.

    Args:
        source: `DIR` of class folders, `folder:DIR`, `csv:DIR`, `FILE.csv` (image,label, a row for
            each class of an image) or `scenes:N`.
        out: folder for the results.
        options: how to train.
        device: cpu, cuda, cuda:N, mps or auto.
        overwrite: replace what another call, or the user, left in `out`.
        track: shows progress.
        on_epoch: is told of each epoch.

    Raises:
        UsageError: the source has no labels to tell apart, an option does not fit, or `out` holds
            another call's training, or files of its names that no training made.
    """
    compute = _compute(device, options.dtype)
    if not overwrite:
        refuse_others_files(out)
    images, head = _for_head(read_labels(source), options.head)
    class_names = sorted({label for one in images for label in one.labels})
    torch.default_generator.manual_seed(options.seed)
    network = _network(options, len(class_names), head)
    network = _reading(network, options, [one.sample for one in images])
    pixels = decode(images, network.preprocessing, out, track)
    held_in, held_out = _parts(pixels, class_names, options)
    folder = TrainingFolder(path=out, call=_call(source, options, pixels, network))
    if overwrite:
        folder.clear()
    if ended := folder.report():
        return ended
    trainer = Trainer(network, held_in, compute, options)
    progress = _run(trainer, held_out, folder, options, track, on_epoch)
    write_model(out, network, progress.best_weights, class_names)
    report = TrainingReport(
        card=folder.card,
        head=head,
        **_score_on_disk(folder.card, held_out, class_names, compute, options, head),
        epoch=best(progress.epochs).epoch,
        epochs=len(progress.epochs),
        n_train=len(held_in),
        n_validation=len(held_out),
        seconds=sum(epoch.seconds for epoch in progress.epochs),
        skipped=pixels.skipped,
        notes=_notes(pixels, class_names),
    )
    about = {"command": _command(source, out, options), "versions": _versions()}
    write_learning(
        out / "report.html",
        title=f"Training with {source}",
        report=dataclasses.asdict(report),
        epochs=[dataclasses.asdict(epoch) for epoch in progress.epochs],
        classes=_class_rows(report, held_in, held_out),
        facts=about,
    )
    folder.finish(report, about)
    return report


def _class_rows(report: TrainingReport, held_in: Part, held_out: Part) -> Sequence[ClassRow]:
    counts = (part.targets.sum(dim=0).tolist() for part in (held_in, held_out))
    return [
        ClassRow(name=name, accuracy=accuracy, n_train=n_train, n_validation=n_validation)
        for (name, accuracy), n_train, n_validation in zip(
            report.per_class.items(), *counts, strict=True
        )
    ]


def _network(options: TrainingOptions, n_classes: int, head: str) -> Network:
    if options.init is not None:
        return network_from(options.init, n_classes, options.size, head)
    return new_network(options.arch, n_classes, options.size, options.weights, head)


def _for_head(images: Sequence[Labelled], head: str) -> tuple[Sequence[Labelled], str]:
    """The images that this head can learn from, and the head where that is left open.

    Raises:
        UsageError: a softmax, but an image has several classes.
    """
    several = next((one for one in images if len(one.labels) > 1), None)
    if head == "softmax" and several is not None:
        raise UsageError(
            f"{several.image_id} has the classes {' and '.join(several.labels)}: a softmax knows "
            "one an image; write head sigmoid, or auto"
        )
    if head == "auto":
        head = "softmax" if several is None else "sigmoid"
    return images if head == "sigmoid" else [one for one in images if one.labels], head


def _reading(network: Network, options: TrainingOptions, samples: Sequence[Sample]) -> Network:
    """The network with what is said of the numbers of files, a data set's range measured."""
    seen = network.preprocessing
    said = dataclasses.replace(seen, reading=options.reading.over(seen.reading))
    return dataclasses.replace(network, preprocessing=surveyed(said, samples))


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
    loss, counts = trainer.score(held_out)
    return Epoch(
        epoch=number,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        loss=loss,
        accuracy=trainer.objective.accuracy(counts),
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
    usable = {label for one in pixels.images for label in one.labels}
    if unusable := set(class_names) - usable:
        raise UsageError(
            f"no image of the class {min(unusable)!r} can be used, for instance "
            f"{pixels.skipped[0]}; mend them or leave the class out"
        )
    rows = [[name in one.labels for name in class_names] for one in pixels.images]
    targets = torch.tensor(rows)
    split = split_by_class(pixels.images, options.validation, options.seed)
    held_in, held_out = (
        Part(pixels=pixels, indices=chosen, targets=targets[chosen])
        for chosen in map(torch.tensor, split)
    )
    return held_in, held_out


def _notes(pixels: Pixels, class_names: Sequence[str]) -> tuple[str, ...]:
    """What no training can learn from these labels."""
    return tuple(
        f"{name}: every image has this class, so nothing tells where it is; add images without it"
        for name in class_names
        if all(name in one.labels for one in pixels.images)
    )


def _score_on_disk(
    card: Path,
    images: Part,
    class_names: Sequence[str],
    compute: Compute,
    options: TrainingOptions,
    head: str,
) -> dict[str, Any]:
    """Accuracy, loss and accuracy of each class of the weights as they were written."""
    written, plain = load_classifier(str(card), device=str(compute.device)), OBJECTIVES[head]()
    loss, counts = score(
        written.module, written.preprocessing, images, compute, options.batch_size, plain
    )
    by_class = zip(class_names, plain.accuracies(counts).tolist(), strict=True)
    return {"accuracy": plain.accuracy(counts), "loss": loss, "per_class": dict(by_class)}


def _compute(device: str, dtype: str) -> Compute:
    place = find_device(device)
    fast = place.type == "cuda" and torch.cuda.is_bf16_supported()
    kind = ("bfloat16" if fast else "float32") if dtype == "auto" else dtype
    return Compute(device=place, dtype=DTYPES[kind])


def _call(
    source: str, options: TrainingOptions, pixels: Pixels, network: Network
) -> dict[str, Any]:
    """What has to be the same for a training to go on."""
    start = hash_file(network.start) if network.start else None
    hashes = {"images": pixels.sha256, "start": start}
    return {"source": source, **dataclasses.asdict(options), **hashes}


def _command(source: str, out: Path, options: TrainingOptions) -> str:
    """The line to type for this training, with every option that is not the usual one."""
    words = ["gradbox", "train", source, "--out", str(out)]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default or (field.name == "arch" and options.init is None):
            flag = "--" + field.name.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def _versions() -> dict[str, str]:
    packages = ("gradbox", "torch", "torchvision", "numpy")
    return {name: metadata.version(name) for name in packages} | {
        "python": platform.python_version()
    }
