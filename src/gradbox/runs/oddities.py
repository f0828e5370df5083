"""What is odd about the images of a data set: of one colour, or there twice."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import UInt64

from gradbox.datasets.subsets import Subset
from gradbox.errors import ImageError
from gradbox.images.batches import hash_source
from gradbox.localization import ImageFile, Localization, Sample

Digests = Callable[[], Iterable[tuple[str, str]]]
"""Image ids with their SHA-256, as often as they are asked for."""
_SHOWN = 8  # of the names of one image


@dataclass
class Blank:
    """How many images of one colour there are, and the first of them."""

    count: int = 0
    first: str = ""

    def add(self, found: Localization) -> None:
        """Count an image, if it is one."""
        if found.blank:
            self.first = self.first or found.image_id
            self.count += 1


def oddities(
    blank: Blank, n_images: int, digests: Digests, others: Sequence[Sample]
) -> Iterator[str]:
    """Constant images and images that are there twice, each kind as a line to warn with.

    Of each hash the first eight bytes are kept, by which no two of 50 million images are alike.

    Args:
        blank: the images of one colour.
        n_images: how many images there are.
        digests: of the scored images.
        others: the images of the split's other parts, from which boxes and baselines may be fitted.
    """
    if blank.count:
        yield f"{blank.count} of {n_images} images of one colour, such as {blank.first}"
    keys = _keys(digests())
    known, first, counts = np.unique(keys, return_index=True, return_counts=True)
    twins = counts > 1
    if twins.any():
        names = _named(int(keys[first[twins].min()]), digests)
        yield (
            f"{counts[twins].sum()} of {len(keys)} images there twice, such as {' = '.join(names)}"
        )
    n_leaks, leak = 0, None
    for other, digest in file_hashes(others):
        if _has(known, key := _key(digest)):
            n_leaks, leak = n_leaks + 1, leak or (key, other)
    if leak is not None:
        key, other = leak
        yield (
            f"{n_leaks} of {len(others)} images of the other parts also among the scored "
            f"ones, such as {other} = {_named(key, digests)[0]}"
        )


def without_twins(samples: Sequence[Sample], scored: Sequence[Sample]) -> Sequence[Sample]:
    """The samples whose files are not also among the scored ones under another name."""
    seen = np.unique(_keys(file_hashes(scored)))
    hashed = ((number, file_hashes([one])) for number, one in enumerate(samples))
    return Subset(
        samples,
        (number for number, one in hashed if not any(_has(seen, _key(d)) for _, d in one)),
    )


def _key(digest: str) -> int:
    return int(digest[:16], 16)


def _keys(digests: Iterable[tuple[str, str]]) -> UInt64[np.ndarray, "n"]:
    return np.fromiter((_key(digest) for _, digest in digests), np.uint64)


def _has(known: UInt64[np.ndarray, "n"], key: int) -> bool:
    """Whether a key is among these, which are sorted."""
    place = np.searchsorted(known, np.uint64(key))
    return bool(place < len(known) and known[place] == key)


def _named(key: int, digests: Digests) -> list[str]:
    """The first images with this key."""
    return list(islice((image_id for image_id, one in digests() if _key(one) == key), _SHOWN))


def file_hashes(samples: Iterable[Sample]) -> Iterator[tuple[str, str]]:
    """Image ids with the SHA-256 of their files; what is no file, or unreadable, is left out."""
    for sample in samples:
        if not isinstance(sample.source, ImageFile):
            continue
        try:
            digest = hash_source(sample.source)
        except ImageError:
            continue
        yield sample.image_id, digest
