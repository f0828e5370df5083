"""The one text form of every part: `name(value, key=value)`, as in `top_fraction(0.2, sigma=20)`.

A value is a number, `true` or `false`, quoted text, or bare text up to `,` or `)`; text that reads
as one of the former is quoted, as in `layer="0.10"`. There is no nesting. The options of a part are
the fields of a frozen dataclass, in order; `build` reads their types. `canonical` writes every
field that is not None, so equal parts have equal text.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from gradbox.errors import UsageError, nearest

Value = bool | int | float | str
T = TypeVar("T")

_TOKEN = re.compile(
    r"""\s*(?:(?P<key>[A-Za-z_]\w*)\s*=(?!=)\s*)?
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^,()"'=][^,()"']*|))\s*(?P<end>,|$)""",
    re.VERBOSE,
)
_SPEC = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*(?:\((?P<body>.*)\))?\s*", re.DOTALL)
_BARE = re.compile(r"[^,()\"'\s=]+")


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed spec: its name, the values without a key in order, and the values with one."""

    name: str
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        parts = [_write(value) for value in self.args]
        parts += [f"{key}={_write(value)}" for key, value in self.kwargs.items()]
        return f"{self.name}({', '.join(parts)})" if parts else self.name


def parse(text: str) -> Spec:
    """Read one spec.

    >>> parse("top_fraction(0.2, sigma=20)")
    Spec(name='top_fraction', args=(0.2,), kwargs={'sigma': 20})

    Raises:
        UsageError: the text does not follow the grammar.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UsageError(
            f"cannot read {text!r}: write name or name(value, key=value), as in ridge(grid=14)"
        )
    body = match["body"]
    args: list[Value] = []
    kwargs: dict[str, Value] = {}
    position = 0
    while body and body.strip() and position <= len(body):
        token = _TOKEN.match(body, position)
        if token is None or (token["bare"] is not None and not token["bare"].strip()):
            raise UsageError(
                f"cannot read {text!r} at {body[position:]!r}: a value is a number, true, false, "
                "bare text, or quoted text where it holds spaces, commas or brackets; no nesting"
            )
        value = _value(token)
        if token["key"] is None:
            if kwargs:
                raise UsageError(
                    f"cannot read {text!r}: {value!r} has no key but follows one that has"
                )
            args.append(value)
        elif token["key"] in kwargs:
            raise UsageError(f"cannot read {text!r}: {token['key']} is given twice")
        else:
            kwargs[token["key"]] = value
        position = token.end()
        if token["end"] == "":
            break
    return Spec(match["name"], tuple(args), kwargs)


def build(text: str, registry: Mapping[str, type[T]]) -> T:
    """The part that `text` names, made from the registry's dataclass with the options given.

    Raises:
        UsageError: an unknown name or option, too many values, or a value of the wrong type; also
            whatever `ValueError` the part raises for a value out of range.
    """
    spec = parse(text)
    if spec.name not in registry:
        raise UsageError(
            f"unknown name {spec.name!r} in {text!r}{nearest(spec.name, registry)}; "
            f"known: {', '.join(sorted(registry))}"
        )
    part = registry[spec.name]
    fields = {f.name: f for f in dataclasses.fields(part) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(part)
    if len(spec.args) > len(fields):
        raise UsageError(f"{text!r}: {spec.name} takes at most {len(fields)} values")
    given = dict(zip(fields, spec.args, strict=False))
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
        key: convert(value, hints[key], f"{text!r}: {key}") for key, value in given.items()
    }
    try:
        return part(**converted)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from error


def canonical(part: Any, registry: Mapping[str, type[Any]]) -> str:
    """The text that builds an equal part, with every default filled in and None left out."""
    name = next(name for name, kind in registry.items() if type(part) is kind)
    hints = typing.get_type_hints(type(part))
    values = {
        f.name: convert(_as_value(getattr(part, f.name)), hints[f.name], f.name)
        for f in dataclasses.fields(part)
        if f.init and getattr(part, f.name) is not None
    }
    return str(Spec(name, (), values))


def convert(value: Any, hint: Any, where: str) -> Any:
    """The value as this type: an int where a float is wanted, a list where a tuple is.

    Raises:
        UsageError: it is of another type; the message starts with `where`.
    """
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        *others, last = sorted(options, key=lambda o: o is str)
        for option in others:
            with suppress(UsageError):
                return convert(value, option, where)
        return convert(value, last, where)
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value in choices:
            return value
        raise UsageError(f"{where}={_write(value)} is not one of {', '.join(map(str, choices))}")
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        kinds = typing.get_args(hint)
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) == len(value):
            return tuple(convert(v, kind, where) for v, kind in zip(value, kinds, strict=True))
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is hint:
        return value
    if hint is str:
        raise UsageError(f"{where}={_write(value)} is not text: quote it where it is meant as text")
    raise UsageError(
        f"{where}={_write(value)} is not {hint.__name__ if isinstance(hint, type) else hint}"
    )


def _value(token: re.Match[str]) -> Value:
    quoted = token["double"] if token["double"] is not None else token["single"]
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted)
    bare = token["bare"].strip()
    if bare in ("true", "false"):
        return bare == "true"
    for kind in (int, float):
        try:
            return kind(bare)
        except ValueError:
            continue
    return bare


def _as_value(value: Any) -> Value:
    """A value as it is, and a function by its name."""
    if not callable(value):
        return value
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}:{named.__qualname__}"


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = _BARE.fullmatch(value) and isinstance(_read_bare(value), str)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return value if plain else f'"{escaped}"'
    return repr(value)


def _read_bare(text: str) -> Value:
    match = _TOKEN.match(text)
    assert match is not None
    return _value(match)
