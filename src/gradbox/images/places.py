"""The images of paths and URLs: of files, folders and tars."""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.images.names import IMAGE_SUFFIXES, Listed, id_of, is_image, joined
from gradbox.images.tars import check_plain, is_tar, members
from gradbox.stores import Entry, Store, StoredFile, is_url, open_store
from gradbox.stores.store import is_hidden

_LISTS = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class Place:
    """A file or folder that was named, and the parts of the whole path to it."""

    text: str
    store: Store
    entry: Entry
    parts: tuple[str, ...]

    @classmethod
    def at(cls, text: str) -> "Place":
        """What is there.

        Raises:
            UsageError: there is nothing.
        """
        store = open_store(text)
        entry = store.stat("") if is_url(text) or os.path.exists(text) else None
        if entry is None:
            raise UsageError(f"{text} does not exist: give the path of an image or of a folder")
        return cls(text, store, entry, _parts(text))

    @property
    def start(self) -> tuple[str, ...]:
        """The folder that image ids are relative to where this is the only place."""
        return self.parts if self.entry.is_folder else self.parts[:-1]

    def source(self, name: str = "", entry: Entry | None = None) -> Path | StoredFile:
        """The file of this place, or one in this folder."""
        if self.store.is_local:
            return Path(self.text) / name
        facts = entry or self.entry
        url = f"{self.store.url}/{name}" if name else self.store.url
        return StoredFile(url, None, facts.size, facts.version)


def of_places(texts: Sequence[str], apart_from: str | None) -> Iterator[Listed]:
    """The images of these paths and URLs, in their order; see `listing.list_images`.

    Raises:
        UsageError: as there.
    """
    places = [place for text in texts for place in _at(text)]
    together = zip(*(place.start for place in places), strict=False)
    root = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, together))
    return _of(places, root, apart_from)


def _of(places: Sequence[Place], root: int, apart_from: str | None) -> Iterator[Listed]:
    files: set[str] = set()
    folders: list[str] = []

    def is_reached(image_id: str) -> bool:
        below = (image_id.removeprefix(one) for one in folders if image_id.startswith(one))
        return image_id in files or any(is_image(rest) and not is_hidden(rest) for rest in below)

    for place in places:
        image_id = joined(place.parts[root:])
        if place.entry.is_folder:
            start = f"{image_id}/" if image_id else ""
            for one in _of_folder(place, start, apart_from):
                if not is_reached(one.image_id):
                    yield one
            folders.append(start)
        elif not is_reached(image_id):
            files.add(image_id)
            if is_tar(place.text):
                yield from members(place.text, image_id)
            else:
                yield Listed(image_id, place.source())


def _of_folder(place: Place, start: str, apart_from: str | None) -> Iterator[Listed]:
    results = _below(apart_from, place)
    count = tars = 0
    for entry in place.store.walk():
        tars += is_tar(entry.name)
        if is_image(entry.name) and (results is None or not f"{entry.name}/".startswith(results)):
            count += 1
            yield Listed(start + id_of(Path(entry.name)), place.source(entry.name, entry))
    if not count:
        example = f"{place.text.rstrip('/')}/*.tar"
        raise UsageError(
            f"no image in the folder {place.text}: give one that holds files ending in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
            + (f", or name its tars, as in '{example}'" if tars else "")
        )


def _below(apart_from: str | None, place: Place) -> str | None:
    """How names in this folder begin that lie in that one; None where it is not in this one."""
    if apart_from is None or is_url(apart_from) != is_url(place.text):
        return None
    if is_url(place.text):
        folder, results = (f"{text.rstrip('/')}/" for text in (place.text, apart_from))
        return results.removeprefix(folder) if results.startswith(folder) else None
    folder_path, path = Path(place.text).resolve(), Path(apart_from).resolve()
    if not path.is_relative_to(folder_path):
        return None
    below = path.relative_to(folder_path).as_posix()
    return "" if below == "." else f"{below}/"


def _at(text: str) -> list[Place]:
    """The place that a text names, or those, sorted, of a pattern."""
    folder, slash, pattern = text.rpartition("/")
    if any(char in pattern for char in "*?") and (is_url(text) or not os.path.exists(text)):
        names = [
            entry.name
            for entry in open_store(folder or slash or ".").entries()
            if fnmatch.fnmatchcase(entry.name, pattern) and not is_hidden(entry.name)
        ]
        if not names:
            raise UsageError(f"{text}: nothing there has such a name")
        return [Place.at(f"{folder}{slash}{name}") for name in names]
    check_plain(text)
    place = Place.at(text)
    if not place.entry.is_folder and os.path.splitext(text)[1].lower() in _LISTS:
        raise UsageError(f"{text} is no image: for the images that it lists, write list:{text}")
    return [place]


def _parts(text: str) -> tuple[str, ...]:
    if is_url(text):
        scheme, _, rest = text.partition("://")
        return (scheme, *(part for part in rest.split("/") if part))
    return ("file", *Path(os.path.abspath(text)).parts)
