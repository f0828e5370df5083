"""The grammar of specs: `name(value, key=value)`, as in `top_fraction(0.2, sigma=20)`.

A value is a number, `true` or `false`, quoted text, bare text up to `,`, `)` or `]`, a list
`[value, value]`, or a spec again. Text that reads as something else is quoted, as in
`layer="0.10"`. A name is a word or `path/file.py:Class`.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from gradbox.errors import UsageError

Value = typing.Union[bool, int, float, str, Sequence["Value"], "Spec"]

_FILE = r"[^\s,()\[\]\"'=]+\.py:[A-Za-z_]\w*"
_NAME = re.compile(rf"{_FILE}|[A-Za-z_]\w*|\"[^\"]+\.py:[A-Za-z_]\w*\"")
_KEY = re.compile(r"([A-Za-z_]\w*)\s*=(?!=)\s*")
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_BARE_VALUE = re.compile(r"""[^,()"'=\[\]][^,()"'\[\]]*""")
_BARE = re.compile(r"[^,()\[\]\"'\s=]+")
_SPACE = re.compile(r"\s*")


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed spec: its name, the values without a key in order, and the values with one."""

    name: str
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        parts = [write(value) for value in self.args]
        parts += [f"{key}={write(value)}" for key, value in self.kwargs.items()]
        name = f'"{self.name}"' if " " in self.name else self.name
        return f"{name}({', '.join(parts)})" if parts else name


def parse(text: str) -> Spec:
    """Read one spec.

    >>> parse("top_fraction(0.2, sigma=20)")
    Spec(name='top_fraction', args=(0.2,), kwargs={'sigma': 20})

    Raises:
        UsageError: the text does not follow the grammar.
    """
    reader = _Reader(text)
    name = reader.take(_NAME)
    if name is None:
        raise reader.unreadable_name()
    spec = reader.spec(name[0])
    if not reader.at_end():
        raise reader.unreadable_name()
    return spec


def write(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = _BARE.fullmatch(value) and isinstance(_read_bare(value), str)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return value if plain else f'"{escaped}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(write, value))}]"
    return str(value) if isinstance(value, Spec) else repr(value)


class _Reader:
    """Reads a text from left to right; each method moves on behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What matches here, spaces before it left out; nothing is read where it does not."""
        start = typing.cast("re.Match[str]", _SPACE.match(self.text, self.position)).end()
        match = pattern.match(self.text, start)
        if match is not None:
            self.position = match.end()
        return match

    def skip(self, mark: str) -> bool:
        return self.take(re.compile(re.escape(mark))) is not None

    def at_end(self) -> bool:
        return not self.text[self.position :].strip()

    def spec(self, name: str) -> Spec:
        """The rest of a spec, behind its name."""
        args: list[Value] = []
        kwargs: dict[str, Value] = {}
        if self.skip("(") and not self.skip(")"):
            while True:
                key = self.take(_KEY)
                value = self.value()
                if key is None:
                    if kwargs:
                        raise UsageError(
                            f"cannot read {self.text!r}: {write(value)} has no key but follows "
                            "one that has"
                        )
                    args.append(value)
                elif key[1] in kwargs:
                    raise UsageError(f"cannot read {self.text!r}: {key[1]} is given twice")
                else:
                    kwargs[key[1]] = value
                if self.skip(")"):
                    break
                if not self.skip(","):
                    raise self.unreadable_value()
        return Spec(name.strip('"'), tuple(args), kwargs)

    def value(self) -> Value:
        quoted = self.take(_QUOTED)
        if quoted is not None:
            text = quoted[1] if quoted[1] is not None else quoted[2]
            named_file = re.search(r"\.py:[A-Za-z_]\w*$", text)
            if named_file and self.text[self.position : self.position + 1] == "(":
                return self.spec(text)
            return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        if self.skip("["):
            return self.list()
        bare = self.take(_BARE_VALUE)
        if bare is None:
            raise self.unreadable_value()
        text = bare[0].strip()
        if self.text[self.position : self.position + 1] == "(":
            if not _NAME.fullmatch(text):
                raise self.unreadable_value()
            return self.spec(text)
        return _read_bare(text)

    def list(self) -> "list[Value]":
        values: list[Value] = []
        while not self.skip("]"):
            if values and not self.skip(","):
                raise self.unreadable_value()
            values.append(self.value())
        return values

    def unreadable_name(self) -> UsageError:
        return UsageError(
            f"cannot read {self.text!r}: write name or name(value, key=value), as in ridge(grid=14)"
        )

    def unreadable_value(self) -> UsageError:
        return UsageError(
            f"cannot read {self.text!r} at {self.text[self.position :]!r}: a value is a number, "
            "true, false, bare text, text in quotes where it holds spaces, commas or brackets, a "
            "list [a, b], or name(...) again"
        )


def _read_bare(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
