"""The folder of a run on this machine: how one run takes the place of another, what kills leave."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.results import listing, sharded
from gradbox.results.entries import INPUTS, PREDICTIONS
from gradbox.results.facts import RUN, read_facts
from gradbox.results.run_folder import HASHES
from gradbox.stores import Store, open_store

STAGING = ".new"
_MOVING = ".moving"
_STRAYS = (".partial", ".replaced")
_FILES = (
    *(PREDICTIONS, INPUTS, HASHES),
    *("metrics.json", "compare.json", "report.html", "pictures", "view.html", "view_files"),
    *("clips.csv", "clips"),
)


def visible(path: Path) -> Iterator[Path]:
    """What is in a folder, without hidden files."""
    return (one for one in path.iterdir() if not one.name.startswith("."))


def take_place(path: Path) -> None:
    """Let a finished run that replaces another take its place; a kill meanwhile is made good.

    Files of the former run go first; the mark says that they are gone, so that a second try does
    not take those of the new run for them.
    """
    staging = path / STAGING
    if not (staging / RUN).exists():
        if staging.is_dir() and (staging / _MOVING).exists():
            shutil.rmtree(staging)
        return
    if not read_facts(open_store(staging)).get("finished"):
        return
    if not (staging / _MOVING).exists():
        for name in written(open_store(path)):
            _remove(path / name)
        (staging / _MOVING).touch()
    for one in sorted(staging.iterdir(), key=lambda one: one.name == RUN):
        if one.name != _MOVING:
            _move(one, path / one.name)
    shutil.rmtree(staging)


def written(store: Store) -> list[str]:
    """The names of the files and folders that the run in this store has written."""
    try:
        facts = read_facts(store)
    except UsageError:
        facts = {}
    parts = [listing.FOLDER, sharded.FOLDER] if "shard" in facts else []
    return [*_FILES, *parts, *facts.get("files", []), RUN]


def remove_run(store: Store) -> None:
    """Remove the run in a store, and nothing else there; `run.json` goes last."""
    for name in written(store):
        for file in [name] if store.exists(name) else store.names(name):
            store.remove(file)


def _move(one: Path, target: Path) -> None:
    """Put a file or folder in its place; a folder that is there keeps what is not replaced."""
    if one.is_dir() and target.is_dir():
        for child in list(one.iterdir()):
            _move(child, target / child.name)
        return
    _remove(target)
    one.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clean(path: Path) -> None:
    """Remove what a killed call left unfinished here; other runs below look after themselves."""
    for name, subfolders, files in os.walk(path):
        folder = Path(name)
        strays = [n for n in (*subfolders, *files) if n.startswith(".") and n.endswith(_STRAYS)]
        for stray in strays:
            _remove(folder / stray)
        subfolders[:] = [
            n
            for n in subfolders
            if n not in strays and (n == STAGING or not (folder / n / RUN).exists())
        ]
