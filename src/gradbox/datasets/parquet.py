"""`parquet:FILE`: a row for each image, read as it is asked for: millions of them take no memory.

Columns, of which `path` alone has to be there: `path` (relative to the folder of the file), `class`
(of the whole image), `width` and `height` (of the upright image), `boxes` (a list of lists xmin,
ymin, xmax, ymax in pixels, xmax and ymax exclusive), `labels` (their classes; without it that of
the image), `mask` (a path). Images come in the order of the rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, overload

import numpy as np

from gradbox.boxes import as_boxes
from gradbox.datasets import layout
from gradbox.datasets.dataset import Dataset, Oddities, check_id, inside
from gradbox.errors import UsageError
from gradbox.localization import Sample

COLUMNS: Mapping[str, str] = {
    "path": "text",
    "class": "text",
    "width": "a whole number",
    "height": "a whole number",
    "boxes": "a list of lists of four numbers",
    "labels": "a list of texts",
    "mask": "text",
}
"""What a row says of an image, and as what."""
_ROWS = 4096
"""Rows that are held in memory."""


def load(rest: str) -> Dataset:
    """The images of a parquet file, each looked at once to find what is wrong with it.

    Raises:
        UsageError: pyarrow is not installed, there is no such file, or it is none or damaged; a
            column is missing or of another type; a row whose values cannot be used.
    """
    file = layout.file(rest)
    samples = Rows(file)
    if not len(samples):
        raise UsageError(f"parquet:{file}: no images in it")
    oddities, keys = Oddities(), np.empty(len(samples), dtype=np.uint64)
    classes: dict[str, None] = {}
    labels: dict[str, None] = {}
    for number, listed in enumerate(samples.as_listed()):
        check_id(f"parquet:{file}", listed.image_id)
        keys[number] = hash(listed.image_id) % 2**64
        repaired = inside(listed)
        oddities.add(listed, repaired)
        classes.update(dict.fromkeys(repaired.labels))
        labels.update({} if listed.label is None else {listed.label: None})
    _refuse_twins(file, samples, keys)
    return Dataset(
        spec=f"parquet:{file.as_posix()}",
        samples=samples,
        class_names=tuple(sorted(classes or labels)),
        root=file.parent,
        problems=tuple(oddities.lines),
    )


class Rows(Sequence[Sample]):
    """The rows of a file as samples; quick where they are asked for in their order."""

    def __init__(self, file: Path) -> None:
        self._file, self._folder = file, file.parent
        self._lock = Lock()
        self._window: tuple[int, list[Sample]] = (0, [])
        self._blocks = self._read()
        self._count = self._opened().metadata.num_rows

    def __len__(self) -> int:
        return int(self._count)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            return [self[number] for number in chosen]
        with self._lock:
            first, rows = self._window
            if chosen < first:
                self._blocks, first, rows = self._read(), 0, []
            while chosen >= first + len(rows):
                first, rows = first + len(rows), next(self._blocks)
            self._window = first, rows
            return inside(rows[chosen - first])

    def __iter__(self) -> Iterator[Sample]:
        return map(inside, self.as_listed())

    def as_listed(self) -> Iterator[Sample]:
        """The samples as the file has them, with boxes that reach outside."""
        for block in self._read():
            yield from block

    def _read(self) -> Iterator[list[Sample]]:
        """Some rows at a time, a file of its own for each reader."""
        from pyarrow import ArrowException

        table, number = self._opened(), 0
        columns = [name for name in COLUMNS if name in table.schema_arrow.names]
        try:
            for batch in table.iter_batches(_ROWS, columns=columns):
                rows = batch.to_pylist()
                where = (f"{self._file}, row {i}" for i in range(number + 1, number + _ROWS + 1))
                yield [self._sample(row, text) for row, text in zip(rows, where, strict=False)]
                number += len(rows)
        except (ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self._file}, row {number + 1}: {reason}; write it anew") from None

    def _opened(self) -> Any:
        """The file, with the types of its columns checked."""
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise UsageError(
                f"parquet:{self._file} needs pyarrow: pip install 'gradbox[scale]'"
            ) from error
        if not self._file.is_file():
            raise UsageError(f"parquet:{self._file}: there is no such file; check its name")
        try:
            table = ParquetFile(self._file, buffer_size=2**20, pre_buffer=False)
        except (ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"parquet:{self._file} is no parquet file ({reason})") from None
        _check(self._file, table.schema_arrow)
        return table

    def _sample(self, row: Mapping[str, Any], where: str) -> Sample:
        path, label = layout.words(row["path"], f"{where}: path"), row.get("class") or None
        try:
            boxes = as_boxes(row.get("boxes") or [])
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{where}: {reason}; write xmin, ymin, xmax, ymax") from None
        given = row.get("labels")
        labels: tuple[str, ...] = tuple([label or ""] * len(boxes) if given is None else given)
        if len(labels) != len(boxes) or not all(labels):
            raise UsageError(
                f"{where}: {len(boxes)} boxes and {len([one for one in labels if one])} labels; "
                "give each box its class, in labels, or the image one, in class"
            )
        sides = row.get("height"), row.get("width")
        mask = row.get("mask")
        return Sample(
            image_id=path,
            source=self._folder / path,
            boxes=boxes,
            labels=labels,
            label=label if label is not None else layout.shared(labels),
            mask=self._folder / mask if mask else None,
            size=None if None in sides else layout.stated_size(*sides, where),
        )


def _check(file: Path, schema: Any) -> None:
    """Refuse columns of another type, and a file without paths."""
    from pyarrow import types

    def is_text(kind: Any) -> bool:
        return bool(types.is_string(kind) or types.is_large_string(kind)) or (
            types.is_dictionary(kind) and is_text(kind.value_type)
        )

    def is_list(kind: Any, of: Callable[[Any], bool]) -> bool:
        lists: Sequence[Callable[[Any], bool]] = (types.is_list, types.is_large_list)
        return types.is_null(kind) or (any(one(kind) for one in lists) and of(kind.value_type))

    def is_number(kind: Any) -> bool:
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind))

    fits: Mapping[str, Callable[[Any], bool]] = {
        "width": is_number,
        "height": is_number,
        "boxes": lambda kind: is_list(kind, lambda one: is_list(one, is_number)),
        "labels": lambda kind: is_list(kind, lambda one: is_text(one) or types.is_null(one)),
    }
    if "path" not in schema.names:
        raise UsageError(
            f"parquet:{file} has no column path: its columns are {', '.join(schema.names[:20])}"
        )
    for name, what in COLUMNS.items():
        if name in schema.names and not (
            types.is_null(kind := schema.field(name).type) or fits.get(name, is_text)(kind)
        ):
            raise UsageError(f"parquet:{file}: the column {name} holds {kind}; write {what}")


def _refuse_twins(file: Path, samples: Rows, keys: np.ndarray) -> None:
    """Refuse an image that is listed twice; `keys` are hashes of the ids."""
    keys = np.sort(keys)
    twice = keys[1:][keys[1:] == keys[:-1]]
    if not len(twice):
        return
    seen: set[str] = set()
    for sample in samples.as_listed():
        if hash(sample.image_id) % 2**64 in (twice[0], twice[-1]):
            if sample.image_id in seen:
                raise UsageError(
                    f"parquet:{file}: {sample.image_id} is listed twice or more, as are "
                    f"{len(twice)} rows; list each image once"
                )
            seen.add(sample.image_id)
