"""Scores and pictures to one HTML file that needs nothing else."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from gradbox.files import write_text
from gradbox.localization import RGB
from gradbox.reports.figures import Line, Numbers, baseline_lines, figures, run_lines
from gradbox.reports.pages import render
from gradbox.results.failures import Failures

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
class PartRow:
    """One row of the tables below the scores: of a run or baseline, what was scored and how."""

    name: str
    kind: str
    numbers: Numbers
    is_run: bool


def detection_rows(runs: Mapping[str, Numbers], baselines: Mapping[str, Numbers]) -> list[PartRow]:
    """All boxes of runs and of constant boxes; none where they were not scored (version 0.1).

    Args:
        runs: by name what `metrics.json` says, with `detection`.
        baselines: the same of the constant boxes.
    """
    return [
        PartRow(name, "of its class" if found["by_class"] else "any", found, is_run)
        for named, is_run in ((runs, True), (_marked(baselines), False))
        for name, numbers in named.items()
        if (found := numbers.get("detection"))
    ]


def mask_rows(runs: Mapping[str, Numbers], baselines: Mapping[str, Numbers]) -> list[PartRow]:
    """The masks of runs, of constant boxes and of the true box; none where no mask is known.

    Args:
        runs: by name what `metrics.json` says, with `masks`.
        baselines: the same of the constant boxes.
    """
    rows = [
        PartRow(name, kind, numbers["masks"][key], is_run)
        for named, is_run in ((runs, True), (_marked(baselines), False))
        for name, numbers in named.items()
        for key, kind in (("mask", "own mask"), ("box_filled", "box, filled"))
        if key in numbers.get("masks", {})
    ]
    if rows:
        perfect = next(iter(runs.values()))["masks"]["true_box_filled"]
        rows.append(PartRow("true box (oracle)", "box, filled", perfect, False))
    return rows


def calibration_rows(runs: Mapping[str, Numbers]) -> list[PartRow]:
    """What the scores of runs are worth; none where nothing is known of them (former versions).

    Args:
        runs: by name what `metrics.json` says, with `calibration`.
    """
    return [
        PartRow(name, "probability" if found["is_calibrated"] else "rank", found, True)
        for name, numbers in runs.items()
        if (found := numbers.get("calibration"))
    ]


def proposal_rows(runs: Mapping[str, Numbers]) -> list[PartRow]:
    """The recall of the runs' proposals; none where no proposals were kept."""
    return [
        PartRow(name, "any", numbers["proposals"], is_run=True)
        for name, numbers in runs.items()
        if "proposals" in numbers
    ]


def write_report(
    path: Path,
    *,
    title: str,
    runs: Mapping[str, Numbers],
    context: Mapping[str, Any],
    cases: Sequence[Case],
    failures: Failures,
    facts: Mapping[str, Any],
) -> None:
    """Write the report of one run, or of several on the same images, the best first.

    Args:
        path: the HTML file.
        title: its heading.
        runs: by name what `Scores.summary` gives with `supervision`, `detection`, `calibration`,
            `masks` where there are true ones, `proposals` where they are kept, and, where runs are
            compared, `difference`, `mcnemar` and `seconds_per_image`.
        context: `baselines` by name, `problems` of the data set and, of saved maps, `wsol` by name.
        cases: the gallery, of the first run.
        failures: reasons by image id.
        facts: what `run.json` says.
    """
    baselines = context["baselines"]
    rows = [*_rows(runs, run_lines, True), *_rows(baselines, baseline_lines, False)]
    first = next(iter(runs.values()))
    text = render(
        "report.html",
        title=title,
        rows=rows,
        first=first,
        compared=len(runs) > 1,
        figures=figures(list(runs.values()), list(baselines.values())),
        classes=list(_classes(runs)),
        few=FEW,
        groups=_groups(cases),
        detections=detection_rows(runs, baselines),
        proposals=proposal_rows(runs),
        masks=mask_rows(runs, baselines),
        calibrations=calibration_rows(runs),
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
