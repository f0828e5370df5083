"""`list:FILE`: the images that a file lists, with their classes where it has them.

The file is a text with a line for each image, its class behind a tab; a CSV table (`.csv`, `.tsv`)
or a parquet file with a column `path` or `image`, and where there is one `class` or `label`. A path
may be a URL; else it is relative to the folder of the list. A `.tar` stands for the images in it.
"""

import csv
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BufferedIOBase, BufferedReader, RawIOBase, TextIOWrapper

from gradbox.errors import UsageError
from gradbox.images.names import Listed, id_of_name
from gradbox.images.tars import is_tar, members
from gradbox.stores import Store, address, is_url, open_store
from gradbox.stores.cloud import SCHEMES

PREFIX = "list:"
_PATHS = ("path", "image")
_CLASSES = ("class", "label")
_BATCH = 4096
"""Rows of a parquet file that are read together."""

Row = tuple[int, str, str | None]
"""The number of a line, counted from 1, its path and its class."""


def of_list(text: str) -> Iterator[Listed]:
    """The images that a list names, in its order.

    Raises:
        UsageError: there is no such list, it cannot be read, lacks a column, or names no image; the
            row that names something else.
    """
    store = open_store(text)
    found = store.stat("")
    if found is None or found.is_folder:
        raise UsageError(f"{PREFIX}{text}: there is no such file; name a text, CSV or parquet file")
    return _of(text, store)


def _of(text: str, store: Store) -> Iterator[Listed]:
    base = text.rpartition("/")[0] if is_url(text) else os.path.dirname(text)
    kind = os.path.splitext(text)[1].lower()
    line = 0
    with BufferedReader(_opened(text, store)) as stream:
        for line, path, label in _ROWS.get(kind, _of_text)(stream, f"{PREFIX}{text}"):
            place, image_id = _place(path, base, f"{PREFIX}{text}, line {line}")
            if is_tar(place):
                yield from members(place, image_id)
            else:
                yield Listed(image_id, place, label or None)
    if not line:
        raise UsageError(f"{PREFIX}{text} names no image")


def _opened(text: str, store: Store) -> RawIOBase:
    try:
        return store.open("")
    except OSError as error:
        raise UsageError(
            f"{PREFIX}{text}: it cannot be read ({error.strerror or error}); name a text, CSV or "
            "parquet file"
        ) from error


def _place(path: str, base: str, where: str) -> tuple[str, str]:
    """Where an image is, and its id."""
    place, image_id = address(path), id_of_name(path)
    if not image_id or "\0" in path:
        raise UsageError(f"{where}: {path!r} can be no file; write the path of an image")
    if is_url(place):
        if place.partition("://")[0] not in SCHEMES:
            raise UsageError(
                f"{where}: {place} is no path, and no URL that begins with s3:// or gs://"
            )
        return place, image_id
    if not is_url(base):
        return os.path.join(base, place), image_id
    scheme, _, folder = base.partition("://")
    return f"{scheme}://{posixpath.normpath(f'{folder}/{place}')}", image_id


def _of_text(stream: BufferedIOBase, where: str) -> Iterator[Row]:
    for number, line in enumerate(_lines(stream, where), 1):
        path, _, label = line.rstrip("\r\n").partition("\t")
        if path.strip():
            yield number, path, label


def _of_table(stream: BufferedIOBase, where: str, delimiter: str = ",") -> Iterator[Row]:
    reader = csv.reader(_lines(stream, where), strict=True, delimiter=delimiter)
    try:
        path, label = _columns(next(reader, []), where)
        for row in filter(None, reader):
            if max(path, label or 0) >= len(row):
                raise UsageError(
                    f"{where}, line {reader.line_num}: the cells are fewer than columns"
                )
            yield reader.line_num, row[path], None if label is None else row[label]
    except csv.Error as error:
        raise UsageError(f"{where}, line {reader.line_num}: {error}; close each quote") from None


def _of_parquet(stream: BufferedIOBase, where: str) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UsageError(f"{where} needs pyarrow: pip install 'gradbox[scale]'") from error
    number = 0
    try:
        table = ParquetFile(stream, buffer_size=2**20)
        names = table.schema_arrow.names
        path, label = _columns(names, where)
        columns = [names[i] for i in (path, label) if i is not None]
        for batch in table.iter_batches(_BATCH, columns=columns):
            cells = [batch.column(name).to_pylist() for name in columns]
            for row in zip(*cells, strict=True):
                number += 1
                label_text = str(row[1]) if len(row) > 1 and row[1] is not None else None
                yield number, str(row[0] or ""), label_text
    except (ArrowException, OSError) as error:
        raise UsageError(f"{where}, row {number + 1}: {' '.join(str(error).split())}") from error


_ROWS: dict[str, Callable[[BufferedIOBase, str], Iterator[Row]]] = {
    ".csv": _of_table,
    ".tsv": partial(_of_table, delimiter="\t"),
    ".parquet": _of_parquet,
}


def _columns(names: Sequence[str], where: str) -> tuple[int, int | None]:
    """Which columns hold the paths and the classes."""
    path = next((names.index(name) for name in _PATHS if name in names), None)
    if path is None:
        raise UsageError(
            f"{where} has no column {' or '.join(_PATHS)}: its columns are "
            f"{', '.join(map(repr, names[:20])) or 'none'}"
        )
    return path, next((names.index(name) for name in _CLASSES if name in names), None)


def _lines(stream: BufferedIOBase, where: str) -> Iterator[str]:
    try:
        yield from TextIOWrapper(stream, "utf-8-sig", newline="")  # type: ignore[type-var]
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text ({error.reason}): save it as UTF-8") from None
