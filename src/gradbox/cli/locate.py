"""`gradbox locate`: boxes of images and folders."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    close,
)
from gradbox.cli.grouped import grouped


@grouped
def locate(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders of images.")],
    model: opt.Model,
    out: opt.Out,
    method: opt.MethodSpec = "sensitivity",
    box: opt.BoxSpec = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A class to locate, by name, wnid or index; may be given again."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Locate the N most probable classes.", min=1)
    ] = None,
    near_top: Annotated[
        float | None,
        typer.Option(help="Also all classes with at least R times the best probability."),
    ] = None,
    *,
    loading: opt.ModelOptions,
    how: opt.FormatOptions,
    masks: Annotated[
        bool,
        typer.Option(help="Also write the object's mask, which `dam` without a --box makes."),
    ] = False,
) -> None:
    """Find objects in images: boxes into DIR/predictions.jsonl.

    `gradbox locate photos/ --model torchvision/resnet50 --out boxes --pictures`

    The class is the recognized one unless --label, --top or --near-top say otherwise. The same
    call again goes on where an interrupted one stopped.
    """
    from gradbox import pipeline
    from gradbox.images.find import find_images
    from gradbox.localization import Selection

    chosen = top is not None or near_top is not None
    selection = Selection(top=top or 1, near_top=near_top) if chosen else None
    running = how.running(masks=masks)
    opt.check_parts(method, box)
    report = pipeline.locate(
        find_images(paths),
        loading.classifier(model, methods=[method]),
        out,
        method=method,
        box=box,
        labels=label or [],
        selection=selection,
        running=running,
    )
    close(report)
