"""The figures of a report as inline SVG, each from the numbers of `metrics.json`."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradbox.scores.boxes import IOU_EDGES

Numbers = Mapping[str, Any]
"""What `Scores.summary` gives."""

_COLOURS = ("#0b6fb8", "#d55e00", "#1a8f5f", "#b0478a", "#8a6d00", "#5b4bb5", "#2a9db0", "#7a3b1d")
_DASHES = ((), (6, 2), (2, 2), (6, 2, 2, 2))
_GREY = "#70757c"
_INK = "#33373c"
_STYLE: Any = {
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.edgecolor": "#9aa0a6",
    "axes.labelcolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "font.family": "sans-serif",
    "font.size": 11,
    "grid.color": "#e4e7eb",
    "svg.fonttype": "none",
    "svg.hashsalt": "gradbox",
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class Line:
    """How one row of the table is drawn: a colour, and the lengths of dashes and gaps."""

    colour: str
    dashes: tuple[int, ...]

    @property
    def style(self) -> dict[str, Any]:
        """The same for matplotlib."""
        return {
            "color": self.colour,
            "linestyle": (0, self.dashes) if self.dashes else "-",
            "linewidth": 1.2 if self.colour == _GREY else 2.0,
        }


def run_lines(count: int) -> list[Line]:
    """One line a run: all of them differ up to 32 runs."""
    colours = cycle(_COLOURS)
    return [Line(next(colours), _DASHES[i // len(_COLOURS) % len(_DASHES)]) for i in range(count)]


def baseline_lines(count: int) -> list[Line]:
    """One grey line a baseline."""
    dashes = cycle(_DASHES[1:])
    return [Line(_GREY, next(dashes)) for _ in range(count)]


def figures(runs: Sequence[Numbers], baselines: Sequence[Numbers]) -> list[str]:
    """All figures that some of these runs have numbers for, in the lines of `run_lines`."""
    drawn = [
        figure("IoU", lambda axes: _histogram(axes, runs[0]))
        if len(runs) == 1
        else figure("Success by IoU", lambda axes: _success(axes, runs)),
        figure("Centre correctness", lambda axes: _centers(axes, runs, baselines)),
    ]
    for key, title, label in (
        ("by_object_size", "Success by object size", "largest object, share of the image"),
        ("by_n_objects", "Success by number of objects", "objects"),
        ("by_recognized", "Success by recognition", "class recognized"),
    ):
        lines = run_lines(len(runs))
        known = [(run[key], line) for run, line in zip(runs, lines, strict=True) if run[key]]
        if known:
            drawn.append(figure(title, _groups_drawer(known, label)))
    return drawn + _trust_figures(runs)


def _trust_figures(runs: Sequence[Numbers]) -> list[str]:
    """What scores are worth: risk by coverage, and for probabilities how reliable they are."""
    lines = run_lines(len(runs))
    known = [(r.get("calibration", {}), line) for r, line in zip(runs, lines, strict=True)][::-1]
    ranked = [(one["risk_coverage"], line) for one, line in known if one.get("risk_coverage")]
    rated = [(one["reliability"], line) for one, line in known if one.get("reliability")]
    drawn = []
    if ranked:
        drawn.append(figure("Risk by coverage", lambda axes: _risks(axes, ranked)))
    if rated:
        drawn.append(
            figure(
                "Reliability of scores",
                lambda axes: _reliability(axes, rated),
                lambda axes: _counts(axes, rated),
            )
        )
    return drawn


def _histogram(axes: Axes, run: Numbers) -> None:
    shares = 100 * np.array(run["iou_histogram"]) / run["n_units"]
    (line,) = run_lines(1)
    axes.stairs(shares, IOU_EDGES, fill=True, color=line.colour, alpha=0.85)
    axes.axvline(run["iou_threshold"], color=_INK, linestyle=":", linewidth=1.2)
    axes.set(xlabel="IoU with the best true box", ylabel="% of units", xlim=(0, 1))


def _success(axes: Axes, runs: Sequence[Numbers]) -> None:
    """The histograms of several runs, summed from the right: easier to tell apart."""
    for run, line in _first_on_top(runs, run_lines(len(runs))):
        above = np.cumsum(run["iou_histogram"][::-1])[::-1] / run["n_units"]
        axes.plot(IOU_EDGES, [*(100 * above), 0], **line.style)
    axes.axvline(runs[0]["iou_threshold"], color=_INK, linestyle=":", linewidth=1.2)
    axes.set(xlabel="IoU t", ylabel="% of units with IoU of at least t", xlim=(0, 1), ylim=(0, 100))


def _centers(axes: Axes, runs: Sequence[Numbers], baselines: Sequence[Numbers]) -> None:
    lines = [*run_lines(len(runs)), *baseline_lines(len(baselines))]
    for row, line in _first_on_top([*runs, *baselines], lines):
        curve = row["center_correctness"]
        margins = [float(margin) for margin in curve]
        axes.plot(margins, [100 * share for share in curve.values()], **line.style)
    axes.set(xlabel="margin m on each side of the true box", ylabel="% of centres inside")
    axes.set(xlim=(0, 0.5), ylim=(0, 100))


def _first_on_top(rows: Sequence[Numbers], lines: Sequence[Line]) -> list[tuple[Numbers, Line]]:
    return list(zip(rows, lines, strict=True))[::-1]


def _groups_drawer(tables: Sequence[tuple[Numbers, Line]], label: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        counts = {
            group: sorted({table[group]["n"] for table, _ in tables}) for group in tables[0][0]
        }
        groups = [group for group, found in counts.items() if found[-1]]
        places = np.arange(len(groups))
        width = 0.8 / len(tables)
        for i, (table, line) in enumerate(tables):
            axes.bar(
                places + (i - (len(tables) - 1) / 2) * width,
                [100 * (table[group]["corloc"] or 0.0) for group in groups],
                width * 0.9,
                color=line.colour,
                alpha=0.9,
            )
        names = [f"{group}\nn = {_span(counts[group])}" for group in groups]
        axes.set_xticks(places, names)
        axes.set(xlabel=label, ylabel="CorLoc %", ylim=(0, 100))

    return draw


def _risks(axes: Axes, curves: Sequence[tuple[Any, Line]]) -> None:
    for points, line in curves:
        coverage, risk = 100 * np.array(points).T
        axes.plot(coverage, risk, **line.style)
    axes.set(xlabel="% of units, the best scores first", ylabel="% of misses among them")
    axes.set(xlim=(0, 100), ylim=(0, 100))


def _reliability(axes: Axes, curves: Sequence[tuple[Any, Line]]) -> None:
    """The bins' share of hits over their mean score; on the diagonal scores are probabilities."""
    axes.plot([0, 1], [0, 100], color=_INK, linestyle=":", linewidth=1.2)
    for bins, line in curves:
        scores = [one["score"] for one in bins]
        axes.plot(
            scores,
            [100 * one["hits"] for one in bins],
            marker="o",
            ms=4,
            clip_on=False,
            **line.style,
        )
        for one in bins:
            low, high = one["hits_interval"]
            if low is not None:
                axes.vlines(one["score"], 100 * low, 100 * high, color=line.colour, alpha=0.45)
    axes.set(ylabel="% of hits", ylim=(0, 100))


