"""Folders of files: on this machine, or in an object store."""

from pathlib import Path

from gradbox.errors import UsageError
from gradbox.stores.cloud import SCHEMES, CloudStore
from gradbox.stores.file import StoredFile, full_text, source_of
from gradbox.stores.local import LocalStore
from gradbox.stores.place import address, is_url
from gradbox.stores.store import Entry, Store, StoreError

__all__ = [
    "Entry",
    "Store",
    "StoreError",
    "StoredFile",
    "address",
    "full_text",
    "is_url",
    "open_store",
    "source_of",
]


def open_store(place: str | Path) -> Store:
    """The folder at a path, or below a URL; it need not be there yet, its bucket has to.

    Raises:
        UsageError: an unknown scheme, pyarrow is not installed, no such bucket, no right to it, or
            a store that does not answer.
    """
    text = address(place)
    scheme, _, rest = text.rpartition("://")
    if not scheme:
        return LocalStore(Path(text))
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in ("file", *SCHEMES))
        raise UsageError(f"{text}: {scheme}:// is no store: use {known}")
    store = CloudStore(f"{scheme}://{rest.rstrip('/')}")
    store.check()
    return store
