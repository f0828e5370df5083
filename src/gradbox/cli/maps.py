"""`gradbox maps`: one photograph under several heat maps."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import say, track
from gradbox.cli.grouped import grouped


@grouped
def maps(
    photograph: Annotated[str, typer.Argument(help="An image: a path or a URL.")],
    model: mo.Model = None,
    out: Annotated[
        Path, typer.Option("--out", help="The picture, .jpg or .png.", metavar="FILE")
    ] = Path("maps.jpg"),
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method with a heat map, as of `locate`; may be given again. Without it: all"
            " that cost at most 50 passes.",
            metavar="SPEC",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The class, by name, wnid or index; else the recognized one.")
    ] = None,
    *,
    loading: mo.ModelOptions,
) -> None:
    """Draw one photograph under several heat maps, side by side.

    `gradbox maps cat.jpg` or `gradbox maps cat.jpg --method gradcam --method dam --label tabby`
    """
    from gradbox.reports.drawing import check_picture, save_picture
    from gradbox.runs.map_sheet import MAPS, map_sheet

    check_picture(out)
    chosen = method or MAPS
    for one in chosen:
        opt.check_parts(one, None)
    classifier = loading.classifier(model, methods=chosen)
    save_picture(out, map_sheet(photograph, classifier, methods=chosen, label=label, track=track))
    say(f"{photograph} under its maps: {out}")
