"""The numbers of a comparison: finished runs held against each other on the same images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.errors import ImageError, UsageError
from gradbox.files import write_json
from gradbox.localization import Found
from gradbox.progress import Track, silent
from gradbox.results.heatmaps import HEADER, open_maps
from gradbox.results.opening import AnyRun
from gradbox.runs.evaluation import Evaluation
from gradbox.scores.baselines import score_constant
from gradbox.scores.bootstrap import mcnemar, paired_difference
from gradbox.scores.boxes import Scores, is_hit
from gradbox.scores.units import HEADLINE
from gradbox.scores.wsol.maps import wsol_scores

_SHOWN = (
    *HEADLINE,
    "pointing_game",
    "detection",
    "proposals",
    "masks",
    "calibration",
    "supervision",
    "n_failed",
    "seconds_per_image",
    "difference",
    "mcnemar",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One run: its evaluation, its finished folder, and where its heat maps are, if kept."""

    name: str
    evaluation: Evaluation
    folder: AnyRun
    maps: Path | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """What came of one run: `metrics` is its `metrics.json` and how it compares to the first."""

    run: Run
    scores: Scores
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """All rows of the table, best first; `context` has what does not depend on the run."""

    rows: Sequence[Row]
    context: Mapping[str, Any]
    failures: Mapping[str, str]

    def table(self) -> dict[str, Any]:
        """What `compare.json` says."""
        first = self.rows[0].metrics
        shared = ("n_images", "n_units", "iou_threshold", "iou_strict")
        return {
            **{key: first[key] for key in shared},
            "runs": [_line(row) for row in self.rows],
            **self.context,
            "failures": dict(self.failures),
        }


def rank(runs: Sequence[Run], track: Track = silent) -> Ranking:
    """Score the runs on the images that failed in none of them, and write their `metrics.json`.

    The constant boxes and all runs but the first have their `difference` to the first, each as
    mean, low and high of a 95 % interval (paired bootstrap over images), and `mcnemar`, the p-value
    for CorLoc.

    Raises:
        UsageError: every image failed in some run.
    """
    found = [dict(run.folder.results()) for run in runs]
    failures = {
        image_id: str(one)
        for of_run in found
        for image_id, one in of_run.items()
        if isinstance(one, ImageError)
    }
    kept = [_without(of_run, failures) for of_run in found]
    rows = [_row(run, *pair) for run, *pair in zip(runs, found, kept, strict=True)]
    if not rows[0].scores.units:
        image_id, reason = min(failures.items())
        raise UsageError(f"nothing to compare: every image failed, {image_id} since {reason}")
    first = max(rows, key=_merit)
    context = _context(first, kept[rows.index(first)])
    context["wsol"] = _of_maps(runs, failures, track)
    compared = [
        replace(one, metrics={**one.metrics, **_against(first, one.scores)}) for one in rows
    ]
    for row in compared:
        with row.run.folder.writing() as path:
            write_json(path / "metrics.json", row.metrics)
    rows = sorted(compared, key=_merit, reverse=True)
    return Ranking(rows=rows, context=context, failures=failures)


def _merit(row: Row) -> tuple[float, float]:
    return row.metrics["corloc"], row.metrics["mean_iou"]


def _without(found: Mapping[str, Found], failures: Mapping[str, str]) -> dict[str, Found]:
    return {i: ImageError(failures[i]) if i in failures else one for i, one in found.items()}


def _row(run: Run, found: Mapping[str, Found], kept: Mapping[str, Found]) -> Row:
    scores = run.evaluation.score(kept)
    seconds = run.folder.facts["seconds"]
    metrics = {
        **run.evaluation.metrics(scores, found, run.folder),
        "seconds_per_image": seconds["method"] / max(seconds["images"], 1),
    }
    return Row(run=run, scores=scores, metrics=metrics)


def _context(first: Row, found: Mapping[str, Found]) -> dict[str, Any]:
    """The constant boxes with their differences to the first run, and the data's oddities."""
    evaluation = first.run.evaluation
    context = evaluation.context(found, dict(first.run.folder.digests()))
    for name, row in context["baselines"].items():
        shares = (row["share_of_height"], row["share_of_width"])
        constant = score_constant(evaluation.units, found, shares)
        context["baselines"][name] = {**row, **_against(first, constant)}
    return context


def _against(first: Row, other: Scores) -> dict[str, Any]:
    """How much better than the first; nothing for the first itself."""
    if other is first.scores:
        return {}
    strict = first.run.evaluation.protocol.strict
    ours, theirs = other.ious, first.scores.ious
    hits = [is_hit(ious, strict=strict) for ious in (ours, theirs)]
    pairs = {"corloc": [one.astype(np.float64) for one in hits], "mean_iou": [ours, theirs]}
    spreads = {
        name: paired_difference(a, b, first.scores.image_ids) for name, (a, b) in pairs.items()
    }
    return {
        "difference": {name: [one.mean, one.low, one.high] for name, one in spreads.items()},
        "mcnemar": mcnemar(*hits),
    }


def _of_maps(runs: Iterable[Run], failures: Mapping[str, str], track: Track) -> dict[str, Any]:
    """The scores of the saved maps by wsolevaluation's protocol, by method."""
    first_of: dict[Path, Run] = {}
    for run in runs:
        if run.maps is not None and (run.maps / HEADER).exists():
            first_of.setdefault(run.maps, run)
    return {
        run.name.partition(" | ")[0]: wsol_scores(
            open_maps(maps),
            [sample for sample in run.evaluation.samples if sample.image_id not in failures],
            {image_id: units[0].boxes for image_id, units in run.evaluation.units.items()},
            run.evaluation.plan.classifier.preprocessing.frame,
        )
        for one in track(([item] for item in first_of.items()), len(first_of), "scoring maps")
        for maps, run in one
    }


def _line(row: Row) -> dict[str, Any]:
    run = row.run
    return {
        "run": run.name,
        "folder": run.folder.path.name,
        "model": run.evaluation.plan.classifier.name,
        "method": run.evaluation.plan.method.text,
        "box": run.evaluation.plan.method.box_text,
        "class_from": run.evaluation.class_from,
        **{key: row.metrics[key] for key in _SHOWN if key in row.metrics},
    }