def _counts(axes: Axes, curves: Sequence[tuple[Any, Line]]) -> None:
    for bins, line in curves:
        scores, counts = [one["score"] for one in bins], [one["n"] for one in bins]
        axes.vlines(scores, 0, counts, color=line.colour, linewidth=4, alpha=0.8)
    axes.set(xlabel="score, mean of each bin", ylabel="boxes", xlim=(0, 1))
    axes.set_ylim(bottom=0)


def _span(rising: Sequence[int]) -> str:
    """One number, or from the lowest to the highest: networks recognize different images."""
    return str(rising[0]) if len(rising) == 1 else f"{rising[0]} to {rising[-1]}"


def figure(title: str, *draw: Callable[[Axes], None]) -> str:
    """An SVG element without anything outside it: axes over low ones that share their x."""
    with mpl.rc_context(_STYLE):
        drawn = Figure(figsize=(5.4, 3.5), layout="constrained")
        heights = [4, *[1] * (len(draw) - 1)]
        rows = drawn.subplots(len(draw), squeeze=False, sharex=True, height_ratios=heights)
        for axes, one in zip(rows[:, 0], draw, strict=True):
            one(axes)
        rows[0, 0].set_title(title)
        stream = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawn.savefig(stream, format="svg", metadata=nothing, transparent=True)
    text = stream.getvalue()
    return text[text.index("<svg") :]
