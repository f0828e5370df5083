"""Results in parts: each part is a file of lines, maybe with an array beside, written whole.

A kill at any moment leaves finished parts only. The first line of a part says how many lines follow
and their SHA-256, so a part that was damaged later is seen, and what it held is made again.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.files import hash_bytes, whole_file


@dataclass(frozen=True)
class Line:
    """One line of a part: what it says, and the bytes of the file where it stands."""

    record: Mapping[str, Any]
    file: Path
    start: int
    end: int


class Parts:
    """The parts in the folder `parts` of a run or a store, which one process writes at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "parts"

    def write(
        self,
        records: Sequence[Mapping[str, Any]],
        array: np.ndarray | None = None,
        number: int | None = None,
    ) -> list[Line]:
        """Write a part; it is there once its lines are, which come after the array.

        `number` is the place of its first image among all, plus 1, where several write side by
        side; without one it is the next.
        """
        number = next(self._numbers) if number is None else number
        path = self._path(number)
        if array is not None:
            encoded = io.BytesIO()  # into a file itself numpy does not say why it cannot write
            np.save(encoded, array)
            with whole_file(array_of(path)) as partial:
                partial.write_bytes(encoded.getbuffer())
        lines = [to_bytes(record) for record in records]
        body = b"".join(lines)
        head = to_bytes({"lines": len(lines), "sha256": hash_bytes(body)})
        with whole_file(path) as partial:
            partial.write_bytes(head + body)
        return list(_placed(path, len(head), records, lines))

    def has(self, number: int) -> bool:
        """Whether there is a part of this number."""
        return self._path(number).exists()

    def read(self) -> Iterator[list[Line]]:
        """The lines of each part, oldest first; damaged parts are left out."""
        for path in self._paths():
            head, _, body = path.read_bytes().partition(b"\n")
            facts = from_bytes(head)
            if facts is not None and facts.get("sha256") == hash_bytes(body):
                lines = body.splitlines(keepends=True)
                records = [json.loads(line) for line in lines]
                yield list(_placed(path, len(head) + 1, records, lines))

    def remove(self) -> None:
        """Remove all parts, oldest first: those that a kill leaves are the ones that count."""
        for path in self._paths():
            path.unlink(missing_ok=True)
            array_of(path).unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    @cached_property
    def _numbers(self) -> Iterator[int]:
        return count(max((int(path.stem) for path in self._paths()), default=0) + 1)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:07}.jsonl"

    def _paths(self) -> list[Path]:
        parts = (path for path in self._folder.glob("*.jsonl") if path.stem.isdecimal())
        return sorted(parts, key=lambda path: int(path.stem))


def array_of(part: Path) -> Path:
    """Where the array of a part lies."""
    return part.with_suffix(".npy")


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """One line of JSON, ended; a name that is no UTF-8 is escaped as a whole."""
    try:
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record).encode() + b"\n"


def from_bytes(line: bytes) -> dict[str, Any] | None:
    """What `to_bytes` wrote, None where it is damaged."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _placed(
    path: Path, start: int, records: Sequence[Mapping[str, Any]], lines: Sequence[bytes]
) -> Iterator[Line]:
    for record, line in zip(records, lines, strict=True):
        yield Line(record, path, start, start + len(line))
        start += len(line)
