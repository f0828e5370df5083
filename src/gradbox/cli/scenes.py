"""`gradbox scenes`: generated pictures on disk."""

from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    counter,
    say,
)


def scenes(
    count: Annotated[int, typer.Argument(help="How many scenes.", min=1)],
    out: opt.Out,
    seed: Annotated[int, typer.Option(help="Scene i of a seed is always the same.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the square pictures.", min=48)] = 224,
    objects: Annotated[int, typer.Option(help="Up to so many objects a scene.", min=1)] = 1,
) -> None:
    """Draw pictures with exact boxes and masks, to try things out on.

    `gradbox scenes 1000 --out scenes` then `gradbox evaluate csv:scenes ...`
    """
    from gradbox.datasets.scenes import write

    with counter(count, "drawing") as progress:
        write(out, count, seed=seed, size=(size, size), objects=objects, progress=progress)
    say(f"{count} scenes with boxes and masks: csv:{out}")
