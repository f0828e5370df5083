"""`gradbox demo`: the main job on what is built in."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import say, show_comparison, warn
from gradbox.errors import UsageError


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the results; made anew.", metavar="DIR")
    ] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="More scenes, and more ways from map to box.")
    ] = False,
) -> None:
    """Show what gradbox does, without any download: photographs with boxes, scenes with scores.

    `gradbox demo`, then open DIR/photographs.jpg and DIR/report.html

    The photographs are under free terms and come with scikit-image and scikit-learn; the built-in
    classifier of ImageNet's classes locates in them (`pip install 'gradbox[demo]'`). The scenes are
    generated, so every box is known; their classifier was trained on image labels of other scenes.
    """
    from gradbox.cli.preview import table
    from gradbox.demo.photographs import NAMED, show_photographs
    from gradbox.demo.scenes import COUNT, FULL_COUNT, show_scenes
    from gradbox.results.finished import read_run

    running = opt.RunOptions(overwrite=True).running()
    to_open = []
    say("1. photographs: the recognized class, its box, and how much the method trusts the box")
    try:
        photographs = show_photographs(out, running)
    except UsageError as error:
        warn(f"left out: {error}")
    else:
        reports = [r for r in (photographs.recognized, photographs.named) if r is not None]
        found = [(one.image_id, one.found) for r in reports for one in read_run(r.folder)]
        show = table([image_id for image_id, _ in found])
        for image_id, localization in found:
            show(image_id, localization)
        if photographs.named is not None:
            say(f"the last row was asked for: --label '{NAMED[1]}'")
        to_open.append(photographs.sheet)
    say("2. generated scenes: how good the boxes are, beside boxes that see no image")
    scenes = show_scenes(out, running, count=FULL_COUNT if full else COUNT, full=full)
    assert scenes.comparison.metrics is not None
    show_comparison(scenes.comparison.metrics)
    say("only the runs with boxes in the column `supervision` have seen a box")
    say(f"open: {'   '.join(map(str, [*to_open, out / 'report.html', scenes.pictures]))}")
