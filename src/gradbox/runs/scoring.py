"""A finished run held against the truth, image by image, by whichever number of them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gradbox.localization import Localization, Sample
from gradbox.results.opening import AnyRun
from gradbox.runs.evaluation import Evaluation
from gradbox.runs.oddities import Blank, oddities
from gradbox.scores import run_detection, run_masks
from gradbox.scores.baselines import baseline, constant_boxes, constant_units
from gradbox.scores.boxes import Scores
from gradbox.scores.calibration import calibration
from gradbox.scores.detection import Detections
from gradbox.scores.proposals import OfImage, Proposed
from gradbox.scores.units import summary, units

NumberOf = Callable[[int, str], int | None]
"""The number of an image by its place in a run and its id, None where it is not scored."""


def usual_number(place: int, _: str) -> int:
    """Each image that did not fail is scored, and its number is its place."""
    return place


def score_run(
    evaluation: Evaluation, run: AnyRun, number_of: NumberOf = usual_number
) -> tuple[Scores, dict[str, Any]]:
    """The scores of a run, and what `metrics.json` says of its method."""
    method, strict = evaluation.plan.method, evaluation.protocol.strict
    has_proposals = method.proposals is not None
    naming, index_of = evaluation.plan.classifier.class_name, evaluation.index_of
    by_class = _is_by_class(evaluation, run, number_of)
    scores, boxes, proposed = Scores(), Detections(), Proposed()
    masks = run_masks.CandidateScores(run_masks.run_candidates)
    kinds = {"masks": evaluation.protocol.has_masks, "proposals": has_proposals}
    for number, sample, found in _scored(run, number_of, **kinds):
        truth = run_detection.targets(sample, index_of, by_class=by_class)
        for unit in units(
            number, evaluation.units_of(sample), found, evaluation.class_from, naming
        ):
            scores.add(unit)
        for match in run_detection.matches(number, truth, found):
            boxes.add(match)
        masks.add(number, sample, found)
        if has_proposals:
            proposed.add(OfImage.of(number, found.regions, sample.boxes))
    return scores, {
        "supervision": evaluation.supervision,
        **summary(scores, strict=strict),
        "detection": run_detection.summary(boxes, by_class=by_class),
        **({"proposals": proposed.summary()} if has_proposals else {}),
        "masks": run_masks.of_run(masks.by_name),
        "calibration": calibration(scores, strict=strict, is_calibrated=method.is_calibrated),
        "n_failed": sum(one.error is not None for one in run.outcomes()),
        "n_without_unit": evaluation.n_without_unit,
    }


def score_constants(
    evaluation: Evaluation, run: AnyRun, number_of: NumberOf = usual_number
) -> tuple[Mapping[str, Scores], dict[str, Any]]:
    """The scores of constant boxes on the same units, and what does not depend on the method."""
    others = evaluation.protocol.others
    shares = constant_boxes(others or evaluation.samples)
    by_class = _is_by_class(evaluation, run, number_of)
    index_of, blank = evaluation.index_of, Blank()
    scores = {name: Scores() for name in shares}
    boxes = {name: Detections() for name in shares}
    masks = run_masks.CandidateScores(run_masks.constant_candidates(shares))
    for number, sample, found in _scored(run, number_of):
        truth = run_detection.targets(sample, index_of, by_class=by_class)
        known = evaluation.units_of(sample)
        for name, share in shares.items():
            for unit in constant_units(number, known, found.size, share):
                scores[name].add(unit)
            for match in run_detection.constant_matches(number, truth, found, share):
                boxes[name].add(match)
        masks.add(number, sample, found)
        blank.add(found)
    filled = {name: {"box_filled": run_masks.summary(one)} for name, one in masks.by_name.items()}
    rows = {
        name: {
            **baseline(name, scores[name], share, oracle=not others),
            "detection": run_detection.summary(boxes[name], by_class=by_class),
            "masks": filled.get(name, {}),
        }
        for name, share in shares.items()
    }
    return scores, {
        "baselines": rows,
        "problems": [
            *evaluation.protocol.dataset.problems,
            *oddities(blank, len(evaluation.samples), run.digests, others),
            *evaluation.plan.classifier.doubts.lines,
        ],
    }


def _scored(
    run: AnyRun, number_of: NumberOf, **kinds: bool
) -> Iterator[tuple[int, Sample, Localization]]:
    """The images that are scored, with their numbers."""
    for place, (sample, found) in enumerate(run.pairs(**kinds)):
        number = number_of(place, sample.image_id)
        if number is not None and isinstance(found, Localization):
            yield number, sample, found


def _is_by_class(evaluation: Evaluation, run: AnyRun, number_of: NumberOf) -> bool:
    """Whether a box has to have the class of the true box that it hits."""
    found = (found for _, _, found in _scored(run, number_of))
    return evaluation.by_class and run_detection.name_classes(found)
