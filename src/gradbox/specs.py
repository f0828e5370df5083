"""The one text form of every part: `name(value, key=value)`, as in `top_fraction(0.2, sigma=20)`.

How that is read stands in `grammar`. The options of a part are the fields of a frozen dataclass, in
order; `build` reads their types, and where one is a protocol the value is a part of the same
registry, as in `product(sensitivity, dam(k=3), powers=[1, 0.35])`. `canonical` writes every field
that is not None, so equal parts have equal text.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from gradbox.errors import UsageError, nearest
from gradbox.files import hash_bytes
from gradbox.grammar import Spec, Value, parse, write

Parts = Mapping[str, type]
"""The classes of parts by name: a dict, or a `Registry` that others may add to."""
T = TypeVar("T")


def build(text: str, registry: Mapping[str, type[T]]) -> T:
    """The part that `text` names, made from the registry's dataclass with the options given.

    Where the type of an option is a protocol it is a part of the same registry.

    Raises:
        UsageError: an unknown name or option, too many values, or a value of the wrong type; also
            whatever `ValueError` the part raises for a value out of range.
    """
    return _build(parse(text), registry, text)


def part_of(value: Any, registry: Parts) -> Any:
    """The part that a text names, see `build`; a value is a part already."""
    return build(value, registry) if isinstance(value, str) else value


def as_typed(value: Any, otherwise: str) -> str:
    """A text as the user typed it, and for a value its canonical text."""
    return value if isinstance(value, str) else otherwise


def canonical(part: Any, registry: Parts) -> str:
    """The text that builds an equal part, with every default filled in and None left out.

    A part whose class is in no registry stands there with its module, its name and, if it is a
    dataclass, its fields: a text to compare, not to build from.
    """
    return str(_spec_of(part, registry))


def is_comparable(part: Any) -> bool:
    """Whether equal text means an equal part: it is a dataclass, and so is all that it is made of.

    Numbers, texts, lists, tuples and arrays stand in the text by their value, functions by name.
    """
    part = getattr(part, "stands_for", part)
    if isinstance(part, (list, tuple)):
        return all(map(is_comparable, part))
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        values = [getattr(part, f.name) for f in dataclasses.fields(part) if f.init]
        return all(map(is_comparable, values))
    return part is None or isinstance(part, (bool, int, float, str, np.ndarray)) or callable(part)


def convert(value: Any, hint: Any, where: str, registry: Parts | None = None) -> Any:
    """The value as this type: an int where a float is wanted, a list where a tuple is.

    Raises:
        UsageError: it is of another type; the message starts with `where`.
    """
    if _is_part(hint):
        return _nested(value, where, registry or {})
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        *others, last = sorted(options, key=lambda o: o is str)
        for option in others:
            with suppress(UsageError):
                return convert(value, option, where, registry)
        return convert(value, last, where, registry)
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value in choices:
            return value
        raise UsageError(f"{where}={write(value)} is not one of {', '.join(map(str, choices))}")
    if typing.get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        kinds = typing.get_args(hint)
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) == len(value):
            return tuple(
                convert(v, kind, f"{where}[{i}]" if _is_part(kind) else where, registry)
                for i, (v, kind) in enumerate(zip(value, kinds, strict=True), start=1)
            )
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is hint:
        return value
    if hint is str:
        raise UsageError(f"{where}={write(value)} is not text: quote it where it is meant as text")
    raise UsageError(f"{where}={write(value)} is not {_wanted(hint)}")


def _build(spec: Spec, registry: Mapping[str, type[T]], text: str, where: str = "") -> T:
    if spec.name not in registry:
        stands = f" where {where} wants one of these" if where else ""
        raise UsageError(
            f"unknown name {spec.name!r} in {text!r}{stands}{nearest(spec.name, registry)}; "
            f"known: {', '.join(sorted(registry))}"
        )
    part = registry[spec.name]
    fields = (
        {f.name: f for f in dataclasses.fields(part) if f.init}
        if dataclasses.is_dataclass(part)
        else {}
    )
    hints = typing.get_type_hints(part)
    args = spec.args
    if fields and _takes_all(hints[next(iter(fields))]) and args:
        args = (args,)
    if len(args) > len(fields):
        raise UsageError(f"{text!r}: {spec.name} takes at most {len(fields)} values")
    given: dict[str, Any] = dict(zip(fields, args, strict=False))
    for key, value in spec.kwargs.items():
        if key not in fields:
            raise UsageError(
                f"{text!r}: {spec.name} has no option {key!r}{nearest(key, fields)}; "
                f"options: {', '.join(fields) or 'none'}"
            )
        if key in given:
            raise UsageError(f"{text!r}: {key} is given twice")
        given[key] = value
    converted = {
        key: convert(value, hints[key], f"{text!r}: {key}", registry)
        for key, value in given.items()
    }
    missing = [
        f.name
        for f in fields.values()
        if f.name not in given
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UsageError(f"{text!r}: {spec.name} needs {' and '.join(missing)}")
    try:
        return part(**converted)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from error


def _nested(value: Any, where: str, registry: Parts) -> Any:
    """A part that stands where another part's option wants one."""
    if isinstance(value, Spec):
        return _build(value, registry, str(value), where)
    if isinstance(value, str):
        with suppress(UsageError):
            return _build(parse(value), registry, value, where)
        return _build(Spec(value), registry, value, where)
    if isinstance(value, (bool, int, float, list, tuple)):
        raise UsageError(f"{where}={write(value)} is no part; known: {', '.join(sorted(registry))}")
    return value


