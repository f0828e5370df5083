"""How classes are called in Label Studio: as they are, or as a table says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gradbox.datasets.table import read_table
from gradbox.exports.classes import printable
from gradbox.labelstudio.configuration import Control

OTHERS = "*"
"""The class of a table that stands for all that have no row of their own."""


@dataclass(frozen=True)
class Labels:
    """Names of classes to labels: by equality, then by a table."""

    table: Mapping[str, str]

    def label_of(self, name: str, control: Control) -> str | None:
        """What an answer says for a class where this shape is drawn, None without a label."""
        name = printable(name)
        for label in (name, self.table.get(name), self.table.get(OTHERS)):
            if label is not None and label in control.labels:
                return control.labels[label]
        return None


def read_labels(path: Path | None) -> Labels:
    """A table with the columns `class,label`; without a file, by equality alone.

    Raises:
        UsageError: it is no such table, or names a class twice.
    """
    if path is None:
        return Labels({})
    table = read_table(path, ("class", "label"))
    table.check_keys()
    return Labels(
        dict(zip(map(printable, table.cells["class"]), table.cells["label"], strict=True))
    )
