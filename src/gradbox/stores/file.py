"""One file in a store, or a part of one, as a value that has a text."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from gradbox.stores.blocks import Blocks
from gradbox.stores.cloud import CloudStore
from gradbox.stores.local import LocalStore
from gradbox.stores.place import is_url
from gradbox.stores.store import Store

_PART = re.compile(r"(.+)#(\d+)\+(\d*)", re.DOTALL)


@dataclass(frozen=True)
class StoredFile:
    """A file at a URL, or a part of a file anywhere, such as an image in a tar.

    `place` is the URL or path of the file, `part` the first byte and the number of bytes, None for
    all of it; the number is None where nobody can say it, as behind a damage. `size` in bytes, of a
    file that is no part, and `version` are as they were listed, None where they were not.
    """

    place: str
    part: tuple[int, int | None] | None = None
    size: int | None = field(default=None, compare=False)
    version: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """The text that `source_of` reads: the place, and `#FIRST+NUMBER` for a part."""
        if self.part is None:
            return self.place
        first, number = self.part
        return f"{self.place}#{first}+{'' if number is None else number}"

    def stat(self) -> tuple[int, int] | None:
        """Bytes, of a part its own, and version: as listed, else now; None where there is no file.

        Raises:
            StoreError: the store cannot be used.
        """
        size, version = self.size if self.part is None else self.part[1] or 0, self.version
        if size is None or version is None:
            store, name = self.where
            found = store.stat(name)
            if found is None or found.size is None or found.version is None:
                return None
            return found.size if size is None else size, found.version
        return size, version

    @property
    def is_listed(self) -> bool:
        """Whether `stat` asks nobody."""
        return self.version is not None and (self.part is not None or self.size is not None)

    def open(self) -> Blocks:
        """What is in it.

        Raises:
            FileNotFoundError: there is none.
            EOFError: its file ends before, or nobody can say where it ends.
            StoreError: the store cannot be used.
        """
        store, name = self.where
        if self.part is None:
            return store.open(name)
        first, number = self.part
        if number is None:
            raise EOFError(f"it is cut or damaged from byte {first} on, and images may be missing")
        return store.open(name, (first, number), self.version)

    @property
    def where(self) -> tuple[Store, str]:
        """The store, unchecked, and the name in it."""
        return parent(self.place)


def parent(place: str) -> tuple[Store, str]:
    """The bucket of a URL, or the folder of a path, unchecked; and the name in it."""
    if not is_url(place):
        path = Path(place)
        return LocalStore(path.parent), path.name
    scheme, _, rest = place.partition("://")
    bucket, _, name = rest.partition("/")
    return CloudStore(f"{scheme}://{bucket}"), name.rstrip("/")


def source_of(text: str, size: int | None = None, version: int | None = None) -> Path | StoredFile:
    """What a text names: a file of this machine, one at a URL, or a part of one.

    >>> source_of("s3://photos/a.tar#1536+20480").part
    (1536, 20480)
    >>> source_of("no such file#1+2")
    PosixPath('no such file#1+2')
    """
    part = _PART.fullmatch(text) if "#" in text else None
    if part and (is_url(text) or os.path.exists(part[1])):
        place, first, number = part.groups()
        return StoredFile(place, (int(first), int(number) if number else None), size, version)
    return StoredFile(text, None, size, version) if is_url(text) else Path(text)


def full_text(source: str | Path | StoredFile) -> str:
    """The text of a file that names it from everywhere on this machine.

    >>> full_text("s3://photos/a.jpg"), full_text(Path("/data/a.jpg"))
    ('s3://photos/a.jpg', '/data/a.jpg')
    """
    text = str(source)
    return text if is_url(text) else os.path.abspath(text)
