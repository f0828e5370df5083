"""`gradbox evaluate`: boxes of a data set, and their score."""

from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    close,
    show_scores,
)


def evaluate(
    dataset: opt.DatasetText,
    model: opt.Model,
    out: opt.Out,
    method: opt.MethodSpec = "sensitivity",
    box: opt.BoxSpec = None,
    class_from: opt.ClassFromOption = None,
    split: opt.Split = None,
    part: opt.PartNumber = 1,
    seed: opt.Seed = 0,
    limit: opt.Limit = None,
    at_least: Annotated[
        bool, typer.Option(help="Count IoU >= 0.5 as a hit; the default is > 0.5.")
    ] = False,
    weights: opt.Weights = None,
    layer: opt.Layer = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    batch_size: opt.BatchSize = 16,
    workers: opt.Workers = 2,
    formats: opt.Formats = "",
    pictures: opt.Pictures = False,
    save_maps: opt.SaveMaps = None,
    overwrite: opt.Overwrite = False,
) -> None:
    """Localize a data set and score it against its boxes: DIR/metrics.json.

    `gradbox evaluate csv:DIR --model card.toml --class-from truth --out scores`

    Constant boxes are scored on the same images: a method that does not beat them has found
    nothing. A regressor (`--box 'ridge(FILE)'`) is refused on images it was fitted on.
    """
    from gradbox import pipeline

    report = pipeline.evaluate(
        opt.to_dataset(dataset),
        opt.to_classifier(model, weights, layer, device, dtype),
        out,
        method=method,
        box=box,
        class_from=opt.to_class_from(class_from),
        part=opt.to_part(split, part, seed, limit),
        strict=not at_least,
        running=opt.to_running(batch_size, workers, overwrite, pictures, save_maps, formats),
    )
    assert report.metrics is not None
    if report.metrics["n_units"]:
        show_scores(report.metrics)
    close(report)
