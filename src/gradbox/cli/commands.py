"""The commands: parse, call `pipeline`, render. No logic of their own."""

import os
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from gradbox.cli import options as opt
from gradbox.cli.console import (
    close,
    counter,
    out_console,
    say,
    show_comparison,
    show_scores,
    track,
    warn,
)

app = typer.Typer(
    help="Boxes without box labels: any image classifier, your images, boxes and an honest score.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool | None) -> None:
    if asked:
        say(f"gradbox {version('gradbox')}")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool | None,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_version, is_eager=True
        ),
    ] = None,
) -> None:
    pass


@app.command()
def locate(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders of images.")],
    model: opt.Model,
    out: opt.Out,
    method: opt.MethodSpec = "sensitivity",
    box: opt.BoxSpec = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A class to locate, by name, wnid or index; may be given again."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Locate the N most probable classes.", min=1)
    ] = None,
    near_top: Annotated[
        float | None,
        typer.Option(help="Also all classes with at least R times the best probability."),
    ] = None,
    weights: opt.Weights = None,
    layer: opt.Layer = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    batch_size: opt.BatchSize = 16,
    workers: opt.Workers = 2,
    formats: opt.Formats = "",
    pictures: opt.Pictures = False,
    masks: opt.Masks = False,
    save_maps: opt.SaveMaps = None,
    overwrite: opt.Overwrite = False,
) -> None:
    """Find objects in images: boxes into DIR/predictions.jsonl.

    `gradbox locate photos/ --model torchvision/resnet50 --out boxes --pictures`

    The class is the recognized one unless --label, --top or --near-top say otherwise. The same
    call again goes on where an interrupted one stopped.
    """
    from gradbox import pipeline
    from gradbox.images import find_images
    from gradbox.localization import Selection

    selection = Selection(top=top or 1, near_top=near_top) if top or near_top else None
    report = pipeline.locate(
        find_images(paths),
        opt.to_classifier(model, weights, layer, device, dtype),
        out,
        method=method,
        box=box,
        labels=label or [],
        selection=selection,
        running=opt.to_running(batch_size, workers, overwrite, pictures, save_maps, formats, masks),
    )
    close(report)


@app.command()
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


@app.command()
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
    from gradbox.comparison import compare as compare_runs

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


@app.command()
def fit(
    dataset: opt.DatasetText,
    model: opt.Model,
    out: Annotated[
        Path, typer.Option("--out", help="The regressor's file.", metavar="FILE.safetensors")
    ],
    method: opt.MethodSpec = "sensitivity",
    box: Annotated[
        str,
        typer.Option(
            "--box",
            help="What to fit: `'ridge(features=quantiles)'`, the paper's `'ridge(grid=14)'`, or"
            " `sgd` with the same options.",
            metavar="SPEC",
        ),
    ] = "ridge(features=quantiles)",
    class_from: opt.ClassFromOption = None,
    split: opt.Split = None,
    part: opt.PartNumber = 1,
    seed: opt.Seed = 0,
    limit: opt.Limit = None,
    weights: opt.Weights = None,
    layer: opt.Layer = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    batch_size: opt.BatchSize = 16,
    workers: opt.Workers = 2,
    overwrite: opt.Overwrite = False,
) -> None:
    """Learn the map from heat maps to boxes, from images that have boxes.

    `gradbox fit csv:DIR --model card.toml --split 0.5/0.5 --part 1 --out box.safetensors`

    then use it on other images with `--box 'ridge(box.safetensors)'`.
    """
    from gradbox import pipeline
    from gradbox.specs import Spec

    regressor = pipeline.fit(
        opt.to_dataset(dataset),
        opt.to_classifier(model, weights, layer, device, dtype),
        out,
        box=box,
        method=method,
        class_from=opt.to_class_from(class_from),
        part=opt.to_part(split, part, seed, limit),
        running=opt.to_running(batch_size, workers, overwrite),
    )
    origin = regressor.origin
    penalty = "" if origin.penalty is None else f", penalty {origin.penalty:.3g}"
    use = Spec(origin.kind.partition("(")[0], (str(out),), {})
    say(
        f"fitted {origin.kind} on {origin.n_boxes} boxes of {origin.n_images} images{penalty}; "
        f"use it with --box {shlex.quote(str(use))} and the same --model, --layer and --method",
    )


@app.command(name="list")
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
    from gradbox import listing

    for title, rows in listing.rows(what, model).items():
        table = Table(title=title, title_justify="left", show_header=False, box=None)
        for row in rows:
            table.add_row(*map(escape, row))
        out_console.print(table)


@app.command()
def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of class folders, csv:DIR, a table FILE.csv (image,label), or scenes:N.",
            metavar="DIR",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model.", metavar="DIR")],
    arch: Annotated[str, typer.Option(help="small, torchvision/NAME or timm/NAME.")] = "small",
    size: Annotated[int | None, typer.Option(help="Side of the square input.", min=16)] = None,
    epochs: Annotated[int, typer.Option(help="At most so many passes.", min=1)] = 30,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    validation: Annotated[float, typer.Option(help="Share of each class held out.")] = 0.2,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without gain.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 0,
    weights: Annotated[
        str | None, typer.Option(help="A file to start from, or `untrained`.", metavar="FILE")
    ] = None,
    freeze: Annotated[bool, typer.Option(help="Train only the new head.")] = False,
    device: opt.Device = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    overwrite: opt.Overwrite = False,
) -> None:
    """Train a classifier from image labels alone; boxes are never read.

    `gradbox train photos/ --arch torchvision/resnet18 --out model`

    then `gradbox locate ... --model model/model.toml`. The same call goes on after Ctrl-C.
    """
    from gradbox.train import train as run
    from gradbox.training.records import TrainingOptions

    report = run(
        source,
        out=out,
        options=TrainingOptions(
            arch=arch,
            size=size,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            validation=validation,
            patience=patience,
            seed=seed,
            weights=weights,
            freeze=freeze,
            dtype=dtype,
        ),
        device=device,
        overwrite=overwrite,
        track=track,
        on_epoch=lambda epoch: say(
            f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, "
            f"held out: loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.1f} %"
        ),
    )
    for line in report.skipped:
        warn(line)
    say(f"accuracy {100 * report.accuracy:.1f} % on held-out images: --model {report.card}")


@app.command()
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


@app.command()
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
        running=opt.to_running(16, 2, overwrite=True),
    )
    assert shown.comparison.metrics is not None
    show_comparison(shown.comparison.metrics)
    say("only the runs with boxes in the column `supervision` have seen a box")
    say(f"report: {out / 'report.html'}   pictures: {shown.pictures}")
    if shown.photographs is not None and shown.photographs.metrics is not None:
        show_scores(shown.photographs.metrics)
        say(f"pictures of photographs: {shown.photographs.folder / 'pictures'}")
