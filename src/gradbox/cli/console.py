"""What the command line shows: progress, tables, complaints."""

import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
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

WIDTH_IN_A_FILE = 160
"""Columns of the tables where they do not go to a terminal but to a file or a log."""

out_console = Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)
err_console = Console(stderr=True)


def log_pillow() -> None:
    """What Pillow says beside raising an error becomes debug lines of the log."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    show = warnings.showwarning

    def show_others(
        message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any
    ) -> None:
        if "PIL" in Path(filename).parts:
            logging.getLogger("gradbox.images").debug("%s", message)
        else:
            show(message, category, filename, *rest, **more)

    warnings.showwarning = show_others


def shown(text: str) -> str:
    r"""Text as it may go to a terminal: what is no printable character is escaped, as in Python.

    >>> print(shown("a\x1b[31m.png"))
    a\x1b[31m.png
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cell(text: str) -> str:
    """Text as a cell of a table."""
    return escape(shown(text))


def say(message: str) -> None:
    """One line of result."""
    out_console.print(shown(message), markup=False, highlight=False, soft_wrap=True)


def hint(message: str) -> None:
    """One line beside the result, on stderr: where something lies, what else there is."""
    err_console.print(shown(message), markup=False, highlight=False, soft_wrap=True)


def warn(message: str) -> None:
    """One line about an oddity that does not stop the run."""
    err_console.print(shown(message), style="yellow", markup=False, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """One line about what went wrong."""
    line = shown(f"gradbox: {message}")
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


def show_scores(metrics: Mapping[str, Any]) -> None:
    """The headline numbers of an evaluation, the constant boxes below."""
    table = Table(title=f"{metrics['n_units']} units of {metrics['n_images']} images")
    for column in ("method | box", "CorLoc %", "95 % interval", "mean IoU", "centre in box %"):
        table.add_column(column, justify="left" if column == "method | box" else "right")
    run = metrics["run"]
    rows = {f"{run} (supervision: {metrics['supervision']})": metrics, **metrics["baselines"]}
    for name, row in rows.items():
        low, high = row["corloc_interval"]
        table.add_row(
            cell(name + (" (oracle)" if row.get("oracle") else "")),
            f"{100 * row['corloc']:.1f}",
            "" if low is None else f"{100 * low:.1f} to {100 * high:.1f}",
            f"{row['mean_iou']:.4f}",
            f"{100 * row['center_correctness']['0.00']:.1f}",
        )
    out_console.print(table)
    _show_masks({run: metrics}, metrics["baselines"])


def show_comparison(comparison: Mapping[str, Any]) -> None:
    """The runs, best first, and the constant boxes, each with its difference to the first."""
    table = Table(title=f"{comparison['n_units']} units of {comparison['n_images']} images")
    columns = ("run", "supervision", "CorLoc %", "difference", "McNemar p", "mean IoU", "s/image")
    for column in columns:
        table.add_column(column, justify="left" if column in columns[:2] else "right")
    runs = {row["run"]: row for row in comparison["runs"]}
    for name, row in {**runs, **comparison["baselines"]}.items():
        difference = row.get("difference")
        table.add_row(
            cell(name + (" (oracle)" if row.get("oracle") else "")),
            row.get("supervision", "constant box"),
            _with_interval(row["corloc"], row["corloc_interval"]),
            ""
            if difference is None
            else _with_interval(difference["corloc"][0], difference["corloc"][1:]),
            _p_value(row["mcnemar"]) if "mcnemar" in row else "",
            f"{row['mean_iou']:.3f}",
            f"{row['seconds_per_image']:.4f}" if "seconds_per_image" in row else "",
        )
    out_console.print(table)
    _show_masks(runs, comparison["baselines"])
    if comparison["wsol"]:
        out_console.print(_wsol_table(comparison["wsol"]))


def _show_masks(runs: Mapping[str, Any], baselines: Mapping[str, Any]) -> None:
    """The masks of the runs and of the boxes, filled; nothing where there are no true masks."""
    from gradbox.reports.report import mask_rows

    rows = mask_rows(runs, baselines)
    if not rows:
        return
    table = Table(title=f"masks of {rows[0].numbers['n_masks']} images")
    for column in ("run", "mask", "mask IoU %", "precision %", "recall %"):
        table.add_column(column, justify="left" if column in ("run", "mask") else "right")
    for row in rows:
        table.add_row(
            cell(row.name),
            row.kind,
            *(
                _with_interval(row.numbers[key], row.numbers[f"{key}_interval"])
                for key in ("mean_iou", "mean_precision", "mean_recall")
            ),
        )
    out_console.print(table)


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _wsol_table(wsol: Mapping[str, Any]) -> Table:
    table = Table(title="maps by wsolevaluation's protocol: its maximum, and held out (honest)")
    for column in ("maps", "MaxBoxAcc %", "held out", "MaxBoxAccV2 %", "held out", "PxAP %"):
        table.add_column(column, justify="left" if column == "maps" else "right")
    for name, row in wsol.items():
        boxes = (row["max_box_acc"], row["max_box_acc_v2"])
        shares = [one[how] for one in boxes for how in ("maximum", "held_out")]
        shares.append(row.get("pxap"))
        table.add_row(cell(name), *("" if s is None else f"{100 * s:.1f}" for s in shares))
    return table


def _with_interval(share: float, bounds: Sequence[float | None]) -> str:
    low, high = bounds
    text = f"{100 * share:.1f}"
    return text if low is None or high is None else f"{text} ({100 * low:.1f} to {100 * high:.1f})"


def show_classes(report: Any, most: int = 12) -> None:
    """The classes that were found, most boxes first, and why images failed."""
    if report.classes:
        table = Table(title=f"boxes in {report.n_images - len(report.failures)} images")
        for column in ("class", "boxes", "mean score"):
            table.add_column(column, justify="left" if column == "class" else "right")
        for name, (count, score) in list(report.classes.items())[:most]:
            table.add_row(cell(name), str(count), f"{score:.2f}")
        if len(report.classes) > most:
            rest = [count for count, _ in list(report.classes.values())[most:]]
            table.add_row(f"{len(rest)} more", str(sum(rest)), "")
        out_console.print(table)
    reasons = Counter(report.failures.values())
    for reason, count in reasons.most_common(most) if len(reasons) < len(report.failures) else ():
        say(f"{count} images failed: {reason}")


def say_json(report: Any) -> None:
    """What was done as one line of JSON."""
    classes = {name: {"boxes": n, "mean_score": s} for name, (n, s) in report.classes.items()}
    facts = {
        "folder": str(report.folder),
        "images": report.n_images,
        "failures": dict(report.failures),
        "gone": list(report.gone),
        "classes": classes,
        "metrics": report.metrics,
    }
    say(json.dumps(facts))


def close(report: Any, *, quiet: bool) -> None:
    """Say what failed and where the results are; exit with 1 if some images failed."""
    for image, reason in report.failures.items():
        complain(f"{image}: {reason}")
    if report.gone:
        warn(
            f"{len(report.gone)} images of an earlier call are gone, such as {report.gone[0]}: "
            "their lines are kept, and they are in no score and no other file"
        )
    if not quiet:
        done = report.n_images - len(report.failures)
        say(f"{done} of {report.n_images} images done: {report.folder}")
    if report.failures:
        raise typer.Exit(1)
