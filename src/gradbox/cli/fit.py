"""`gradbox fit`: learn from boxes."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import out_console, say
from gradbox.cli.engine_options import EngineOptions
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import ForegroundOptions

if TYPE_CHECKING:
    from gradbox.auto.fitted import Fitted, Rung
    from gradbox.estimators.learned import Regressor


@grouped
def fit(
    dataset: opt.DatasetText,
    out: Annotated[
        Path, typer.Option("--out", help="The file of what is learned.", metavar="FILE.safetensors")
    ],
    model: mo.Model = None,
    method: opt.MethodSpec = "auto",
    box: Annotated[
        str | None,
        typer.Option(
            "--box",
            help="What to fit: `auto`, which is usual for the method `auto`; for any method"
            " `'ridge(features=quantiles)'`, the paper's `'ridge(grid=14)'`, or `sgd` with the same"
            " options.",
            metavar="SPEC",
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            help="Keep what a ridge or sgd is fitted on in this folder, or s3://..., for another"
            " fit. Otherwise it stands beside --out until the fit is done; a call that was stopped"
            " goes on from there.",
            metavar="DIR",
        ),
    ] = None,
    *,
    boxed: ForegroundOptions,
    data: opt.DataOptions,
    loading: mo.ModelOptions,
    engine: EngineOptions,
    how: opt.RunOptions,
) -> None:
    """Learn from images that have boxes, ten or more.

    `gradbox fit csv:DIR --model card.toml --split 0.5/0.5 --part 1 --out fit.safetensors`

    then use it on other images with `--method 'auto(fitted=fit.safetensors)'`. Each step is scored
    on images that it was not fitted on, and taken only where it gains. With `--box ridge` the map
    from heat maps to boxes is learned, for `--box 'ridge(fit.safetensors)'`.
    """
    from gradbox import pipeline
    from gradbox.auto.fitted import Fitted

    class_from, part, running = (
        data.checked_class_from(),
        data.part(),
        how.running(**engine.running()),
    )
    method = boxed.with_foreground(method)
    opt.check_parts(method, box)
    found = pipeline.fit(
        opt.to_dataset(dataset),
        loading.classifier(model, methods=[method]),
        out,
        box=box,
        method=method,
        class_from=class_from,
        part=part,
        running=running,
        rows=rows,
    )
    if isinstance(found, Fitted):
        _say_fitted(found, method, out)
    else:
        _say_regressor(found, out)


def _say_fitted(found: "Fitted", method: str, out: Path) -> None:
    _show_rungs(found)
    taken = ", ".join(one.name for one in found.rungs[1:] if one.taken)
    say(
        f"fitted {taken or 'nothing, auto stays as it is,'} by {found.origin.n_boxes} boxes of "
        f"{found.origin.n_images} images; use it with --method "
        f"{shlex.quote(_with_fitted(method, out))} and the same --model"
    )


def _show_rungs(found: "Fitted") -> None:
    from rich.table import Table

    table = Table(title=f"cross-validated on {found.origin.n_images} images")
    left = ("step", "taken")
    columns = ("step", "CorLoc %", "mean IoU", "calibration error", "gain", "std. error", "taken")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    for rung in found.rungs:
        gain, error = ("" if one is None else f"{one:.4f}" for one in (rung.gain, rung.error))
        scores = f"{100 * rung.corloc:.1f}", f"{rung.mean_iou:.4f}", f"{rung.calibration_error:.3f}"
        table.add_row(rung.name, *scores, gain, error, _why(rung))
    out_console.print(table)


def _why(rung: "Rung") -> str:
    if rung.gain is None or rung.error is None:
        return ""
    if rung.taken:
        return "yes"
    return "no: no gain" if rung.gain <= 0 else "no: the gain may be chance"


def _with_fitted(method: str, out: Path) -> str:
    """The method as it is typed to use the file: what the file does not have stays."""
    from dataclasses import fields

    from gradbox.auto.method import Auto
    from gradbox.grammar import Spec
    from gradbox.methods import to_method

    auto, usual = to_method(method), Auto()
    assert isinstance(auto, Auto)
    used = auto.with_fitted(out)
    given = {one.name: getattr(used, one.name) for one in fields(used)}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    return str(Spec("auto", (), changed))


def _say_regressor(found: "Regressor", out: Path) -> None:
    from gradbox.grammar import Spec

    origin = found.origin
    penalty = "" if origin.penalty is None else f", penalty {origin.penalty:.3g}"
    use = Spec(origin.kind.partition("(")[0], (str(out),), {})
    say(
        f"fitted {origin.kind} on {origin.n_boxes} boxes of {origin.n_images} images{penalty}; "
        f"use it with --box {shlex.quote(str(use))} and the same --model, --layer and --method",
    )
