"""The numbers of a comparison: finished runs held against each other on the same images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.scores.bootstrap import mcnemar, paired_difference
from gradbox.errors import ImageError, UsageError
from gradbox.files import write_json
from gradbox.results.heatmaps import open_maps
from gradbox.scores.boxes import Scores, is_hit
from gradbox.progress import Track, silent
from gradbox.results.run_folder import Found, RunFolder, read_predictions
from gradbox.scores.units import HEADLINE, score_constant
from gradbox.runs.evaluation import Trial
from gradbox.scores.wsol.maps import wsol_scores

_SHOWN = (
    *HEADLINE,
    "pointing_game",
    "masks",
    "supervision",
    "n_failed",
    "seconds_per_image",
    "difference",
    "mcnemar",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One run: its trial, its finished folder, and where its heat maps are kept, if they are."""

    name: str
    trial: Trial
    folder: RunFolder
    maps: Path | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What came of one run: `metrics` is its `metrics.json` and how it compares to the first."""

    entry: Entry
    scores: Scores
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Standings:
    """All results, best first; `context` has what does not depend on the run."""

    results: Sequence[Result]
    context: Mapping[str, Any]
    failures: Mapping[str, str]

    def table(self) -> dict[str, Any]:
        """What `compare.json` says."""
        first = self.results[0].metrics
        shared = ("n_images", "n_units", "iou_threshold", "iou_strict")
        return {
            **{key: first[key] for key in shared},
            "runs": [_row(result) for result in self.results],
            **self.context,
            "failures": dict(self.failures),
        }


def stand(entries: Sequence[Entry], track: Track = silent) -> Standings:
    """Score the runs on the images that failed in none of them, and write their `metrics.json`.

    The constant boxes and all runs but the first have their `difference` to the first, each as
    mean, low and high of a 95 % interval (paired bootstrap over images), and `mcnemar`, the p-value
    for CorLoc.

    Raises:
        UsageError: every image failed in some run.
    """
    found = [dict(read_predictions(entry.folder.predictions)) for entry in entries]
    failures = {
        image_id: str(one)
        for of_run in found
        for image_id, one in of_run.items()
        if isinstance(one, ImageError)
    }
    kept = [_without(of_run, failures) for of_run in found]
    results = [_result(entry, *pair) for entry, *pair in zip(entries, found, kept, strict=True)]
    if not results[0].scores.units:
        image_id, reason = min(failures.items())
        raise UsageError(f"nothing to compare: every image failed, {image_id} since {reason}")
    first = max(results, key=_merit)
    context = _context(first, kept[results.index(first)])
    context["wsol"] = _of_maps(entries, failures, track)
    compared = [
        replace(one, metrics={**one.metrics, **_against(first, one.scores)}) for one in results
    ]
    for result in compared:
        write_json(result.entry.folder.path / "metrics.json", result.metrics)
    results = sorted(compared, key=_merit, reverse=True)
    return Standings(results=results, context=context, failures=failures)


def _merit(result: Result) -> tuple[float, float]:
    return result.metrics["corloc"], result.metrics["mean_iou"]


def _without(found: Mapping[str, Found], failures: Mapping[str, str]) -> dict[str, Found]:
    return {i: ImageError(failures[i]) if i in failures else one for i, one in found.items()}


def _result(entry: Entry, found: Mapping[str, Found], kept: Mapping[str, Found]) -> Result:
    scores = entry.trial.score(kept)
    seconds = entry.folder.facts["seconds"]
    metrics = {
        **entry.trial.metrics(scores, found, entry.folder),
        "seconds_per_image": seconds["method"] / max(seconds["images"], 1),
    }
    return Result(entry=entry, scores=scores, metrics=metrics)


def _context(first: Result, found: Mapping[str, Found]) -> dict[str, Any]:
    """The constant boxes with their differences to the first run, and the data's oddities."""
    trial = first.entry.trial
    context = trial.context(found, first.entry.folder.hashes)
    for name, row in context["baselines"].items():
        shares = (row["share_of_height"], row["share_of_width"])
        constant = score_constant(trial.units, found, shares)
        context["baselines"][name] = {**row, **_against(first, constant)}
    return context


def _against(first: Result, other: Scores) -> dict[str, Any]:
    """How much better than the first; nothing for the first itself."""
    if other is first.scores:
        return {}
    strict = first.entry.trial.terms.strict
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


def _of_maps(entries: Iterable[Entry], failures: Mapping[str, str], track: Track) -> dict[str, Any]:
    """The scores of the saved maps by wsolevaluation's protocol, by method."""
    first_of: dict[Path, Entry] = {}
    for entry in entries:
        if entry.maps is not None and (entry.maps / "maps.npy").exists():
            first_of.setdefault(entry.maps, entry)
    return {
        entry.name.partition(" | ")[0]: wsol_scores(
            open_maps(maps),
            [sample for sample in entry.trial.samples if sample.image_id not in failures],
            {image_id: units[0].boxes for image_id, units in entry.trial.units.items()},
            entry.trial.plan.classifier.preprocessing.frame,
        )
        for one in track(([item] for item in first_of.items()), len(first_of), "scoring maps")
        for maps, entry in one
    }


def _row(result: Result) -> dict[str, Any]:
    entry = result.entry
    return {
        "run": entry.name,
        "folder": entry.folder.path.name,
        "model": entry.trial.plan.classifier.name,
        "method": entry.trial.plan.method.method,
        "box": entry.trial.plan.method.box,
        "class_from": entry.trial.class_from,
        **{key: result.metrics[key] for key in _SHOWN if key in result.metrics},
    }
