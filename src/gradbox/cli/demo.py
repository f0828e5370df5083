"""`gradbox demo`: the main job on what is built in."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    say,
    show_comparison,
    show_scores,
)


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the results; made anew.", metavar="DIR")
    ] = Path("demo"),
    count: Annotated[int, typer.Option(help="How many scenes; half are scored.", min=20)] = 400,
) -> None:
    """Show the main job on generated scenes, without any download: DIR/report.html and pictures.

    `gradbox demo`

    The classifier was trained on image labels of other scenes. Where GRADBOX_ASSETS names a folder
    with model cards and photographs, photographs are located, too.
    """
    from gradbox.demo import demo as show

    assets = os.environ.get("GRADBOX_ASSETS")
    shown = show(
        out,
        count=count,
        assets=Path(assets) if assets else None,
        running=opt.RunOptions(overwrite=True).running(),
    )
    assert shown.comparison.metrics is not None
    show_comparison(shown.comparison.metrics)
    say("only the runs with boxes in the column `supervision` have seen a box")
    say(f"report: {out / 'report.html'}   pictures: {shown.pictures}")
    if shown.photographs is not None and shown.photographs.metrics is not None:
        show_scores(shown.photographs.metrics)
        say(f"pictures of photographs: {shown.photographs.folder / 'pictures'}")
