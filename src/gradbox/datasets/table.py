"""CSV tables with a header, read by the names of their columns, and cells safe in a spreadsheet."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import Bool

from gradbox.datasets.layout import read_text, shortened
from gradbox.errors import UsageError

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a cell begins that a spreadsheet would run, apostrophes before it included."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The `cells` of each column by its name, and the number of the line where each row ends.

    `key` is the column that names a row in messages.
    """

    path: Path
    key: str
    lines: Sequence[int]
    cells: Mapping[str, Sequence[str]]

    def refuse(self, bad: Bool[np.ndarray, "n"], reason: str) -> None:
        """Fail with the first bad row, where there is one."""
        if bad.any():
            self.fail(int(np.argmax(bad)), reason)

    def fail(self, row: int, reason: str) -> NoReturn:
        """Say what is wrong with a row."""
        name = shortened(self.cells[self.key][row])
        raise UsageError(f"{self.path}, line {self.lines[row]} ({name}): {reason}")

    def check_keys(self, beside: str | None = None) -> None:
        """Fail where a key can be no file's name, or is that of an earlier row.

        With the name of a column `beside` it may be there again with another cell in that column.
        """
        keys = self.cells[self.key]
        self.refuse(np.array(["\0" in key for key in keys], dtype=bool), "this can be no file")
        first: dict[tuple[str, str], int] = {}
        others = self.cells[beside] if beside else [""] * len(keys)
        rows = enumerate(zip(keys, others, strict=True))
        twins = [first.setdefault(pair, row) != row for row, pair in rows]
        self.refuse(np.array(twins, dtype=bool), "listed before; write each one once")


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Read a table that has at least these columns; the first one becomes its `key`.

    Raises:
        UsageError: the file is missing or no CSV table, lacks a column, or a row has more or fewer
            cells than the header.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {reader.line_num}: {error}; close each quote, and write cells of at "
            f"most {csv.field_size_limit()} characters"
        ) from None
    (_, header), *rows = rows or [(0, [])]
    if wrong := [name for name in columns if header.count(name) != 1]:
        raise UsageError(
            f"{path} has no column {', '.join(wrong)}, or has it twice; its first line has to hold "
            f"{','.join(columns)}, not {shortened(','.join(header))}"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise UsageError(
                f"{path}, line {line}: {len(row)} cells under {len(header)} columns; write one "
                "cell for each column"
            )
    by_column = zip(*(row for _, row in rows), strict=True) if rows else [()] * len(header)
    return Table(
        path=path,
        key=columns[0],
        lines=[line for line, _ in rows],
        cells=dict(zip(header, by_column, strict=True)),
    )


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would take for a formula.

    >>> guarded("=1+1"), guarded("crane"), unguarded(guarded("'=")) == "'="
    ("'=1+1", 'crane', True)
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """What was `guarded`; of a cell that was not, itself.

    >>> unguarded("'-x"), unguarded("-x"), unguarded("'x")
    ('-x', '-x', "'x")
    """
    return cell.removeprefix("'") if _FORMULA.match(cell) else cell
