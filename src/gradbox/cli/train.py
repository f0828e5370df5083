"""`gradbox train`: a classifier from image labels."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import (
    say,
    track,
    warn,
)


def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of class folders, csv:DIR, scenes:N, or a table FILE.csv (image,label), "
            "with a row for each class of an image.",
            metavar="DIR",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model.", metavar="DIR")],
    arch: Annotated[
        str,
        typer.Option(
            help="small, torchvision/NAME, timm/NAME or FILE.py:FUNCTION, also with (key=value)."
        ),
    ] = "small",
    init: Annotated[
        str | None,
        typer.Option(
            help="A model to start from, in place of --arch: efficientnet_lite0, or a model card.",
            metavar="MODEL",
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square input.", min=16)] = None,
    epochs: Annotated[int, typer.Option(help="At most so many passes.", min=1)] = 30,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    validation: Annotated[float, typer.Option(help="Share of each class held out.")] = 0.2,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without gain.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 0,
    weights: Annotated[
        str | None, typer.Option(help="A file to start from, or `untrained`.", metavar="FILE")
    ] = None,
    freeze: Annotated[
        bool, typer.Option(help="Train only the new head: for tens of images.")
    ] = False,
    head: Annotated[
        str,
        typer.Option(
            help="softmax (one class an image), sigmoid (any number) or auto, by the labels."
        ),
    ] = "auto",
    balance: Annotated[
        str, typer.Option(help="Rare classes as much as frequent ones: none, weights or sampling.")
    ] = "none",
    label_smoothing: Annotated[
        float, typer.Option(help="Share of a target spread over all answers.")
    ] = 0.0,
    channels: mo.Channels = None,
    span: mo.Range = None,
    stack: mo.StackText = None,
    device: mo.Device = "auto",
    dtype: Annotated[
        str, typer.Option(help="auto (bfloat16 on a GPU that has it), float32 or bfloat16.")
    ] = "auto",
    overwrite: opt.Overwrite = False,
) -> None:
    """Train a classifier from image labels alone; boxes are never read.

    `gradbox train photos/ --arch torchvision/resnet18 --out model`

    then `gradbox locate ... --model model/model.toml`. The same call goes on after Ctrl-C.
    """
    from gradbox.training.records import TrainingOptions
    from gradbox.training.train import train as run

    report = run(
        source,
        out=out,
        options=TrainingOptions(
            arch=arch,
            size=size,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            validation=validation,
            patience=patience,
            seed=seed,
            weights=weights,
            freeze=freeze,
            dtype=dtype,
            init=init,
            head=head,
            balance=balance,
            label_smoothing=label_smoothing,
            channels=channels,
            range=span,
            stack=stack,
        ),
        device=device,
        overwrite=overwrite,
        track=track,
        on_epoch=lambda epoch: say(
            f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, "
            f"held out: loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.1f} %"
        ),
    )
    for line in (*report.skipped, *report.notes):
        warn(line)
    balanced = "balanced " if report.head == "sigmoid" else ""
    say(
        f"{balanced}accuracy {100 * report.accuracy:.1f} % on held-out images, "
        f"{out / 'report.html'}: --model {report.card}"
    )
