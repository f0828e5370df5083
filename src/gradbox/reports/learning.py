"""The report of a training: how loss and accuracy went, and how each class is recognized."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gradbox.files import write_text
from gradbox.reports.figures import Numbers, figure, run_lines
from gradbox.reports.pages import render
from gradbox.reports.report import FEW


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class: its accuracy in [0, 1] on the images held out, and how many images have it."""

    name: str
    accuracy: float
    n_train: int
    n_validation: int


def write_learning(
    path: Path,
    *,
    title: str,
    report: Numbers,
    epochs: Sequence[Numbers],
    classes: Sequence[ClassRow],
    facts: Mapping[str, Any],
) -> None:
    """Write the report of one training.

    Args:
        path: the HTML file.
        title: its heading.
        report: `head`, `accuracy`, `loss`, `epoch`, `n_train`, `n_validation`, `seconds`, `skipped`
            and `notes`, as `train.json` has them.
        epochs: the lines of `log.jsonl`, at least one.
        classes: in the order of the network's outputs.
        facts: the command and the versions.
    """
    text = render(
        "learning.html",
        title=title,
        report=report,
        figures=curves(epochs, report["epoch"]),
        classes=classes,
        few=FEW,
        facts=json.dumps(facts, indent=2, ensure_ascii=False),
    )
    write_text(path, text)


def curves(epochs: Sequence[Numbers], kept: int) -> list[str]:
    """Loss and accuracy over the epochs; a dotted line marks the one whose weights were kept."""
    return [
        figure("Loss", _curve(epochs, "loss", kept, 1.0, "nats")),
        figure("Accuracy", _curve(epochs, "accuracy", kept, 100.0, "%")),
    ]


def _curve(
    epochs: Sequence[Numbers], key: str, kept: int, scale: float, unit: str
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        numbers = [one["epoch"] for one in epochs]
        marker = "o" if len(numbers) < FEW else ""
        names = {key: "held out", f"train_{key}": "trained with, augmented"}
        for (name, label), line in zip(names.items(), run_lines(2), strict=True):
            values = [scale * one[name] for one in epochs]
            axes.plot(numbers, values, label=label, marker=marker, ms=4, **line.style)
        axes.axvline(kept, color=axes.yaxis.label.get_color(), linestyle=":", linewidth=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=unit)
        axes.set_ylim(bottom=0, top=100 if unit == "%" else None)
        axes.legend(frameon=False)

    return draw
