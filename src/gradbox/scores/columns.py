"""Tables of numbers that grow row by row, and not in memory: what scores are made of."""

import tempfile
import weakref
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
from jaxtyping import Shaped

_BLOCK = 2**14
"""Rows that are held in memory; all others stand in a file without a name."""


class Columns:
    """Rows of numbers, of which one column at a time is read: memory is for that one alone.

    Args:
        types: the name of each column and its type, as numpy writes it.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        self._type = np.dtype(list(types.items()))
        self._last = np.empty(_BLOCK, self._type)
        self._filled = 0
        self._stored = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._stored + self._filled

    def append(self, row: tuple[Any, ...]) -> None:
        """Add one row."""
        self._last[self._filled] = row
        self._filled += 1
        if self._filled == _BLOCK:
            self._store()

    def extend(self, rows: "Columns | Shaped[np.ndarray, 'n']") -> None:
        """Add rows with the same columns, those of others or of a structured array."""
        if isinstance(rows, Columns):
            for block in rows.blocks():
                self.extend(block)
            return
        while len(rows):
            some = rows[: _BLOCK - self._filled]
            self._last[self._filled : self._filled + len(some)] = some
            self._filled += len(some)
            if self._filled == _BLOCK:
                self._store()
            rows = rows[len(some) :]

    def blocks(self) -> Iterator[Shaped[np.ndarray, "_"]]:
        """All rows as structured arrays, some at a time."""
        for first in range(0, self._stored, _BLOCK):
            block = np.empty(_BLOCK, self._type)
            for name in self._type.names or ():
                block[name] = self._read(name, first)
            yield block
        yield self._last[: self._filled]

    def __getitem__(self, name: str) -> Shaped[np.ndarray, "n"]:
        """One column."""
        column = np.empty(len(self), self._type[name])
        for first in range(0, self._stored, _BLOCK):
            column[first : first + _BLOCK] = self._read(name, first)
        column[self._stored :] = self._last[name][: self._filled]
        return column

    def _store(self) -> None:
        """Write the block in memory, column by column."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="gradbox-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        self._file.seek(self._stored * self._type.itemsize)
        for name in self._type.names or ():
            self._file.write(np.ascontiguousarray(self._last[name]).data)
        self._stored += _BLOCK
        self._filled = 0

    def _read(self, name: str, first: int) -> Shaped[np.ndarray, "_"]:
        """A column of the block whose first row is this."""
        assert self._file is not None
        assert self._type.fields is not None
        kind, offset = self._type.fields[name][:2]
        self._file.seek(first * self._type.itemsize + offset * _BLOCK)
        return np.frombuffer(self._file.read(kind.itemsize * _BLOCK), kind)
