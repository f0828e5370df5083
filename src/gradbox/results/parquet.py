"""Tables of a run as parquet files: zstd, typed columns, a checksum of each page."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from gradbox.errors import UsageError

Row = dict[str, Any]
Columns = Mapping[str, Any]
"""The type of each column: a name of pyarrow's, `[type]` for a list, a mapping for a struct."""

BOX = ["float64"]
"""Four numbers: xmin, ymin, xmax, ymax in pixels of the original image."""

LISTED: Columns = {
    "image": "string",
    "source": "string",
    "index": "int64",
    "bytes": "int64",
    "version": "string",
    "asked": ["int32"],
    "here": "bool",
    "width": "int32",
    "height": "int32",
    "label": "string",
    "boxes": [BOX],
    "labels": ["string"],
    "mask": "string",
}
"""A row for each image that a run is of: docs/scale.md says what the columns hold."""

FOUND: Columns = {
    "image": "string",
    "bytes": "int64",
    "sha256": "binary",
    "error": "string",
    "width": "int32",
    "height": "int32",
    "frame": "int64",
    "time": "float64",
    "boxes": [BOX],
    "labels": ["int32"],
    "names": ["string"],
    "label_scores": ["float64"],
    "scores": ["float64"],
    "peaks": [["float64"]],
    "map_shares": ["float64"],
    "top_labels": ["int32"],
    "blank": "bool",
    "mask": {"size": ["int32"], "counts": ["int32"]},
    "proposals": [{"box": BOX, "score": "float64", "label": "int32", "chosen": "bool"}],
}
"""A row for each result: the fields of a line of `predictions.jsonl`, and what it was made of."""

_ABOUT = b"gradbox"


class DamagedError(ValueError):
    """A file that is no whole table of the columns that are asked for."""


def has_pyarrow() -> bool:
    """Whether runs in shards can be written and read."""
    return find_spec("pyarrow") is not None


def require_pyarrow() -> None:
    """Refuse to go on where there are none.

    Raises:
        UsageError: pyarrow is not installed.
    """
    if not has_pyarrow():
        raise UsageError("a run in shards needs pyarrow: pip install 'gradbox[scale]'")


def encode(rows: Sequence[Mapping[str, Any]], columns: Columns, about: Mapping[str, Any]) -> bytes:
    """The file of these rows; `about` stands in its metadata. Equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _type(kind)) for name, kind in columns.items()])
    known = schema.with_metadata({_ABOUT: json.dumps(about, sort_keys=True)})
    table = pa.Table.from_pylist(rows, schema=known)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def decode(data: bytes, columns: Iterable[str] | None = None) -> tuple[dict[str, Any], list[Row]]:
    """What `encode` was told, and its rows, or these columns of them.

    Raises:
        DamagedError: the file was cut or changed, or is another's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        about = json.loads(file.schema_arrow.metadata[_ABOUT])
        rows = file.read(columns=None if columns is None else list(columns)).to_pylist()
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedError(str(error)) from error
    return about, rows


def _type(kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(kind, list):
        return pa.list_(_type(kind[0]))
    if isinstance(kind, Mapping):
        return pa.struct([(name, _type(one)) for name, one in kind.items()])
    return pa.type_for_alias(kind)
