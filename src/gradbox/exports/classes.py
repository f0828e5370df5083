"""Names for a list of classes."""

from collections import Counter
from collections.abc import Callable, Iterable


def distinct_names(labels: Iterable[int | None], names: Callable[[int | None], str]) -> list[str]:
    """The name of each label, with its index where labels share it: ImageNet has two cranes.

    Readers look classes up by name, and some fail on two of one name.

    >>> distinct_names([134, 517, 7], {7: "cock", 134: "crane", 517: "crane"}.__getitem__)
    ['crane (134)', 'crane (517)', 'cock']
    """
    named = [(label, names(label)) for label in labels]
    counts = Counter(name for _, name in named)
    return [name if counts[name] == 1 else f"{name} ({label})" for label, name in named]
