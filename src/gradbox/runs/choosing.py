"""Which images of a run to box next: the least trusted ones, that differ from each other."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gradbox.errors import UsageError
from gradbox.images.batches import WORKERS, Loaded, load_batches
from gradbox.localization import Localization, Sample
from gradbox.progress import Track, silent
from gradbox.results.finished import Seen, preprocessing_of, read_run, run_facts

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
    facts = run_facts(run)
    is_calibrated = bool(facts.get("is_calibrated"))
    counted = _Counted(boxed)
    trusted = (
        (_trust(one.found, is_calibrated), number, _placed(one, images))
        for number, one in enumerate(counted.rest(read_run(run)))
        if isinstance(one.found, Localization) and not one.found.blank
    )
    pool = heapq.nsmallest(count * POOL, trusted, key=lambda one: one[:2])
    problems = {i: "it is no file" for _, _, (i, source) in pool if source is None}
    known = [
        Choice(image_id=image_id, source=source, trust=trust)
        for trust, _, (image_id, source) in pool
        if source is not None
    ]
    preprocessing = replace(
        preprocessing_of(facts["call"]), size=(_SIDE, _SIDE), resize="squash", reduced=True
    )
    samples = [Sample(image_id=str(i), source=one.source) for i, one in enumerate(known)]
    batches = load_batches(samples, preprocessing, batch_size=_BATCH, workers=workers)
    usable, copies = [], []
    for batch in track(batches, len(samples), "looking"):
        for one in batch:
            choice = known[int(one.sample.image_id)]
            if isinstance(one, Loaded):
                usable.append(choice)
                copies.append(one.pixels.ravel() / 255)
            else:
                problems[choice.image_id] = str(one.error)
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

    def rest(self, seen: Iterator[Seen]) -> Iterator[Seen]:
        for one in seen:
            if one.image_id in self._boxed:
                self.n_boxed += 1
            else:
                yield one


def _trust(found: Localization, is_calibrated: bool) -> float:
    return max(found.scores if is_calibrated else found.label_scores, default=0.0)


def _placed(one: Seen, images: Path | None) -> tuple[str, str | None]:
    return one.image_id, one.source if images is None else str(images / one.image_id)
