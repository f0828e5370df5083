"""What the command line shows: progress, tables, complaints."""

import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
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

from gradbox.errors import GradboxWarning
from gradbox.progress import listening
from gradbox.stores import address

WIDTH_IN_A_FILE = 160
"""Columns of the tables where they do not go to a terminal but to a file or a log."""

out_console = Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)
err_console = Console(stderr=True)


def route_warnings() -> None:
    """Gradbox's own are a line each; Pillow's, beside raising an error, go into the log."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    show = warnings.showwarning

    def show_others(
        message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any
    ) -> None:
        if issubclass(category, GradboxWarning):
            warn(str(message))
        elif "PIL" in Path(filename).parts:
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


def warn_untrusted(count: int, n_images: int) -> None:
    """One line about the images whose boxes all have a low probability, if there are any."""
    from gradbox.runs.execution import TRUSTED

    if count:
        warn(f"{count} of {n_images} images: no box can be trusted (score below {TRUSTED})")


def complain(message: str) -> None:
    """One line about what went wrong."""
    line = shown(f"gradbox: {message}")
    err_console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def track(groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
    """A progress bar on stderr over groups of images; a `progress.Track`.

    Where one image takes many steps, these have a second bar below.
    """
    with _bars() as bars, listening(partial(_shown, bars)):
        yield from _shown(bars, groups, count, title)


@contextmanager
def steps() -> Iterator[None]:
    """A progress bar on stderr for the steps of images that have many, while there are any."""
    with listening(_steps):
        yield


@contextmanager
def counter(count: int, title: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr that is told how many are done."""
    with _bars() as bars:
        task = bars.add_task(title, total=count)
        yield lambda done: bars.update(task, completed=done)


def _steps(groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
    with _bars(transient=True) as bars:
        yield from _shown(bars, groups, count, title)


def _bars(*, transient: bool = False) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=err_console, transient=transient)


def _shown(bars: Progress, groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
    """Pass on groups with a bar among others; a bar below the first goes when it is full."""
    task = bars.add_task(title, total=count)
    for group in groups:
        yield group
        bars.advance(task, len(group))
    if task != bars.task_ids[0]:
        bars.remove_task(task)


def show_scores(metrics: Mapping[str, Any]) -> None:
    """The headline numbers of an evaluation, the constant boxes below."""
    columns = ("method | box", "CorLoc %", "95 % interval", "mean IoU", "centre in box %")
    table = _table(f"{metrics['n_units']} units of {metrics['n_images']} images", columns)
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
    _show_detections({run: metrics}, metrics["baselines"])
    _show_proposals({run: metrics})
    _show_masks({run: metrics}, metrics["baselines"])
    _show_calibration({run: metrics})


def show_comparison(comparison: Mapping[str, Any]) -> None:
    """The runs, best first, and the constant boxes, each with its difference to the first."""
    columns = ("run", "supervision", "CorLoc %", "difference", "McNemar p", "mean IoU", "s/image")
    title = f"{comparison['n_units']} units of {comparison['n_images']} images"
    table = _table(title, columns, n_texts=2)
    runs = {row["run"]: row for row in comparison["runs"]}
    for name, row in {**runs, **comparison["baselines"]}.items():
        table.add_row(
            cell(name + (" (oracle)" if row.get("oracle") else "")),
            row.get("supervision", "constant box"),
            _with_interval(row["corloc"], row["corloc_interval"]),
            _difference(row, "corloc"),
            _p_value(row["mcnemar"]) if "mcnemar" in row else "",
            f"{row['mean_iou']:.3f}",
            f"{row['seconds_per_image']:.4f}" if "seconds_per_image" in row else "",
        )
    out_console.print(table)
    _show_detections(runs, comparison["baselines"])
    _show_proposals(runs)
    _show_masks(runs, comparison["baselines"])
    _show_calibration(runs)
    if comparison["wsol"]:
        out_console.print(_wsol_table(comparison["wsol"]))


def _show_detections(runs: Mapping[str, Any], baselines: Mapping[str, Any]) -> None:
    """All boxes of the runs against all true boxes, the constant boxes below."""
    from gradbox.reports.report import detection_rows

    rows = detection_rows(runs, baselines)
    columns = ("run", "true box", "AP 0.3 %", "AP 0.5 %", "recall 0.3 %", "recall 0.5 %", "boxes")
    title = f"all boxes against {rows[0].numbers['n_true_boxes']} true boxes"
    table = _table(title, columns, n_texts=2)
    for row in rows:
        found = row.numbers
        table.add_row(
            cell(row.name),
            row.kind,
            _percent(found["ap30"]),
            _with_interval(found["ap50"], found["ap50_interval"]),
            _percent(found["recall30"]),
            _percent(found["recall50"]),
            str(found["n_predicted_boxes"]),
        )
    out_console.print(table)


def _show_proposals(runs: Mapping[str, Any]) -> None:
    """The recall of the runs' proposals; nothing where none are kept."""
    from gradbox.reports.report import proposal_rows

    rows = proposal_rows(runs)
    if not rows:
        return
    first = rows[0].numbers
    table = Table(title=f"proposals against {first['n_true_boxes']} true boxes")
    table.add_column("run")
    for name in ("recall", "average recall"):
        for count in first["recall50"]:
            table.add_column(f"{name} at {count} %", justify="right")
    for row in rows:
        found = row.numbers
        recalls = (
            _with_interval(recall, found["recall50_interval"][count])
            for count, recall in found["recall50"].items()
        )
        table.add_row(cell(row.name), *recalls, *map(_percent, found["average_recall"].values()))
    out_console.print(table)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _show_masks(runs: Mapping[str, Any], baselines: Mapping[str, Any]) -> None:
    """The masks of the runs and of the boxes, filled; nothing where there are no true masks."""
    from gradbox.reports.report import mask_rows

    rows = mask_rows(runs, baselines)
    if not rows:
        return
    columns = ("run", "mask", "IoU %", "over its box", "precision %", "recall %", "boundary F %")
    table = _table(f"masks of {rows[0].numbers['n_masks']} images", columns, n_texts=2)
    for row in rows:
        iou, *others = (
            _with_interval(row.numbers[key], row.numbers[f"{key}_interval"])
            for key in ("mean_iou", "mean_precision", "mean_recall", "mean_boundary_f")
        )
        table.add_row(cell(row.name), row.kind, iou, _difference(row.numbers, "mean_iou"), *others)
    out_console.print(table)


def _show_calibration(runs: Mapping[str, Any]) -> None:
    """What the scores of the main boxes are worth."""
    from gradbox.reports.report import calibration_rows

    columns = ("run", "scores", "boxes %", "AURC", "Pearson", "Spearman", "ECE %", "Brier")
    table = _table("scores of the main boxes", columns, n_texts=2)
    for row in calibration_rows(runs):
        found = row.numbers
        table.add_row(
            cell(row.name),
            row.kind,
            _percent(found["coverage"]),
            *(_number(found[key]) for key in ("aurc", "pearson", "spearman")),
            _percent(found["ece"]) if "ece" in found else "",
            _number(found.get("brier")),
        )
    out_console.print(table)


def _table(title: str, columns: Sequence[str], n_texts: int = 1) -> Table:
    """An empty table whose first columns are texts, the others numbers."""
    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < n_texts else "right")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _wsol_table(wsol: Mapping[str, Any]) -> Table:
    columns = ("maps", "MaxBoxAcc %", "held out", "MaxBoxAccV2 %", "held out", "PxAP %")
    table = _table("maps by wsolevaluation's protocol: its maximum, and held out (honest)", columns)
    for name, row in wsol.items():
        boxes = (row["max_box_acc"], row["max_box_acc_v2"])
        shares = [one[how] for one in boxes for how in ("maximum", "held_out")]
        shares.append(row.get("pxap"))
        table.add_row(cell(name), *("" if s is None else f"{100 * s:.1f}" for s in shares))
    return table


