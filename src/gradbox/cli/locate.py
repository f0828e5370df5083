"""`gradbox locate`: boxes of images and folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import out_console, show_classes, steps
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import ForegroundOptions, TileOptions
from gradbox.errors import UsageError

if TYPE_CHECKING:
    from gradbox.localization import Selection


@grouped
def locate(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders of images.")],
    model: mo.Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for the results; without it they are shown only.", metavar="DIR"
        ),
    ] = None,
    method: opt.MethodSpec = "auto",
    box: opt.BoxSpec = "auto",
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
    above: Annotated[
        str | None,
        typer.Option(
            help="Every class with at least this probability, or with `thresholds` that of the"
            " model card for each.",
            metavar="P",
        ),
    ] = None,
    min_score: opt.MinScore = None,
    proposals: opt.Proposals = None,
    *,
    loading: mo.ModelOptions,
    boxed: ForegroundOptions,
    tiles: TileOptions,
    how: opt.FormatOptions,
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

    The class is the recognized one, or of a network that judges each class for itself every one
    that is there, unless --label, --top, --near-top or --above say otherwise. The same call again
    goes on where an interrupted one stopped.
    """
    from gradbox import pipeline
    from gradbox.cli.preview import preview
    from gradbox.images.find import find_images
    from gradbox.methods import is_calibrated, to_method
    from gradbox.runs.plan import settled

    samples = find_images(paths, apart_from=out)
    method = tiles.on_tiles(boxed.with_foreground(method))
    asked: Any = {
        "method": method,
        "box": box,
        "labels": label or [],
        "proposals": proposals,
        "selection": _selection(top, near_top, above),
        "min_score": min_score,
    }
    opt.check_parts(method, box, min_score)
    if out is not None:
        if show:
            raise UsageError("--show is for a call without --out: --pictures draws into DIR")
        running = how.running()
        classifier = loading.classifier(model, methods=[method])
        report = pipeline.locate(samples, classifier, out, running=running, **asked)
        how.close(report, lambda: show_classes(report))
        return
    how.refuse_without_folder()
    drawn = show or (len(samples) == 1 and out_console.is_terminal)
    classifier = settled(loading.classifier(model, methods=[method]), lambda: samples)
    found = pipeline.localize(
        samples,
        classifier,
        batch_size=how.batch_size,
        workers=how.threads,
        details=drawn,
        **asked,
    )
    with steps():
        preview(
            samples,
            found,
            classifier,
            drawn=drawn,
            as_json=how.as_json,
            is_calibrated=is_calibrated(to_method(method), box),
        )


def _selection(top: int | None, near_top: float | None, above: str | None) -> "Selection | None":
    from gradbox.localization import Selection

    if above is None:
        chosen = top is not None or near_top is not None
        return Selection(top=top or 1, near_top=near_top) if chosen else None
    if top is not None:
        raise UsageError("--above takes all classes that are there: leave out --top")
    if above == "thresholds":
        return Selection(near_top=near_top, above="thresholds")
    try:
        return Selection(near_top=near_top, above=float(above))
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"--above {above}: a probability, 0 < P < 1, or thresholds") from error
