"""A text of each registered part that can be built and run: its name, where that is enough."""

from collections.abc import Iterable

_WITH_PARTS = {
    "rise": "rise(calls=50)",
    "product": "product(sensitivity, dam, powers=[1, 0.35])",
    "mean": "mean(sensitivity, sensitivity(target=layer_mean))",
    "maximum": "maximum(sensitivity, smooth(sensitivity, sigma=3))",
    "foreground": "foreground(sizes=[32])",
    "average": "average(sensitivity, flips=true)",
    "smooth": "smooth(sensitivity, sigma=4)",
    "tiled": "tiled(sensitivity, size=64)",
}


_OF_TRANSFORMERS = ("rollout",)
"""What the tests of their own files try on networks that have it."""


def examples(names: Iterable[str]) -> list[str]:
    """One text for each name, but for what a CNN cannot have."""
    return [_WITH_PARTS.get(name, name) for name in names if name not in _OF_TRANSFORMERS]
