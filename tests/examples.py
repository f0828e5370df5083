"""A text of each registered part that can be built and run: its name, where that is enough."""

from collections.abc import Iterable

_WITH_PARTS = {
    "product": "product(sensitivity, dam, powers=[1, 0.35])",
    "mean": "mean(sensitivity, sensitivity(target=layer_mean))",
    "maximum": "maximum(sensitivity, smooth(sensitivity, sigma=3))",
    "average": "average(sensitivity, flips=true)",
    "smooth": "smooth(sensitivity, sigma=4)",
}


def examples(names: Iterable[str]) -> list[str]:
    """One text for each name."""
    return [_WITH_PARTS.get(name, name) for name in names]
