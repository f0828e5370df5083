"""Results in parts: each part is a file of lines, maybe with an array beside, written whole.

A kill at any moment leaves finished parts only. The first line of a part says how many lines follow
and their SHA-256, so a part that was damaged later is seen, and what it held is made again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.files import hash_bytes, whole_file

FOLDER = "parts"


def write_part(
    folder: Path, records: Sequence[Mapping[str, Any]], array: np.ndarray | None = None
) -> Path:
    """Write the next part below `folder`; it is there once its lines are."""
    number = max((int(path.stem) for path in _lines_of(folder)), default=0) + 1
    path = folder / FOLDER / f"{number:07}.jsonl"
    if array is not None:
        with whole_file(array_of(path)) as partial, partial.open("wb") as stream:
            np.save(stream, array)
    body = b"".join(to_bytes(record) for record in records)
    head = to_bytes({"lines": len(records), "sha256": hash_bytes(body)})
    with whole_file(path) as partial:
        partial.write_bytes(head + body)
    return path


def read_parts(folder: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The parts below `folder`, oldest first; damaged ones are left out."""
    for path in _lines_of(folder):
        head, _, body = path.read_bytes().partition(b"\n")
        facts = from_bytes(head)
        if facts is None or facts.get("sha256") != hash_bytes(body):
            continue
        yield path, [json.loads(line) for line in body.splitlines()]


def remove_parts(folder: Path, paths: Sequence[Path]) -> None:
    """Remove these parts, and their folder when it is empty."""
    for path in paths:
        path.unlink(missing_ok=True)
        array_of(path).unlink(missing_ok=True)
    if (folder / FOLDER).is_dir() and not any((folder / FOLDER).iterdir()):
        (folder / FOLDER).rmdir()


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


def _lines_of(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / FOLDER).glob("*.jsonl") if path.stem.isdecimal())
