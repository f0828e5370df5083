"""A template and its values to one HTML page that needs nothing else."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """The page of a template in `templates/`; a value that it lacks is an error."""
    environment = Environment(
        loader=PackageLoader("gradbox.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "number": _number}
    return environment.get_template(template).render(**values)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(bounds: Sequence[float | None], scale: float = 100, digits: int = 1) -> str:
    low, high = bounds
    return (
        ""
        if low is None or high is None
        else " to ".join(f"{scale * bound:.{digits}f}" for bound in (low, high))
    )
