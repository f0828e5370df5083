"""The images of a tar, by where in it they are; in WebDataset's layout with their classes.

What belongs together has the same name up to the first dot of its last part and stands together:
`0001.jpg`, and its class in `0001.cls` or in `0001.json` as `label`, `class` or `cls`. Of a sample
whose image is `0001.jpg`, other images, as `0001.mask.png`, are no images of their own.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from io import BufferedIOBase, BufferedReader
from itertools import groupby, islice

from gradbox.errors import UsageError
from gradbox.images.names import Listed, id_of_name, is_image
from gradbox.stores import StoredFile, source_of
from gradbox.stores.file import parent
from gradbox.stores.store import is_hidden

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_MOST = 1000
"""Files that are held together, should so many have the same name."""
_CLASS_KEYS = ("label", "class", "cls")
_LARGEST_CLASS = 2**20
"""Bytes of a `.cls` or `.json` that is looked into."""
_ZEROS = bytes(tarfile.BLOCKSIZE)


def is_tar(name: str) -> bool:
    """Whether a file of this name is taken for a tar."""
    return name.lower().endswith(".tar")


def check_plain(name: str) -> None:
    """Refuse a compressed tar.

    Raises:
        UsageError: this is one.
    """
    if name.lower().endswith(_COMPRESSED):
        raise UsageError(
            f"{name} is compressed, and no image in it can be read alone: unpack it to a .tar"
        )


def members(text: str, image_id: str) -> Iterator[Listed]:
    """The images of a tar at a path or URL, in its order; their ids begin with its own.

    Where it is cut or damaged, the last one stands for all that could not be found.

    Raises:
        UsageError: it is whole, and there is no image in it.
    """
    store, name = parent(text)
    entry = store.stat(name)
    if entry is None or entry.is_folder:
        yield Listed(image_id, source_of(text))
        return
    raw = store.path(name).open("rb") if store.is_local else BufferedReader(store.open(name))
    is_empty = True
    with raw as stream:
        for first, size, below, label in _images(stream, entry.size or 0):
            is_empty = False
            part = StoredFile(text, (first, size), version=entry.version)
            yield Listed(f"{image_id}/{id_of_name(below)}", part, label)
    if is_empty:
        raise UsageError(f"no image in the tar {text}")


Found = tuple[int, int | None, str, str | None]
"""Of an image the first byte, the number of bytes, the name and the class."""


def _images(stream: BufferedIOBase, size: int) -> Iterator[Found]:
    """The images, and what stands for those behind a damage: its number of bytes is None."""
    for _, group in groupby(_members(stream), key=_sample_of):
        while some := list(islice(group, _MOST)):
            images = [one for one in some if isinstance(one, tarfile.TarInfo) and _is_image(one)]
            plain = [one for one in images if _ending(one).count(".") == 1]
            for image in plain or images:
                number = image.size if image.isreg() else 0
                yield image.offset_data, number, image.name, _label(some, stream)
            if isinstance(some[-1], int):
                first = min(some[-1], size)
                yield first, None, f"damaged from byte {first}", None


def _members(stream: BufferedIOBase) -> Iterator[tarfile.TarInfo | int]:
    """What is in a tar, one after the other; and the place from which on it cannot be read."""
    try:
        tar = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115  # the stream is the caller's
    except tarfile.TarError:
        yield 0
        return
    while True:
        try:
            member = tar.next()
        except (tarfile.TarError, ValueError, OverflowError):
            yield tar.offset
            return
        if member is None:
            break
        tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
        if not member.isdir():
            yield member
    stream.seek(tar.offset)
    if stream.read(tarfile.BLOCKSIZE) != _ZEROS:
        yield tar.offset


def _sample_of(member: tarfile.TarInfo | int) -> str:
    """What the names of all that belongs to a sample have in common."""
    if isinstance(member, int):
        return ""
    return member.name.removesuffix(_ending(member))


def _ending(member: tarfile.TarInfo) -> str:
    """The last part of a name from its first dot on."""
    last = member.name.rpartition("/")[2]
    return last[len(last.partition(".")[0]) :]


def _is_image(member: tarfile.TarInfo) -> bool:
    return is_image(member.name) and not is_hidden(id_of_name(member.name))


def _label(members: Iterable[tarfile.TarInfo | int], stream: BufferedIOBase) -> str | None:
    for one in members:
        if isinstance(one, int) or _ending(one) not in _CLASSES or one.size > _LARGEST_CLASS:
            continue
        stream.seek(one.offset_data)
        if (label := _CLASSES[_ending(one)](stream.read(one.size))) is not None:
            return label
    return None


def _of_cls(data: bytes) -> str | None:
    return data.decode("utf-8", "replace").strip() or None


def _of_json(data: bytes) -> str | None:
    try:
        known = json.loads(data)
    except ValueError:
        return None
    values = [known.get(key) for key in _CLASS_KEYS] if isinstance(known, dict) else []
    return next((str(one) for one in values if isinstance(one, str | int)), None)


_CLASSES = {".cls": _of_cls, ".json": _of_json}
