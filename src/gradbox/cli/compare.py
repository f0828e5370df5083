"""`gradbox compare`: several methods in one table."""

from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    close,
    show_comparison,
)
from gradbox.cli.grouped import grouped


@grouped
def compare(
    dataset: opt.DatasetText,
    run: Annotated[
        list[str],
        typer.Option(
            help="A method and a way to a box, or a method alone, as in `'sensitivity | mass'`,"
            " `'dam | ridge(features=quantiles)'` or `dam`; give it once for each.",
            metavar="'METHOD | BOX'",
        ),
    ],
    out: opt.Out,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="As in `evaluate`, efficientnet_lite0 by default; may be given again.",
            metavar="SPEC",
        ),
    ] = None,
    *,
    data: opt.ScoreOptions,
    loading: opt.ModelOptions,
    how: opt.PictureOptions,
) -> None:
    """Score several methods on the same images, in one table: DIR/compare.json, DIR/report.html.

    `gradbox compare csv:DIR --model card.toml --run 'sensitivity | mass' --run dam --out table`

    Each run has a folder below DIR. A box that learns (`--run 'dam | ridge(features=quantiles)'`)
    is fitted on the other parts of --split. With --save-maps the maps are also scored by
    wsolevaluation's protocol. The same call goes on where an interrupted one stopped, also with
    more runs.
    """
    from gradbox.runs.comparison import compare as compare_runs

    report = compare_runs(
        opt.to_dataset(dataset),
        [loading.classifier(one) for one in model] if model else [loading.classifier(None)],
        out,
        runs=run,
        class_from=data.checked_class_from(),
        part=data.part(),
        strict=not data.at_least,
        running=how.running(),
    )
    assert report.metrics is not None
    show_comparison(report.metrics)
    close(report)
