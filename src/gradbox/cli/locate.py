"""`gradbox locate`: boxes of images and folders."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import out_console, show_classes
from gradbox.cli.grouped import grouped
from gradbox.errors import UsageError


@grouped
def locate(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders of images.")],
    model: opt.Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for the results; without it they are shown only.", metavar="DIR"
        ),
    ] = None,
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
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            help="Without --out: also draw pictures into a temporary folder, as is done for one"
            " image in a terminal.",
        ),
    ] = False,
) -> None:
    """Find objects in images: a row for each box, or with --out boxes in DIR/predictions.jsonl.

    `gradbox locate cat.jpg` or `gradbox locate photos/ --out boxes --pictures`

    The class is the recognized one unless --label, --top or --near-top say otherwise. The same
    call again goes on where an interrupted one stopped.
    """
    from gradbox import pipeline
    from gradbox.cli.preview import preview
    from gradbox.images.find import find_images
    from gradbox.localization import Selection

    samples = find_images(paths, apart_from=out)
    chosen = top is not None or near_top is not None
    asked: Any = {
        "method": method,
        "box": box,
        "labels": label or [],
        "selection": Selection(top=top or 1, near_top=near_top) if chosen else None,
    }
    opt.check_parts(method, box)
    if out is not None:
        if show:
            raise UsageError("--show is for a call without --out: --pictures draws into DIR")
        running = how.running(masks=masks)
        classifier = loading.classifier(model, methods=[method])
        report = pipeline.locate(samples, classifier, out, running=running, **asked)
        how.close(report, lambda: show_classes(report))
        return
    how.refuse_without_folder(masks=masks)
    drawn = show or (len(samples) == 1 and out_console.is_terminal)
    classifier = loading.classifier(model, methods=[method])
    found = pipeline.localize(
        samples,
        classifier,
        batch_size=how.batch_size,
        workers=how.workers,
        details=drawn,
        **asked,
    )
    preview(samples, found, classifier, drawn=drawn, as_json=how.as_json)
