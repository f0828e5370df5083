"""A command takes the options it shares with others in groups; typer sees them one by one."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with one parameter for each field of its groups, in their place.

    A group is a parameter whose type is a dataclass; its fields are declared as typer's options
    are, and have defaults.
    """
    signature = inspect.signature(command)
    parameters = signature.parameters.values()
    groups: dict[str, Any] = {p.name: p.annotation for p in parameters if _is_group(p)}

    @wraps(command)
    def flat(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    flat.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[option for parameter in parameters for option in _options(parameter)]
    )
    return flat


def _is_group(parameter: inspect.Parameter) -> bool:
    return is_dataclass(parameter.annotation)


def _options(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if not _is_group(parameter):
        yield parameter
        return
    for field in fields(parameter.annotation):
        yield parameter.replace(name=field.name, default=field.default, annotation=field.type)
