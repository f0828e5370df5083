"""Names for a list of classes."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""Control characters, line ends, halves of characters, and what is no character: what XML, YAML or
a file with one name a line cannot hold."""


def distinct_names(labels: Iterable[int | None], names: Callable[[int | None], str]) -> list[str]:
    """The name of each label, with its index where labels share it: ImageNet has two cranes.

    Readers look classes up by name, and some fail on two of one name.

    >>> distinct_names([134, 517, 7], {7: "cock", 134: "crane", 517: "crane"}.__getitem__)
    ['crane (134)', 'crane (517)', 'cock']
    """
    labels = list(labels)
    named = [names(label) for label in labels]
    while len(counts := Counter(named)) < len(named):  # again: a class may be named as another was
        named = [
            name if counts[name] == 1 else f"{name} ({label})"
            for label, name in zip(labels, named, strict=True)
        ]
    return named


def printable(text: str) -> str:
    r"""The text in one line that every format can hold: the rest as its escape.

    >>> printable("a\nb"), printable("\x7f"), printable("käfer")
    ('a\\nb', '\\x7f', 'käfer')
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
