"""Scores and pictures to one HTML file that needs nothing else."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from gradbox.files import write_text
from gradbox.localization import RGB
from gradbox.reports.figures import Line, Numbers, baseline_lines, figures, run_lines

FEW = 10
"""Below this number of units the scores of a class are marked: they say little."""
_WIDTH = 720
_QUALITY = 78


@dataclass(frozen=True, eq=False)
class Case:
    """One picture of the gallery: its group ("best", ...), what stands below it, the picture."""

    group: str
    caption: str
    picture: RGB


@dataclass(frozen=True)
class Row:
    """One row of the table of scores, a run or a baseline."""

    name: str
    line: Line
    numbers: Numbers
    is_run: bool


@dataclass(frozen=True)
class MaskRow:
    """One row of the table of masks: what was scored, its own mask or its box filled."""

    name: str
    kind: str
    numbers: Numbers
    is_run: bool


def mask_rows(runs: Mapping[str, Numbers], baselines: Mapping[str, Numbers]) -> list[MaskRow]:
    """The masks of runs, of constant boxes and of the true box; none where no mask is known.

    Args:
        runs: by name what `metrics.json` says, with `masks`.
        baselines: the same of the constant boxes.
    """
    rows = [
        MaskRow(name, kind, numbers["masks"][key], is_run)
        for named, is_run in ((runs, True), (_marked(baselines), False))
        for name, numbers in named.items()
        for key, kind in (("mask", "own mask"), ("box_filled", "box, filled"))
        if key in numbers.get("masks", {})
    ]
    if rows:
        perfect = next(iter(runs.values()))["masks"]["true_box_filled"]
        rows.append(MaskRow("true box (oracle)", "box, filled", perfect, False))
    return rows


def write_report(
    path: Path,
    *,
    title: str,
    runs: Mapping[str, Numbers],
    context: Mapping[str, Any],
    cases: Sequence[Case],
    failures: Mapping[str, str],
    facts: Mapping[str, Any],
) -> None:
    """Write the report of one run, or of several on the same images, the best first.

    Args:
        path: the HTML file.
        title: its heading.
        runs: by name what `Scores.summary` gives with `supervision`, with `masks` where there are
            true ones, and, where runs are compared, `difference`, `mcnemar` and
            `seconds_per_image`.
        context: `baselines` by name, `problems` of the data set and, of saved maps, `wsol` by name.
        cases: the gallery, of the first run.
        failures: reasons by image id.
        facts: what `run.json` says.
    """
    baselines = context["baselines"]
    rows = [*_rows(runs, run_lines, True), *_rows(baselines, baseline_lines, False)]
    first = next(iter(runs.values()))
    environment = Environment(
        loader=PackageLoader("gradbox.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "number": _number}
    text = environment.get_template("report.html").render(
        title=title,
        rows=rows,
        first=first,
        compared=len(runs) > 1,
        figures=figures(list(runs.values()), list(baselines.values())),
        classes=list(_classes(runs)),
        few=FEW,
        groups=_groups(cases),
        masks=mask_rows(runs, baselines),
        wsol=context.get("wsol", {}),
        problems=context["problems"],
        failures=failures,
        facts=json.dumps(facts, indent=2, ensure_ascii=False),
    )
    write_text(path, text)


def _rows(named: Mapping[str, Numbers], lines: Any, is_run: bool) -> list[Row]:
    return [
        Row(name, line, numbers, is_run)
        for (name, numbers), line in zip(named.items(), lines(len(named)), strict=True)
    ]


def _marked(baselines: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """The baselines, with `(oracle)` after the names of those that look at the answer."""
    return {n + " (oracle)" * row.get("oracle", False): row for n, row in baselines.items()}


def _classes(runs: Mapping[str, Numbers]) -> Iterator[tuple[str, list[Numbers]]]:
    """Each class of the first run, with its numbers in every run."""
    tables = [run["per_class"] for run in runs.values()]
    for name in tables[0]:
        yield name, [table[name] for table in tables]


def _groups(cases: Sequence[Case]) -> dict[str, list[tuple[str, str]]]:
    """Captions and data URIs by group."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append((case.caption, _data_uri(case.picture)))
    return groups


def _data_uri(picture: RGB) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((_WIDTH, _WIDTH))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(bounds: Sequence[float | None], scale: float = 100, digits: int = 1) -> str:
    low, high = bounds
    return (
        ""
        if low is None or high is None
        else " to ".join(f"{scale * bound:.{digits}f}" for bound in (low, high))
    )
