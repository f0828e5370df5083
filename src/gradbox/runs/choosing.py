"""Which images of a run to box next: the least trusted ones, that differ from each other."""

import heapq
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gradbox.errors import UsageError
from gradbox.images.batches import WORKERS, Failed, load_batches
from gradbox.localization import Found, Localization, Sample
from gradbox.progress import Track, silent
from gradbox.results.finished import open_finished, preprocessing_of
from gradbox.stores import is_url

POOL = 10
"""Times as many images as are asked for are looked at, the least trusted ones."""
_SIDE = 8
"""Pixels of a side of the copies that are compared."""
_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An image to box: where it is, and how far its best box can be trusted, in [0, 1]."""

    image_id: str
    source: str
    trust: float


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The images to box, in this order, and why others were passed over, by image id.

    `n_boxed` images of the run have boxes already.
    """

    chosen: Sequence[Choice]
    problems: Mapping[str, str]
    n_boxed: int


def choose_next(
    run: Path,
    count: int,
    *,
    boxed: Collection[str] = (),
    images: Path | None = None,
    workers: int = WORKERS,
    track: Track = silent,
) -> Choices:
    """The images that are worth most to box: uncertain ones, that differ from each other.

    The first is the least trusted one; each next one is that with the largest product of distrust
    and of the distance from all before it. Trust is the best score of an image where scores are
    probabilities, else the best probability of a class, and 0 without a box; the distance is that
    of copies of 8 x 8 pixels. Memory does not grow with the run: the least trusted `POOL` times
    `count` images are looked at.

    Args:
        run: the folder of a finished run.
        count: how many.
        boxed: ids of images that are left out.
        images: the folder of the images, where they are not any more where the run found them.
        workers: threads that decode images.
        track: shows the progress.

    Raises:
        UsageError: no finished run, or none of its images is there to be boxed.
    """
    finished = open_finished(run)
    counted = _Counted(boxed)
    trusted = (
        (_trust(found, bool(finished.facts.get("is_calibrated"))), number, sample)
        for number, (sample, found) in enumerate(counted.rest(finished.pairs()))
        if isinstance(found, Localization) and not found.blank
    )
    pool = heapq.nsmallest(count * POOL, trusted, key=lambda one: one[:2])
    samples = [_placed(sample, images) for _, _, sample in pool]
    trust_of = {sample.image_id: trust for trust, _, sample in pool}
    preprocessing = replace(
        preprocessing_of(finished.facts["call"]), size=(_SIDE, _SIDE), resize="squash", reduced=True
    )
    batches = load_batches(samples, preprocessing, batch_size=_BATCH, workers=workers)
    usable, copies, problems = [], [], {}
    for batch in track(batches, len(samples), "looking"):
        for one in batch:
            image_id, source = one.sample.image_id, str(one.sample.source)
            if isinstance(one, Failed):
                problems[image_id] = str(one.error)
            elif not (os.path.isabs(source) or is_url(source)):
                problems[image_id] = "it is no file"
            else:
                usable.append(Choice(image_id=image_id, source=source, trust=trust_of[image_id]))
                copies.append(one.pixels.ravel() / 255)
    if not usable and problems:
        why = next(iter(problems.values()))
        raise UsageError(f"{run}: no image can be read ({why}): --images DIR says where they are")
    if not usable:
        raise UsageError(
            f"{run} has no image left to box: {counted.n_boxed} have boxes already, and the others "
            "failed or are of one colour"
        )
    order = spread(np.array([one.trust for one in usable]), np.stack(copies), count)
    return Choices(chosen=[usable[i] for i in order], problems=problems, n_boxed=counted.n_boxed)


def spread(
    trust: Float[np.ndarray, "n"], copies: Float[np.ndarray, "n d"], count: int
) -> list[int]:
    """The numbers of at most `count` rows: little trusted, and far from those before them.

    Of equal products the less trusted row goes first, then the earlier one.

    >>> spread(np.array([0.1, 0.2, 0.6]), np.array([[0.0], [0.1], [1.0]]), 2)
    [0, 2]
    """
    chosen: list[int] = []
    distance = np.full(len(trust), np.inf)
    while len(chosen) < min(count, len(trust)):
        worth = (1 - trust) * distance if chosen else 1 - trust
        worth[chosen] = -1.0
        best = int(np.lexsort((trust, -worth))[0])
        chosen.append(best)
        from_best = np.sqrt(((copies - copies[best]) ** 2).mean(axis=1))
        distance = np.minimum(distance, from_best)
    return chosen


class _Counted:
    """Images without those that have boxes already, of which it counts how many there were."""

    def __init__(self, boxed: Collection[str]) -> None:
        self._boxed = frozenset(boxed)
        self.n_boxed = 0

    def rest(self, pairs: Iterator[tuple[Sample, Found]]) -> Iterator[tuple[Sample, Found]]:
        for sample, found in pairs:
            if sample.image_id in self._boxed:
                self.n_boxed += 1
            else:
                yield sample, found


def _trust(found: Localization, is_calibrated: bool) -> float:
    return max(found.scores if is_calibrated else found.label_scores, default=0.0)


def _placed(sample: Sample, images: Path | None) -> Sample:
    if images is None:
        return Sample(image_id=sample.image_id, source=sample.source)
    return Sample(image_id=sample.image_id, source=images.absolute() / sample.image_id)
