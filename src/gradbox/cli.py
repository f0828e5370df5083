"""The command line: parse, call `pipeline`, render. No logic of its own."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from gradbox.errors import UsageError

app = typer.Typer(
    help="Boxes without box labels: any image classifier, your images, boxes and an honest score.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
out_console = Console()
err_console = Console(stderr=True)

Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="torchvision/NAME, timm/NAME, path/file.py:function, or a model card (TOML). A card or"
        " a .py file runs the code it names.",
        metavar="SPEC",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(help="A weights file in place of the usual one, or `untrained`.", metavar="FILE"),
]
Layer = Annotated[
    str | None,
    typer.Option(
        help="Layer to look into, in place of the last convolutional one.", metavar="NAME"
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps or auto.")]
Dtype = Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")]
MethodSpec = Annotated[
    str,
    typer.Option(
        "--method",
        help="For instance `sensitivity` or `'sensitivity(target=layer_mean, reduce=max)'`;"
        " see `gradbox list methods`.",
        metavar="SPEC",
    ),
]
BoxSpec = Annotated[
    str | None,
    typer.Option(
        "--box",
        help="From map to box: `mass` (the default), `'top_fraction(0.2, sigma=20)'`,"
        " `'ridge(FILE)'`, ...; see `gradbox list boxes`.",
        metavar="SPEC",
    ),
]
ClassFromOption = Annotated[
    str | None,
    typer.Option(
        "--class-from",
        help="truth (GT-known), predicted, or none (attention map; the head is not run).",
        metavar="truth|predicted|none",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="Sizes of the parts of a random split, as 0.5/0.5.", metavar="A/B/..."),
]
PartNumber = Annotated[int, typer.Option("--part", help="Which part of the split, from 1.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of the split and of --limit.")]
Limit = Annotated[int | None, typer.Option(help="Use a random sample of this many images.", min=1)]
BatchSize = Annotated[int, typer.Option(help="Images in one pass.", min=1)]
Workers = Annotated[int, typer.Option(help="Threads that decode images.", min=1)]
Overwrite = Annotated[bool, typer.Option(help="Replace what another call left in --out.")]
Pictures = Annotated[
    bool, typer.Option(help="Also draw each image: truth green, prediction red, the map beside.")
]
SaveMaps = Annotated[
    Path | None, typer.Option(help="Also write the heat maps to this folder.", metavar="DIR")
]
Formats = Annotated[
    str,
    typer.Option("--format", help="Also write csv,coco,yolo,voc,labelstudio (with commas)."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.", metavar="DIR")]
DatasetText = Annotated[
    str,
    typer.Argument(
        help="csv:DIR, voc:DIR@2007/test, imagenet:DIR@val|loc|folders, cub:DIR,"
        " coco:IMAGES@FILE.json, folder:DIR or scenes:N",
        metavar="DATASET",
    ),
]


@app.command()
def locate(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders of images.")],
    model: Model,
    out: Out,
    method: MethodSpec = "sensitivity",
    box: BoxSpec = None,
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
    weights: Weights = None,
    layer: Layer = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 16,
    workers: Workers = 2,
    formats: Formats = "",
    pictures: Pictures = False,
    save_maps: SaveMaps = None,
    overwrite: Overwrite = False,
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
        _classifier(model, weights, layer, device, dtype),
        out,
        method=method,
        box=box,
        labels=label or [],
        selection=selection,
        running=_running(batch_size, workers, overwrite, pictures, save_maps, formats),
    )
    _close(report)


@app.command()
def evaluate(
    dataset: DatasetText,
    model: Model,
    out: Out,
    method: MethodSpec = "sensitivity",
    box: BoxSpec = None,
    class_from: ClassFromOption = None,
    split: Split = None,
    part: PartNumber = 1,
    seed: Seed = 0,
    limit: Limit = None,
    at_least: Annotated[
        bool, typer.Option(help="Count IoU >= 0.5 as a hit; the default is > 0.5.")
    ] = False,
    weights: Weights = None,
    layer: Layer = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 16,
    workers: Workers = 2,
    formats: Formats = "",
    pictures: Pictures = False,
    save_maps: SaveMaps = None,
    overwrite: Overwrite = False,
) -> None:
    """Localize a data set and score it against its boxes: DIR/metrics.json.

    `gradbox evaluate csv:DIR --model card.toml --class-from truth --out scores`

    Constant boxes are scored on the same images: a method that does not beat them has found
    nothing. A regressor (`--box 'ridge(FILE)'`) is refused on images it was fitted on.
    """
    from gradbox import pipeline

    report = pipeline.evaluate(
        _dataset(dataset),
        _classifier(model, weights, layer, device, dtype),
        out,
        method=method,
        box=box,
        class_from=_class_from(class_from),
        part=_part(split, part, seed, limit),
        strict=not at_least,
        running=_running(batch_size, workers, overwrite, pictures, save_maps, formats),
    )
    assert report.metrics is not None
    _scores(report.metrics, method)
    _close(report)


@app.command()
def fit(
    dataset: DatasetText,
    model: Model,
    out: Annotated[
        Path, typer.Option("--out", help="The regressor's file.", metavar="FILE.safetensors")
    ],
    method: MethodSpec = "sensitivity",
    box: Annotated[
        str,
        typer.Option(
            "--box",
            help="What to fit: `'ridge(grid=14)'` or `'sgd(grid=14)'`.",
            metavar="SPEC",
        ),
    ] = "ridge(grid=14)",
    class_from: ClassFromOption = None,
    split: Split = None,
    part: PartNumber = 1,
    seed: Seed = 0,
    limit: Limit = None,
    weights: Weights = None,
    layer: Layer = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 16,
    workers: Workers = 2,
    overwrite: Overwrite = False,
) -> None:
    """Learn the map from heat maps to boxes, from images that have boxes.

    `gradbox fit csv:DIR --model card.toml --split 0.5/0.5 --part 1 --out box.safetensors`

    then use it on other images with `--box 'ridge(box.safetensors)'`.
    """
    from gradbox import pipeline

    regressor = pipeline.fit(
        _dataset(dataset),
        _classifier(model, weights, layer, device, dtype),
        out,
        box=box,
        method=method,
        class_from=_class_from(class_from),
        part=_part(split, part, seed, limit),
        running=_running(batch_size, workers, overwrite),
    )
    origin = regressor.origin
    penalty = "" if origin.penalty is None else f", penalty {origin.penalty:.3g}"
    out_console.print(
        f"fitted {origin.kind} on {origin.n_boxes} boxes of {origin.n_images} images{penalty}; "
        f"use it with --box 'ridge({out})' and the same --model and --method",
        markup=False,
        soft_wrap=True,
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


def main() -> NoReturn:
    """Run the command line; the exit code says how it went."""
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        _complain(str(error))
        code = 2
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        _complain("stopped; what was done is kept: the same call goes on from there")
        code = 130
    except Exception as error:
        if not _is_click_error(error):
            raise
        error.show()  # type: ignore[attr-defined]
        code = 2
    sys.exit(code or 0)


def _is_click_error(error: Exception) -> bool:
    return hasattr(error, "show") and hasattr(error, "exit_code")


def _complain(message: str) -> None:
    err_console.print(
        f"gradbox: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def _classifier(model: str, weights: str | None, layer: str | None, device: str, dtype: str) -> Any:
    from gradbox.models import load_classifier

    return load_classifier(model, weights=weights, layer=layer, device=device, dtype=dtype)


def _dataset(text: str) -> Any:
    from gradbox.datasets import load

    dataset = load(text)
    for problem in dataset.problems:
        err_console.print(
            f"{dataset.spec}: {problem}", style="yellow", markup=False, soft_wrap=True
        )
    return dataset


def _part(split: str | None, number: int, seed: int, limit: int | None) -> Any:
    from gradbox.datasets import parse_split
    from gradbox.pipeline import Part

    if split is None and number != 1:
        raise UsageError(f"--part {number} needs a --split, as in --split 0.5/0.5")
    shares = parse_split(split) if split else ()
    return Part(shares=shares, number=number, seed=seed, limit=limit)


def _class_from(text: str | None) -> Any:
    if text not in (None, "truth", "predicted", "none"):
        raise UsageError(f"--class-from {text}: use truth, predicted or none")
    return text


def _running(
    batch_size: int,
    workers: int,
    overwrite: bool,
    pictures: bool = False,
    save_maps: Path | None = None,
    formats: str = "",
) -> Any:
    from gradbox.execution import Running

    return Running(
        batch_size=batch_size,
        workers=workers,
        overwrite=overwrite,
        pictures=pictures,
        save_maps=save_maps,
        formats=tuple(name for name in formats.split(",") if name not in ("", "jsonl")),
        track=_track,
    )


def _track(groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err_console) as progress:
        task = progress.add_task(title, total=count)
        for group in groups:
            yield group
            size: Callable[[Any], int] = len
            progress.advance(task, size(getattr(group, "found", group)))


def _scores(metrics: Mapping[str, Any], method: str) -> None:
    table = Table(title=f"{metrics['n_units']} units of {metrics['n_images']} images")
    for column in ("box", "CorLoc %", "95 % interval", "mean IoU", "centre in box %"):
        table.add_column(column, justify="left" if column == "box" else "right")
    rows = {f"{method} (supervision: {metrics['supervision']})": metrics, **metrics["baselines"]}
    for name, row in rows.items():
        low, high = row["corloc_interval"]
        table.add_row(
            escape(name + (" (oracle)" if row.get("oracle") else "")),
            f"{100 * row['corloc']:.1f}",
            "" if low is None else f"{100 * low:.1f} to {100 * high:.1f}",
            f"{row['mean_iou']:.4f}",
            f"{100 * row['center_correctness']['0.00']:.1f}",
        )
    out_console.print(table)


def _close(report: Any) -> None:
    """Say what failed and where the results are; exit with 1 if some images failed."""
    for image, reason in report.failures.items():
        _complain(f"{image}: {reason}")
    done = report.n_images - len(report.failures)
    out_console.print(
        f"{done} of {report.n_images} images done: {report.folder}", soft_wrap=True, markup=False
    )
    if report.failures:
        raise typer.Exit(1)
