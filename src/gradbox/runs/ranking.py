"""The numbers of a comparison: finished runs held against each other on the same images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gradbox.errors import UsageError
from gradbox.files import write_json
from gradbox.progress import Track, silent
from gradbox.results.failures import Failures
from gradbox.results.heatmaps import HEADER, open_maps
from gradbox.results.opening import AnyRun
from gradbox.runs.evaluation import Evaluation
from gradbox.runs.scoring import score_constants, score_run
from gradbox.runs.shared_images import SharedImages
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
    """All rows of the table, best first; `context` has what does not depend on the run.

    `failures` are the images that failed in some run, and are scored in none.
    """

    rows: Sequence[Row]
    context: Mapping[str, Any]
    failures: Failures

    def table(self) -> dict[str, Any]:
        """What `compare.json` says."""
        first = self.rows[0].metrics
        shared = ("n_images", "n_units", "iou_threshold", "iou_strict")
        return {
            **{key: first[key] for key in shared},
            "runs": [_line(row) for row in self.rows],
            **self.context,
            "n_failures": self.failures.count,
            "failures": dict(self.failures),
        }


def rank(runs: Sequence[Run], track: Track = silent) -> Ranking:
    """Score the runs on the images that failed in none of them, and write their `metrics.json`.

    The constant boxes and all runs but the first have their `difference` to the first, each as
    mean, low and high of a 95 % interval (paired bootstrap over images), and `mcnemar`, the p-value
    for CorLoc. The images' numbers are their places in the run that was asked for first.

    Raises:
        UsageError: every image failed in some run.
    """
    shared = SharedImages(run.folder.outcomes for run in runs)
    if not shared.are_scored.any():
        image_id, reason = min(shared.failures.items())
        raise UsageError(f"nothing to compare: every image failed, {image_id} since {reason}")
    rows = [_row(run, shared) for run in runs]
    first = max(rows, key=_merit)
    context = _context(first, shared)
    context["wsol"] = _of_maps(runs, shared, track)
    compared = [
        replace(one, metrics={**one.metrics, **_against(first, one.scores)}) for one in rows
    ]
    for row in compared:
        with row.run.folder.writing() as path:
            write_json(path / "metrics.json", row.metrics)
    rows = sorted(compared, key=_merit, reverse=True)
    return Ranking(rows=rows, context=context, failures=shared.failures)


def _merit(row: Row) -> tuple[float, float]:
    return row.metrics["corloc"], row.metrics["mean_iou"]


def _row(run: Run, shared: SharedImages) -> Row:
    scores, metrics = score_run(run.evaluation, run.folder, shared.number_of)
    seconds = run.folder.facts["seconds"]
    per_image = seconds["method"] / max(seconds["images"], 1)
    return Row(run=run, scores=scores, metrics={**metrics, "seconds_per_image": per_image})


def _context(first: Row, shared: SharedImages) -> dict[str, Any]:
    """The constant boxes with their differences to the first run, and the data's oddities."""
    run = first.run
    scores, context = score_constants(run.evaluation, run.folder, shared.number_of)
    for name, constant in scores.items():
        context["baselines"][name] |= _against(first, constant)
    return context


def _against(first: Row, other: Scores) -> dict[str, Any]:
    """How much better than the first; nothing for the first itself."""
    if other is first.scores:
        return {}
    strict = first.run.evaluation.protocol.strict
    images, theirs = _by_image(first.scores)
    _, ours = _by_image(other)
    hits = [is_hit(ious, strict=strict) for ious in (ours, theirs)]
    pairs = {"corloc": [one.astype(np.float64) for one in hits], "mean_iou": [ours, theirs]}
    spreads = {name: paired_difference(a, b, images) for name, (a, b) in pairs.items()}
    return {
        "difference": {name: [one.mean, one.low, one.high] for name, one in spreads.items()},
        "mcnemar": mcnemar(*hits),
    }


def _by_image(scores: Scores) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """The images and IoUs of the units in the order of the images: runs may have another one."""
    order = np.argsort(scores.images, kind="stable")
    return scores.images[order], scores.ious[order]


def _of_maps(runs: Iterable[Run], shared: SharedImages, track: Track) -> dict[str, Any]:
    """The scores of the saved maps by wsolevaluation's protocol, by method."""
    first_of: dict[Path, Run] = {}
    for run in runs:
        if run.maps is not None and (run.maps / HEADER).exists():
            first_of.setdefault(run.maps, run)
    return {
        run.name.partition(" | ")[0]: wsol_scores(
            open_maps(maps),
            shared.scored(run.evaluation.samples),
            run.evaluation.first_boxes,
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
