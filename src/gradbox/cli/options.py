"""The options that commands share: what they are called, what `--help` says, what they become."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gradbox.cli.console import track, warn
from gradbox.errors import UsageError

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
        " `'ridge(FILE)'`, ...; see `gradbox list boxes`. `dam` makes its own box unless one is"
        " given.",
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
Masks = Annotated[
    bool, typer.Option(help="Also write the object's mask, which `dam` without a --box makes.")
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


def to_classifier(
    model: str, weights: str | None, layer: str | None, device: str, dtype: str
) -> Any:
    """The classifier of --model and its companions."""
    from gradbox.models.load import load_classifier

    return load_classifier(model, weights=weights, layer=layer, device=device, dtype=dtype)


def to_dataset(text: str) -> Any:
    """The data set of a text; its oddities become warnings."""
    from gradbox.datasets import load_dataset

    dataset = load_dataset(text)
    for problem in dataset.problems:
        warn(f"{dataset.spec}: {problem}")
    return dataset


def to_part(split: str | None, number: int, seed: int, limit: int | None) -> Any:
    """The part of --split, --part, --seed and --limit."""
    from gradbox.datasets import parse_split
    from gradbox.runs.evaluation import Part

    if split is None and number != 1:
        raise UsageError(f"--part {number} needs a --split, as in --split 0.5/0.5")
    shares = parse_split(split) if split else ()
    return Part(shares=shares, number=number, seed=seed, limit=limit)


def to_class_from(text: str | None) -> Any:
    """The value of --class-from, checked."""
    if text not in (None, "truth", "predicted", "none"):
        raise UsageError(f"--class-from {text}: use truth, predicted or none")
    return text


def to_running(
    batch_size: int,
    workers: int,
    overwrite: bool,
    pictures: bool = False,
    save_maps: Path | None = None,
    formats: str = "",
    masks: bool = False,
) -> Any:
    """How to run, with a progress bar."""
    from gradbox.runs.execution import Running

    return Running(
        batch_size=batch_size,
        workers=workers,
        overwrite=overwrite,
        pictures=pictures,
        masks=masks,
        save_maps=save_maps,
        formats=tuple(name for name in formats.split(",") if name not in ("", "jsonl")),
        track=track,
    )
