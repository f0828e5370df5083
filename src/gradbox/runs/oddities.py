"""What is odd about the images of a data set: of one colour, or there twice."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gradbox.errors import ImageError
from gradbox.images.batches import hash_source
from gradbox.localization import Found, ImageFile, Localization, Sample


def oddities(
    found: Mapping[str, Found], hashes: Mapping[str, str], others: Sequence[Sample]
) -> Iterator[str]:
    """Constant images and images that are there twice, each kind as a line to warn with.

    Args:
        found: what was found in the scored images.
        hashes: SHA-256 of the scored images.
        others: the images of the split's other parts, from which boxes and baselines may be fitted.
    """
    blank = [i for i, one in found.items() if isinstance(one, Localization) and one.blank]
    if blank:
        yield f"{len(blank)} of {len(found)} images of one colour, such as {blank[0]}"
    by_hash: dict[str, list[str]] = defaultdict(list)
    for image_id, digest in hashes.items():
        by_hash[digest].append(image_id)
    twins = [same for same in by_hash.values() if len(same) > 1]
    if twins:
        count = sum(map(len, twins))
        yield f"{count} of {len(hashes)} images there twice, such as {' = '.join(twins[0])}"
    leaks = [(by_hash[d][0], other) for other, d in file_hashes(others) if d in by_hash]
    if leaks:
        yield (
            f"{len(leaks)} of {len(others)} images of the other parts also among the scored "
            f"ones, such as {leaks[0][1]} = {leaks[0][0]}"
        )


def without_twins(samples: Sequence[Sample], scored: Sequence[Sample]) -> list[Sample]:
    """The samples whose files are not also among the scored ones under another name."""
    seen = {digest for _, digest in file_hashes(scored)}
    twins = {image_id for image_id, digest in file_hashes(samples) if digest in seen}
    return [sample for sample in samples if sample.image_id not in twins]


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
