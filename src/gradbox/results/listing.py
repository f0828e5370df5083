"""The images of a run in shards: where each is, how it was, which classes were asked, its truth.

They stand in pieces as long as the shards, `listing/part-000000.parquet` and so on. An image keeps
its place: what is new comes at the end, what is gone is marked, what has changed is changed there.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.boxes import as_boxes
from gradbox.errors import UsageError
from gradbox.images.clips import frame_at
from gradbox.localization import Sample
from gradbox.results.inputs import Input
from gradbox.results.parquet import LISTED, DamagedError, Row, decode, encode
from gradbox.stores import Store, source_of

FOLDER = "listing"
_KEY = 16  # characters of a key: 96 bits, so that no two of 50 million images share one


@dataclass(frozen=True)
class Listed:
    """One image of a run: the sample, its file and the classes asked for, as they were listed."""

    sample: Sample
    input: Input


class Listing:
    """The listed images, `size` in a piece; `samples` are those of the call, where it has them.

    Images that are no files are taken from `samples` by their number.
    """

    def __init__(self, store: Store, size: int, samples: Sequence[Sample] = ()) -> None:
        self._store = store
        self._size = size
        self._samples = samples

    @property
    def pieces(self) -> int:
        """How many there are."""
        return len(self._store.names(FOLDER))

    def rows(self, number: int, columns: Sequence[str] | None = None) -> list[Row]:
        """The rows of one piece, or these columns of them.

        Raises:
            UsageError: it is damaged.
        """
        name = name_of(FOLDER, number)
        try:
            return decode(self._store.read(name), columns)[1]
        except (DamagedError, FileNotFoundError) as error:
            raise UsageError(
                f"{self._store.url}/{name} is damaged ({error}): give another --out, or --overwrite"
            ) from error

    def count(self, number: int) -> int:
        """How many images one piece has."""
        return len(self.rows(number, ("here",)))

    def listed(self, number: int) -> list[tuple[Listed, bool]]:
        """The images of one piece, and whether each is still among those of the call."""
        return [(self._listed(row), row["here"]) for row in self.rows(number)]

    def update(
        self, images: Iterable[Row], holds: Callable[[int, int, Row, Row], bool]
    ) -> Iterator[int]:
        """Take these images as those of the call.

        Args:
            images: from `row_of`, one after the other.
            holds: whether the result of a row, by piece and place, still holds, from the row as it
                was and as it is.

        Yields:
            The pieces of which some result does not hold any more, maybe more than once.
        """
        known = _Known(self)
        seen = np.zeros(len(known), dtype=bool)
        editor = _Editor(self)
        count, fresh = self.pieces, []
        rest = iter(images)
        while block := list(islice(rest, self._size)):
            places = known.places([row["image"] for row in block])
            for place, row in zip(places, block, strict=True):
                if place < 0:
                    fresh.append(row)
                    continue
                seen[place] = True
                piece, at = known.piece_of(place)
                before = editor.row(piece, at)
                now = _merged(before, row)
                if not holds(piece, at, before, now):
                    yield piece
                editor.put(piece, at, now)
            while len(fresh) >= self._size:
                self.write(count, fresh[: self._size])
                count, fresh = count + 1, fresh[self._size :]
        if fresh:
            self.write(count, fresh)
        for gone in np.flatnonzero(~seen).tolist():
            piece, at = known.piece_of(gone)
            editor.put(piece, at, {**editor.row(piece, at), "here": False})
        editor.close()

    def write(self, number: int, rows: Sequence[Row]) -> None:
        """Write one piece."""
        data = encode(rows, LISTED, {"piece": number})
        self._store.write(name_of(FOLDER, number), data)

    def _listed(self, row: Row) -> Listed:
        sample = _sample_of(row) if row["index"] is None else self._made(row["image"], row["index"])
        return Listed(sample, _input_of(row))

    def _made(self, image_id: str, index: int) -> Sample:
        """An image that is no file; a data set of which a part was taken has it elsewhere."""
        if index < len(self._samples) and self._samples[index].image_id == image_id:
            return self._samples[index]
        number = self._numbers.get(image_id)
        if number is None:
            raise UsageError(
                f"{image_id} is made by its data set and by no file: call with the data set"
            )
        return self._samples[number]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {sample.image_id: number for number, sample in enumerate(self._samples)}


def name_of(folder: str, number: int) -> str:
    """The file of one part."""
    return f"{folder}/part-{number:06}.parquet"


def row_of(index: int, sample: Sample, now: Input) -> Row:
    """The row of an image, the `index`-th of its call."""
    mask = sample.mask
    is_file = now.source is not None and not callable(mask)
    height, width = sample.size or (None, None)
    return {
        "image": sample.image_id,
        "source": now.source if is_file else None,
        "index": None if is_file else index,
        "bytes": now.bytes,
        "version": None if now.mtime_ns is None else str(now.mtime_ns),
        "asked": None if now.asked is None else list(now.asked),
        "here": True,
        "width": width,
        "height": height,
        "label": sample.label,
        "boxes": sample.boxes.tolist() if len(sample.boxes) else None,
        "labels": list(sample.labels) if sample.labels else None,
        "mask": str(Path(mask).absolute()) if isinstance(mask, Path) else None,
    }


def _sample_of(row: Mapping[str, Any]) -> Sample:
    return Sample(
        image_id=row["image"],
        source=frame_at(row["source"]) or source_of(row["source"], row["bytes"], _version(row)),
        boxes=as_boxes(row["boxes"] or []),
        labels=tuple(row["labels"] or ()),
        label=row["label"],
        mask=None if row["mask"] is None else Path(row["mask"]),
        size=None if row["height"] is None else (row["height"], row["width"]),
    )


def _input_of(row: Mapping[str, Any]) -> Input:
    return Input(
        source=row["source"],
        bytes=row["bytes"],
        mtime_ns=_version(row),
        asked=None if row["asked"] is None else tuple(row["asked"]),
    )


def _version(row: Mapping[str, Any]) -> int | None:
    return None if row["version"] is None else int(row["version"])


def _merged(before: Row, now: Row) -> Row:
    """The row as it is now; a file that is away is taken as unchanged."""
    if now["bytes"] is None and before["bytes"] is not None:
        return {**now, "bytes": before["bytes"], "version": before["version"]}
    return now


class _Known:
    """The places of the images that are listed already, in 20 bytes each."""

    def __init__(self, listing: Listing) -> None:
        keys, starts = [np.zeros(0, f"S{_KEY}")], [0]
        for number in range(listing.pieces):
            rows = listing.rows(number, ("image",))
            keys.append(_keys(row["image"] for row in rows))
            starts.append(starts[-1] + len(rows))
        every = np.concatenate(keys)
        keys.clear()
        self._order = np.argsort(every, kind="stable").astype(np.int32)
        self._keys = every[self._order]
        self._starts = np.array(starts)

    def __len__(self) -> int:
        return len(self._keys)

    def places(self, images: Sequence[str]) -> list[int]:
        """Where each of them stands among all, -1 where it does not."""
        if not len(self):
            return [-1] * len(images)
        keys = _keys(images)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self) - 1)
        return np.where(self._keys[at] == keys, self._order[at], -1).tolist()

    def piece_of(self, place: int) -> tuple[int, int]:
        """The piece of a place, and the row there."""
        piece = int(np.searchsorted(self._starts, place, side="right")) - 1
        return piece, int(place - self._starts[piece])


def _keys(images: Iterable[str]) -> np.ndarray:
    digests = (b64encode(blake2b(one.encode(), digest_size=12).digest()) for one in images)
    return np.array(list(digests), dtype=f"S{_KEY}")


class _Editor:
    """One piece at a time in memory, written where it has changed."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._number = -1
        self._rows: list[Row] = []
        self._is_changed = False

    def row(self, piece: int, at: int) -> Row:
        if piece != self._number:
            self.close()
            self._number, self._rows = piece, self._listing.rows(piece)
        return self._rows[at]

    def put(self, piece: int, at: int, row: Row) -> None:
        if self.row(piece, at) != row:
            self._rows[at] = row
            self._is_changed = True

    def close(self) -> None:
        if self._is_changed:
            self._listing.write(self._number, self._rows)
        self._is_changed = False
