"""`gradbox fit`: learn a box from boxes."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import options as opt
from gradbox.cli.console import (
    say,
)
from gradbox.cli.grouped import grouped


@grouped
def fit(
    dataset: opt.DatasetText,
    out: Annotated[
        Path, typer.Option("--out", help="The regressor's file.", metavar="FILE.safetensors")
    ],
    model: opt.Model = None,
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
    *,
    data: opt.DataOptions,
    loading: opt.ModelOptions,
    how: opt.RunOptions,
) -> None:
    """Learn the map from heat maps to boxes, from images that have boxes.

    `gradbox fit csv:DIR --model card.toml --split 0.5/0.5 --part 1 --out box.safetensors`

    then use it on other images with `--box 'ridge(box.safetensors)'`.
    """
    from gradbox import pipeline
    from gradbox.grammar import Spec

    class_from, part, running = data.checked_class_from(), data.part(), how.running()
    opt.check_parts(method, box)
    regressor = pipeline.fit(
        opt.to_dataset(dataset),
        loading.classifier(model, methods=[method]),
        out,
        box=box,
        method=method,
        class_from=class_from,
        part=part,
        running=running,
    )
    origin = regressor.origin
    penalty = "" if origin.penalty is None else f", penalty {origin.penalty:.3g}"
    use = Spec(origin.kind.partition("(")[0], (str(out),), {})
    say(
        f"fitted {origin.kind} on {origin.n_boxes} boxes of {origin.n_images} images{penalty}; "
        f"use it with --box {shlex.quote(str(use))} and the same --model, --layer and --method",
    )
