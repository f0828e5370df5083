"""`gradbox evaluate`: boxes of a data set, and their score."""

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import (
    show_scores,
)
from gradbox.cli.engine_options import EngineOptions
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import ForegroundOptions, TileOptions


@grouped
def evaluate(
    dataset: opt.DatasetText,
    out: opt.Place,
    model: mo.Model = None,
    method: opt.MethodSpec = "auto",
    box: opt.BoxSpec = "auto",
    min_score: opt.MinScore = None,
    proposals: opt.Proposals = None,
    *,
    data: opt.ScoreOptions,
    loading: mo.ModelOptions,
    boxed: ForegroundOptions,
    tiles: TileOptions,
    how: opt.FormatOptions,
    engine: EngineOptions,
) -> None:
    """Localize a data set and score it against its boxes: DIR/metrics.json.

    `gradbox evaluate csv:DIR --model card.toml --class-from truth --out scores`

    Constant boxes are scored on the same images: a method that does not beat them has found
    nothing. A regressor (`--box 'ridge(FILE)'`) is refused on images it was fitted on.
    """
    from gradbox import pipeline

    class_from, part, running = (
        data.checked_class_from(),
        data.part(),
        how.running(**engine.running()),
    )
    method = tiles.on_tiles(boxed.with_foreground(method))
    opt.check_parts(method, box, min_score)
    report = pipeline.evaluate(
        opt.to_dataset(dataset),
        loading.classifier(model, methods=[method]),
        out,
        method=method,
        box=box,
        class_from=class_from,
        part=part,
        strict=not data.at_least,
        min_score=min_score,
        proposals=proposals,
        running=running,
    )
    metrics = report.metrics
    assert metrics is not None
    how.close(report, lambda: show_scores(metrics) if metrics["n_units"] else None)