def _spec_of(part: Any, registry: Parts) -> Spec:
    part = getattr(part, "stands_for", part)  # a user's own in gradbox's wrapping
    name = _name_of(part, registry)
    if not dataclasses.is_dataclass(part):
        return Spec(name)
    try:
        hints = typing.get_type_hints(type(part))
    except NameError:  # a user's own class, whose hints may need what is not there at run time
        hints = {}
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = {}
    for number, field in enumerate(f for f in dataclasses.fields(part) if f.init):
        value, hint = getattr(part, field.name), hints.get(field.name, Any)
        if value is None or not field.repr:
            continue
        if _is_part(hint):
            kwargs[field.name] = _spec_of(value, registry)
        elif _takes_all(hint):
            nested = [_spec_of(one, registry) for one in value]
            if number == 0:
                args = tuple(nested)
            else:
                kwargs[field.name] = nested
        elif hint is Any or name not in registry:
            kwargs[field.name] = _plain(value)
        else:
            kwargs[field.name] = convert(_as_value(value), hint, field.name)
    return Spec(name, args, kwargs)


def _name_of(part: Any, registry: Parts) -> str:
    """Its name in the registry, else its module and name."""
    kind = type(part)
    for name in (*registry, *getattr(registry, "files", ())):
        with suppress(UsageError):  # a name of another package that cannot be loaded
            if registry[name] is kind:
                return name
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_part(hint: Any) -> bool:
    """Whether an option of this type is a part again: a protocol, or one of several."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return all(map(_is_part, typing.get_args(hint)))
    return bool(getattr(hint, "_is_protocol", False))


def _takes_all(hint: Any) -> bool:
    """Whether an option of this type, as the first, takes all values without a key."""
    kinds = typing.get_args(hint)
    return typing.get_origin(hint) is tuple and len(kinds) == 2 and _is_part(kinds[0])


def _as_value(value: Any) -> Any:
    """A value as it is, and a function by its name."""
    if not callable(value):
        return value
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}:{named.__qualname__}"


def _plain(value: Any) -> Value:
    """The value of an option of unknown type, as text where it is none of the grammar's."""
    known = _as_value(value)
    if isinstance(known, (list, tuple)):
        return [_plain(one) for one in known]
    if isinstance(known, np.ndarray):
        return f"{known.dtype}{list(known.shape)} {hash_bytes(known.tobytes())}"
    return known if isinstance(known, (bool, int, float, str)) else repr(known)


def _wanted(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
