"""`gradbox foreground`: the head that tells objects from background, taught anew."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import say, track

foreground = typer.Typer(
    name="foreground",
    help="Teach the head of the method `foreground` by boxes of your own.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@foreground.command()
def train(
    datasets: opt.DatasetTexts,
    out: Annotated[
        Path, typer.Option("--out", help="The head's file.", metavar="FILE.safetensors")
    ],
    backbone: Annotated[
        str,
        typer.Option(
            help="efficientnet_lite0, efficientnet_lite1 or efficientnet_lite2: what it reads."
        ),
    ] = "efficientnet_lite0",
    sizes: Annotated[
        list[int], typer.Option("--size", help="A shorter side of the input; may be repeated.")
    ] = [224, 320, 448],  # noqa: B006 - typer copies it
    epochs: Annotated[int, typer.Option(help="Passes over the images.", min=1)] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same head.")] = 0,
    device: mo.Device = "auto",
    overwrite: Annotated[bool, typer.Option(help="Replace the file of --out.")] = False,
) -> None:
    """Train a foreground head by the boxes of data sets, whatever their classes.

    `gradbox foreground train csv:DIR --out head.safetensors`

    then use it on other images with `--method 'foreground(head=head.safetensors)'`.
    """
    from gradbox.files import check_new_file
    from gradbox.foreground.training import HeadTraining, train_head
    from gradbox.grammar import Spec

    options = HeadTraining(backbone=backbone, sizes=tuple(sizes), epochs=epochs, seed=seed)
    check_new_file(out, overwrite=overwrite)
    loaded = [opt.to_dataset(text) for text in datasets]
    head = train_head(
        [sample for dataset in loaded for sample in dataset.samples],
        trained_on=[Path(text).name for text in datasets],
        options=options,
        device=device,
        track=track,
    )
    head.save(out)
    use = Spec("foreground", (), {"head": str(out)})
    say(
        f"trained on {head.origin.n_boxes} boxes of {head.origin.n_images} images; "
        f"use it with --method {shlex.quote(str(use))}"
    )
