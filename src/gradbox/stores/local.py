"""A folder of this machine."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gradbox.files import whole_file
from gradbox.stores.blocks import Blocks
from gradbox.stores.store import Entry, Store


@dataclass(frozen=True)
class LocalStore(Store):
    """The folder at a path, by plain file operations."""

    folder: Path
    is_local = True

    @property
    def url(self) -> str:  # type: ignore[override]
        """The path."""
        return str(self.folder)

    def read(self, name: str) -> bytes:
        """See `Store`."""
        return self.path(name).read_bytes()

    def open(
        self, name: str, part: tuple[int, int] | None = None, version: int | None = None
    ) -> Blocks:
        """See `Store`; a pipe or a device is no file."""
        path = self.path(name)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        stream = path.open("rb", buffering=0)

        def read(start: int, count: int) -> bytes:
            stream.seek(start)
            return stream.read(count)

        return Blocks(read, path.stat().st_size, part, stream.close)

    def write(self, name: str, data: bytes) -> None:
        """See `Store`."""
        with whole_file(self.path(name)) as partial:
            partial.write_bytes(data)

    def write_file(self, name: str, path: Path) -> None:
        """See `Store`."""
        with whole_file(self.path(name)) as partial:
            shutil.copyfile(path, partial)

    def remove(self, name: str) -> None:
        """See `Store`."""
        self.path(name).unlink(missing_ok=True)

    def stat(self, name: str) -> Entry | None:
        """See `Store`."""
        path = self.path(name)
        try:
            status = path.stat()
        except (OSError, ValueError):  # also a name that no file can have
            return None
        if path.is_dir():
            return Entry(name, is_folder=True)
        return Entry(name, size=status.st_size, version=status.st_mtime_ns)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """See `Store`; links to folders are left out, and so is a folder that may not be read."""
        start = f"{folder}/" if folder else ""
        for name in _sorted_names(self.path(folder)):
            is_folder = name.endswith("/")
            yield Entry(start + name.rstrip("/"), is_folder=is_folder)

    def path(self, name: str) -> Path:
        """See `Store`."""
        return self.folder / name


def _sorted_names(folder: Path) -> list[str]:
    """The names in a folder, of its folders with `/`: all that is held of a large one."""
    names = []
    try:
        with os.scandir(folder) as found:
            for one in found:
                if one.is_dir(follow_symlinks=False):
                    names.append(f"{one.name}/")
                elif not (one.is_symlink() and os.path.isdir(one.path)):  # links may go in circles
                    names.append(one.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    return sorted(names, key=lambda name: name.rstrip("/"))
