"""Parts of a data set that depend on the seed and on the images' names alone."""

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from jaxtyping import Int

from gradbox.errors import UsageError
from gradbox.localization import Sample

_TOLERANCE = 1e-9


class Subset(Sequence[Sample]):
    """Some images of a sequence, in its order; only their numbers are held."""

    def __init__(self, samples: Sequence[Sample], numbers: Iterable[int]) -> None:
        self._samples = samples
        self.numbers = array("q", numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return Subset(self._samples, self.numbers[index])
        return self._samples[self.numbers[index]]


def parse_split(text: str) -> tuple[float, ...]:
    """Shares of a split from text.

    >>> parse_split("0.75/0.125/0.125")
    (0.75, 0.125, 0.125)

    Raises:
        UsageError: not numbers, not positive, or more than 1 together.
    """
    try:
        shares = tuple(float(share) for share in text.split("/"))
    except ValueError:
        raise UsageError(f"split {text!r}: write shares as in 0.5/0.5") from None
    _check(shares)
    return shares


def split(samples: Sequence[Sample], shares: Sequence[float], part: int, seed: int) -> Subset:
    """One part of a random split by image, in the order of `samples`.

    The parts of one seed are disjoint. Their sizes follow the shares by largest remainder, so that
    shares that add up to 1 use every image; what is missing to 1 is a last part that nobody gets.
    The order of `samples` does not matter, only their ids.

    Args:
        samples: with different ids.
        shares: positive, at most 1 together.
        part: counted from 1.
        seed: 0 or more.

    Raises:
        UsageError: an argument out of range.
    """
    _check(shares)
    if not 1 <= part <= len(shares):
        raise UsageError(f"part {part}: the split has the parts 1 to {len(shares)}")
    unused = max(1.0 - math.fsum(shares), 0.0)
    sizes = _sizes(len(samples), [*shares, unused if unused > _TOLERANCE else 0.0])
    start = sum(sizes[: part - 1])
    chosen = _shuffled(samples, seed)[start : start + sizes[part - 1]]
    return Subset(samples, np.sort(chosen).tolist())


def limit(samples: Sequence[Sample], n: int, seed: int) -> Subset:
    """`n` random images, or all where there are fewer, in the order of `samples`.

    Raises:
        UsageError: `n` below 1 or `seed` below 0.
    """
    if n < 1:
        raise UsageError(f"limit {n}: write a number of images, 1 or more")
    return Subset(samples, np.sort(_shuffled(samples, seed)[:n]).tolist())


def _check(shares: Sequence[float]) -> None:
    if not all(share > 0 for share in shares) or not math.fsum(shares) <= 1 + _TOLERANCE:
        text = "/".join(f"{share:g}" for share in shares)
        raise UsageError(f"split {text!r}: shares are positive and at most 1 together, as 0.5/0.5")


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    quotas = [count * share for share in shares]
    sizes = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: sizes[i] - quotas[i])
    for i in by_remainder[: count - sum(sizes)]:
        sizes[i] += 1
    return sizes


def _shuffled(samples: Sequence[Sample], seed: int) -> Int[np.ndarray, "n"]:
    """The numbers of the samples in an order that depends on their ids and the seed alone."""
    if seed < 0:
        raise UsageError(f"seed {seed}: write 0 or more")
    drawn = np.random.default_rng(seed).permutation(len(samples))
    if all(a < b for a, b in pairwise(sample.image_id for sample in samples)):
        return drawn
    image_ids = [sample.image_id for sample in samples]
    by_id = np.array(sorted(range(len(samples)), key=image_ids.__getitem__), dtype=np.int64)
    return by_id[drawn]
