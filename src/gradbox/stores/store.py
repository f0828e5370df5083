"""What a folder of files can do, wherever it is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gradbox.errors import UsageError
from gradbox.stores.blocks import Blocks


class StoreError(UsageError):
    """A store that cannot be used: it does not answer, or gives no right to what was asked."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder: `name` is relative to the store, `size` in bytes.

    `version` changes with the content: the time of its last change in ns. Both are None of a
    folder, and where nobody has asked for them yet, as in a listing of a local folder.
    """

    name: str
    is_folder: bool = False
    size: int | None = None
    version: int | None = None


def is_hidden(name: str) -> bool:
    """Whether a path below a store is hidden: a part of it begins with a dot."""
    return any(part.startswith(".") for part in name.split("/"))


class Store(ABC):
    """A folder of files, named by their paths below it, with `/`.

    Equal stores have the same `url`, the text that opens it and that users read: a path where
    `is_local`. A store can be pickled, and is opened anew where it is unpickled.

    Raises:
        StoreError: by every method, where the store cannot be used.
    """

    url: str
    is_local: bool

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
        """

    @abstractmethod
    def open(
        self, name: str, part: tuple[int, int] | None = None, version: int | None = None
    ) -> Blocks:
        """A file, or a part of it, the first byte and the number of bytes, read little by little.

        What is open of a known `version` may be used again for it.

        Raises:
            FileNotFoundError: there is no such file.
            EOFError: it ends before the part does.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file, which is there whole or not at all; its folder is made."""

    @abstractmethod
    def write_file(self, name: str, path: Path) -> None:
        """Write the content of a file of this machine, in pieces; see `write`."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    @abstractmethod
    def stat(self, name: str) -> Entry | None:
        """The file or folder as it is now, None where there is none; "" is the store itself."""

    @abstractmethod
    def entries(self, folder: str = "") -> Iterator[Entry]:
        """What lies directly in a folder, sorted by name; nothing where there is no folder."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """Where a file of a local folder is."""

    @contextmanager
    def working_folder(self) -> Iterator[Path]:
        """A folder of this machine whose files are in the store when the block ends well.

        It is the store itself where that is on this machine.
        """
        if self.is_local:
            yield self.path("")
            return
        with TemporaryDirectory(prefix="gradbox-") as name:
            folder = Path(name)
            yield folder
            for file in sorted(one for one in folder.rglob("*") if one.is_file()):
                self.write_file(file.relative_to(folder).as_posix(), file)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        found = self.stat(name)
        return found is not None and not found.is_folder

    def names(self, prefix: str = "") -> list[str]:
        """The names of the files below the folder `prefix`, sorted; see `walk`."""
        return sorted(entry.name for entry in self.walk(prefix))

    def walk(self, folder: str = "") -> Iterator[Entry]:
        """The files below a folder, folder by folder, without hidden ones.

        What is partial is hidden. They come in the order of the parts of their names, so that what
        a folder holds stands together; of the folders on the way, the names are in memory.
        """
        for entry in self.entries(folder):
            if is_hidden(entry.name[len(folder) :].lstrip("/")):
                continue
            if entry.is_folder:
                yield from self.walk(entry.name)
            else:
                yield entry
