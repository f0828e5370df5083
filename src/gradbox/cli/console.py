"""What the command line shows: progress, tables, complaints."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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

out_console = Console()
err_console = Console(stderr=True)


def say(message: str) -> None:
    """One line of result."""
    out_console.print(message, markup=False, highlight=False, soft_wrap=True)


def warn(message: str) -> None:
    """One line about an oddity that does not stop the run."""
    err_console.print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """One line about what went wrong."""
    line = f"gradbox: {message}"
    err_console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def track(groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
    """A progress bar on stderr over groups of images; a `progress.Track`."""
    done = 0
    with counter(count, title) as show:
        for group in groups:
            yield group
            done += len(group)
            show(done)


@contextmanager
def counter(count: int, title: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr that is told how many are done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err_console) as progress:
        task = progress.add_task(title, total=count)
        yield lambda done: progress.update(task, completed=done)


def show_scores(metrics: Mapping[str, Any], method: str) -> None:
    """The headline numbers of an evaluation, the constant boxes below."""
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


def close(report: Any) -> None:
    """Say what failed and where the results are; exit with 1 if some images failed."""
    for image, reason in report.failures.items():
        complain(f"{image}: {reason}")
    done = report.n_images - len(report.failures)
    out_console.print(
        f"{done} of {report.n_images} images done: {report.folder}", soft_wrap=True, markup=False
    )
    if report.failures:
        raise typer.Exit(1)
