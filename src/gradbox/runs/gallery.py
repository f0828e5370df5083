"""The pictures of a report: the best, the median and the worst cases of a run."""

from collections.abc import Sequence
from dataclasses import replace

from gradbox.images.batches import WORKERS, Failed
from gradbox.localization import Localization
from gradbox.reports.report import Case
from gradbox.runs.evaluation import Evaluation
from gradbox.runs.plan import chunks
from gradbox.runs.writing import draw
from gradbox.scores.boxes import Scores


def gallery(evaluation: Evaluation, scores: Scores, count: int = 4) -> list[Case]:
    """`count` best, median and worst images by the IoU of their first unit, localized once more.

    Which images these are is known only at the end, and the maps of all are not kept until then.
    Few images are not shown twice: the median and the worst ones then are fewer.
    """
    ious: dict[str, float] = {}
    for unit in scores.units:
        ious.setdefault(unit.image_id, unit.iou)
    group_of = _choose(sorted(ious, key=lambda image_id: (-ious[image_id], image_id)), count)
    samples = [sample for sample in evaluation.plan.samples if sample.image_id in group_of]
    plan = replace(evaluation.plan, samples=samples)
    pictures = {}
    for chunk in chunks([plan], batch_size=count, workers=WORKERS, details=True, originals=True):
        for loaded, found in zip(chunk.loaded, chunk.found[0], strict=True):
            if isinstance(found, Localization) and not isinstance(loaded, Failed):
                shown = replace(found, regions=())
                pictures[found.image_id] = draw(loaded, shown, with_truth=True)
    return [
        Case(group, f"{image_id}, IoU {ious[image_id]:.2f}", pictures[image_id])
        for image_id, group in group_of.items()
        if image_id in pictures
    ]


def _choose(best_first: Sequence[str], count: int) -> dict[str, str]:
    """The group of each image that is shown."""
    middle = max((len(best_first) - count) // 2, 0)
    groups = {
        "best": best_first[:count],
        "median": best_first[middle : middle + count],
        "worst": best_first[-count:],
    }
    chosen: dict[str, str] = {}
    for group, image_ids in groups.items():
        for image_id in image_ids:
            chosen.setdefault(image_id, group)
    return chosen
