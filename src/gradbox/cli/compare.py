"""`gradbox compare`: several methods in one table."""

from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import (
    show_comparison,
)
from gradbox.cli.engine_options import EngineOptions
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import TileOptions


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
    out: opt.Place,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="As in `evaluate`, efficientnet_lite0 by default; may be given again.",
            metavar="SPEC",
        ),
    ] = None,
    min_score: opt.MinScore = None,
    proposals: opt.Proposals = None,
    *,
    data: opt.ScoreOptions,
    loading: mo.ModelOptions,
    tiles: TileOptions,
    how: opt.PictureOptions,
    engine: EngineOptions,
) -> None:
    """Score several methods on the same images, in one table: DIR/compare.json, DIR/report.html.

    `gradbox compare csv:DIR --model card.toml --run 'sensitivity | mass' --run dam --out table`

    Each run has a folder below DIR. A box that learns (`--run 'dam | ridge(features=quantiles)'`)
    is fitted on the other parts of --split. With --save-maps the maps are also scored by
    wsolevaluation's protocol. The same call goes on where an interrupted one stopped, also with
    more runs.
    """
    from gradbox.runs.comparison import MethodAndBox
    from gradbox.runs.comparison import compare as compare_runs

    class_from, part, running = (
        data.checked_class_from(),
        data.part(),
        how.running(**engine.running()),
    )
    asked = [MethodAndBox.of(text) for text in run]
    methods = [tiles.on_tiles(one.method) for one in asked]
    pairs = [(method, one.box) for method, one in zip(methods, asked, strict=True)]
    for pair in pairs:
        opt.check_parts(*pair, min_score)
    models: list[str | None] = [*model] if model else [None]
    report = compare_runs(
        opt.to_dataset(dataset),
        [loading.classifier(one, methods=methods) for one in models],
        out,
        runs=pairs,
        class_from=class_from,
        part=part,
        strict=not data.at_least,
        min_score=min_score,
        proposals=proposals,
        running=running,
    )
    metrics = report.metrics
    assert metrics is not None
    how.close(report, lambda: show_comparison(metrics))
