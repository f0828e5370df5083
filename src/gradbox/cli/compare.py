"""`gradbox compare`: several methods in one table."""

from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    close,
    show_comparison,
)


def compare(
    dataset: opt.DatasetText,
    model: Annotated[
        list[str],
        typer.Option(
            help="torchvision/NAME, timm/NAME, path/file.py:function, or a model card; may be given"
            " again.",
            metavar="SPEC",
        ),
    ],
    run: Annotated[
        list[str],
        typer.Option(
            help="A method and a way to a box, or a method alone, as in `'sensitivity | mass'`,"
            " `'dam | ridge(features=quantiles)'` or `dam`; give it once for each.",
            metavar="'METHOD | BOX'",
        ),
    ],
    out: opt.Out,
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
    pictures: opt.Pictures = False,
    save_maps: opt.SaveMaps = None,
    overwrite: opt.Overwrite = False,
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
        [opt.to_classifier(one, weights, layer, device, dtype) for one in model],
        out,
        runs=run,
        class_from=opt.to_class_from(class_from),
        part=opt.to_part(split, part, seed, limit),
        strict=not at_least,
        running=opt.to_running(batch_size, workers, overwrite, pictures, save_maps),
    )
    assert report.metrics is not None
    show_comparison(report.metrics)
    close(report)
