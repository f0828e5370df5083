"""The images that runs have in common, and that failed in none of them."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Int, UInt64

from gradbox.datasets.subsets import Subset
from gradbox.localization import Sample
from gradbox.results.failures import Failures
from gradbox.results.predictions import Outcome

Outcomes = Callable[[], Iterable[Outcome]]
"""What came of the images of a run, in its order."""


class SharedImages:
    """The numbers of the images that are scored: their places in the first of some runs.

    Of each image 8 bytes of a hash are kept, and 16 more where runs have them in another order.
    """

    def __init__(self, runs: Iterable[Outcomes]) -> None:
        first, *others = runs
        self.failures = Failures()
        self._keys: UInt64[np.ndarray, n] = np.fromiter(
            (_key(one.image_id) for one in first()), np.uint64
        )
        self._order: Int[np.ndarray, n] | None = None
        times = np.zeros(len(self._keys), dtype=np.int32)
        self.are_scored = np.ones(len(self._keys), dtype=bool)
        for run in (first, *others):
            for place, one in enumerate(run()):
                number = self._number(place, one.image_id)
                if number is None:
                    continue
                times[number] += 1
                if one.error is not None:
                    if self.are_scored[number]:
                        self.failures.add(one.image_id, one.error)
                    self.are_scored[number] = False
        self.are_scored &= times == 1 + len(others)

    def number_of(self, place: int, image_id: str) -> int | None:
        """The number of an image by its place in some run; None where it is not scored."""
        number = self._number(place, image_id)
        return number if number is not None and self.are_scored[number] else None

    def scored(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """Those of the samples that are scored."""
        numbers = (
            place
            for place, sample in enumerate(samples)
            if self.number_of(place, sample.image_id) is not None
        )
        return Subset(samples, numbers)

    def _number(self, place: int, image_id: str) -> int | None:
        key = _key(image_id)
        if place < len(self._keys) and self._keys[place] == key:
            return place
        if self._order is None:
            self._order = np.argsort(self._keys)
        at = int(np.searchsorted(self._keys, np.uint64(key), sorter=self._order))
        number = int(self._order[at]) if at < len(self._order) else None
        return number if number is not None and self._keys[number] == key else None


def _key(image_id: str) -> int:
    return int.from_bytes(
        blake2b(image_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    )