def _difference(numbers: Mapping[str, Any], key: str) -> str:
    """The paired difference of this number, where there is one."""
    if "difference" not in numbers:
        return ""
    mean, *bounds = numbers["difference"][key]
    return _with_interval(mean, bounds)


def _with_interval(share: float, bounds: Sequence[float | None]) -> str:
    low, high = bounds
    text = _percent(share)
    return text if low is None or high is None else f"{text} ({100 * low:.1f} to {100 * high:.1f})"


def show_classes(report: Any, most: int = 12) -> None:
    """The classes that were found, most boxes first, and why images failed."""
    if report.classes:
        n_images = report.n_images - report.failures.count
        table = _table(f"boxes in {n_images} images", ("class", "boxes", "mean score"))
        for name, (count, score) in list(report.classes.items())[:most]:
            table.add_row(cell(name), str(count), f"{score:.2f}")
        if len(report.classes) > most:
            rest = [count for count, _ in list(report.classes.values())[most:]]
            table.add_row(f"{len(rest)} more", str(sum(rest)), "")
        out_console.print(table)
    reasons = Counter(report.failures.values())
    for reason, count in reasons.most_common(most) if len(reasons) < len(report.failures) else ():
        say(f"{count} images failed: {reason}")


def show_bench(bench: Any) -> None:
    """How fast a machine is, a row for each job."""
    columns = ("", "images/s", "slowest", "fastest", "hours for a million, with decoding")
    table = _table(f"{bench.model} on {bench.device}, {bench.threads} threads", columns)
    jobs = {
        f"decoding, {bench.workers} workers": bench.decoding,
        f"forward pass, batches of {bench.batch_size}": bench.forward,
        **bench.methods,
    }
    for name, rate in jobs.items():
        hours = bench.hours.get(name)
        rates = (f"{one:.3g}" for one in (rate.median, rate.low, rate.high))
        table.add_row(cell(name), *rates, "" if hours is None else f"{hours:,.1f}")
    out_console.print(table)


def say_json(report: Any) -> None:
    """What was done as one line of JSON."""
    classes = {name: {"boxes": n, "mean_score": s} for name, (n, s) in report.classes.items()}
    facts = {
        "folder": address(report.folder),
        "images": report.n_images,
        "failures": dict(report.failures),
        "n_failed": report.failures.count,
        "gone": list(report.gone),
        "n_gone": report.n_gone,
        "classes": classes,
        "untrusted": report.n_untrusted,
        "metrics": report.metrics,
    }
    say(json.dumps(facts))


def close(report: Any, *, quiet: bool) -> None:
    """Say what failed and where the results are; exit with 1 if some images failed."""
    for image, reason in report.failures.items():
        complain(f"{image}: {reason}")
    if more := report.failures.count - len(report.failures):
        complain(f"and {more} more images, whose reasons stand in the results")
    if report.gone:
        warn(
            f"{report.n_gone} images of an earlier call are gone, such as {report.gone[0]}: "
            "their lines are kept, and they are in no score and no other file"
        )
    done = report.n_images - report.failures.count
    warn_untrusted(report.n_untrusted or 0, done)
    if not quiet:
        say(f"{done} of {report.n_images} images done: {address(report.folder)}")
    if report.failures:
        raise typer.Exit(1)
