"""The images of a call, any number of them: found one after the other, and kept on disk."""

import json
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, overload

from gradbox.errors import UsageError
from gradbox.files import scratch
from gradbox.images.lists import PREFIX, of_list
from gradbox.images.names import Listed
from gradbox.images.places import of_places
from gradbox.images.twins import Seen, is_of
from gradbox.localization import Sample
from gradbox.stores import StoredFile, address, source_of

_BLOCK = 1024
"""Images that are found, kept and read again together."""


def list_images(inputs: Sequence[str | Path], *, apart_from: str | Path | None = None) -> "Images":
    r"""Each image of the inputs, once, in an order that depends on nothing but them.

    An input is an image, whatever its suffix; a folder, whose images are taken in sorted order,
    subfolders included, without hidden files and folders, and without following links to folders; a
    `.tar`, whose images are taken in its order; each of these also at a URL, `s3://`, `gs://` or
    `file://`, and with `*` and `?` in its last part; or `list:FILE`, see `images.lists`.

    An image id is relative to the folder given, or to the folder of the file given; for several of
    them, to their common parent. That of an image in a tar begins with the tar's; that in a list is
    as the list has it. Bytes of a name that are no UTF-8 are written as `\xff`. An image that
    folders and files reach twice is taken once. What lies in the folder `apart_from`, the results,
    is no input.

    Raises:
        UsageError: no input, one that does not exist, or a list that cannot be read; and while the
            images are gone through: a folder, tar or list without images, or an image id that is
            there twice.
    """
    if not inputs:
        raise UsageError("no images: name at least one image or folder")
    texts = [address(one) for one in inputs]
    lists = [text.removeprefix(PREFIX) for text in texts if text.startswith(PREFIX)]
    places = [text for text in texts if not text.startswith(PREFIX)]
    found = [of_places(places, None if apart_from is None else address(apart_from))]
    return Images(chain(*found, *(of_list(address(text)) for text in lists)))


class Images(Sequence[Sample]):
    """Images in order, each a `Sample`; they can be gone through again and again.

    They are looked for as far as somebody asks, once, and kept in a temporary file without a name;
    in memory is where in it each 1024 of them are.

    Raises:
        UsageError: as `list_images`, wherever the images are gone through or counted.
    """

    def __init__(self, listed: Iterable[Listed]) -> None:
        self._listed = iter(listed)
        self._rows = scratch(self)
        self._seen = Seen()
        self._ends = array("Q", [0])
        self._count = 0
        self._end: Exception | bool = False  # that all are found, or what went wrong
        self._lock = Lock()

    def __len__(self) -> int:
        while self._grow():
            pass
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        return self._from(0)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """One of them, or those of a slice, for which the 1024 around each are read."""
        if isinstance(index, slice):
            numbers = range(*index.indices(len(self)))
            if numbers.step == 1:
                return list(islice(self._from(numbers.start), len(numbers)))
            return [self[number] for number in numbers]
        number = index if index >= 0 else len(self) + index
        if number >= 0:
            for sample in self._from(number):
                return sample
        raise IndexError(f"image {index} of {len(self)}")

    def _from(self, number: int) -> Iterator[Sample]:
        block, inside = divmod(number, _BLOCK)
        while block < len(self._ends) - 1 or self._grow():
            if block < len(self._ends) - 1:  # else there are more before it
                yield from map(_to_sample, self._block(block)[inside:])
                block, inside = block + 1, 0

    def _block(self, block: int) -> list[list[Any]]:
        start, end = self._ends[block], self._ends[block + 1]
        with self._lock:
            self._rows.seek(start)
            packed = self._rows.read(end - start)
        return json.loads(zlib.decompress(packed))

    def _grow(self) -> bool:
        """Find the next 1024; False where there are no more."""
        with self._lock:
            if isinstance(self._end, Exception):
                raise self._end
            if self._end:
                return False
            try:
                rows = [_to_row(one) for one in islice(self._listed, _BLOCK)]
            except UsageError as error:
                self._end = error
                raise
            self._keep(rows)
            is_end = len(rows) < _BLOCK
            self._end = is_end
        if is_end:
            self._check_ids()
        return bool(rows)

    def _keep(self, rows: Sequence[list[Any]]) -> None:
        packed = zlib.compress(json.dumps(rows).encode(), 1)
        self._rows.seek(self._ends[-1])
        self._rows.write(packed)
        self._seen.add(row[0] for row in rows)
        self._ends.append(self._ends[-1] + len(packed))
        self._count += len(rows)

    def _check_ids(self) -> None:
        count, digests = self._seen.again()
        if not count:
            return
        first: dict[str, int] = {}
        for number, sample in enumerate(self._from(0), 1):
            name = sample.image_id
            if is_of(name, digests) and first.setdefault(name, number) != number:
                self._end = UsageError(
                    f"{count:,} of {self._count:,} images have the name of an earlier one, such as "
                    f"{name!r}, image {first[name]:,} and {number:,}: name each image once"
                )
                raise self._end


def _to_row(one: Listed) -> list[Any]:
    if isinstance(one.source, StoredFile):
        return [one.image_id, str(one.source), one.label, one.source.size, one.source.version]
    return [one.image_id, str(one.source), one.label]


def _to_sample(row: list[Any]) -> Sample:
    image_id, text, label, *facts = row
    return Sample(image_id=image_id, source=source_of(text, *facts), label=label)
