"""The pictures of a report: the best, the median and the worst cases of a run."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from gradbox.images.batches import WORKERS, Failed
from gradbox.localization import Localization
from gradbox.reports.report import Case
from gradbox.results.opening import AnyRun
from gradbox.runs.evaluation import Evaluation
from gradbox.runs.plan import chunks
from gradbox.runs.writing import draw
from gradbox.scores.boxes import Scores


def gallery(evaluation: Evaluation, scores: Scores, run: AnyRun, count: int = 4) -> list[Case]:
    """`count` best, median and worst images by the IoU of their first unit, localized once more.

    Which images these are is known only at the end, and the maps of all are not kept until then.
    Few images are not shown twice: the median and the worst ones then are fewer. The images'
    numbers in `scores` are their places in `run`.
    """
    numbers, first = np.unique(scores.images, return_index=True)
    first_ious = scores.ious[first]
    chosen = _choose(np.lexsort((numbers, -first_ious)), count)
    of_number = {int(numbers[place]): (group, place) for place, group in chosen.items()}
    ids = {n: one.image_id for n, one in enumerate(run.outcomes()) if n in of_number}
    group_of = {ids[number]: group for number, (group, _) in of_number.items()}
    ious = {ids[number]: first_ious[place] for number, (_, place) in of_number.items()}
    samples = [sample for sample in evaluation.samples if sample.image_id in group_of]
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


def _choose(best_first: Int[np.ndarray, "n"], count: int) -> dict[int, str]:
    """The group of each image that is shown."""
    middle = max((len(best_first) - count) // 2, 0)
    groups = {
        "best": best_first[:count],
        "median": best_first[middle : middle + count],
        "worst": best_first[-count:],
    }
    chosen: dict[int, str] = {}
    for group, places in groups.items():
        for place in places.tolist():
            chosen.setdefault(place, group)
    return chosen
