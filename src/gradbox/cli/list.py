"""`gradbox list`: what can be named."""

from typing import Annotated

import typer
from rich.table import Table

from gradbox.cli.console import (
    cell,
    out_console,
)


def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            help="methods, boxes, datasets, formats, models, or layers (with --model)",
            metavar="WHAT",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="For `list layers`.", metavar="SPEC")] = None,
) -> None:
    """List the methods, box estimators, data sets, formats and models, or a model's layers."""
    from gradbox.cli import listing

    for title, rows in listing.rows(what, model).items():
        table = Table(title=title, title_justify="left", show_header=False, box=None)
        for row in rows:
            table.add_row(*map(cell, row))
        out_console.print(table)
