"""One writer a folder: a second call is refused and told who is at work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

from filelock import FileLock, Timeout

from gradbox.errors import UsageError

LOCK = ".lock"
_HOLDER = ".holder"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, made if need be; the lock of a process that died is free.

    Raises:
        UsageError: another call holds it, or nothing can be written there.
    """
    _make(folder)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{folder} is being written by {_holder(folder)}: wait for it, or give another folder"
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        since = datetime.now(UTC).isoformat(" ", "seconds")
        who = f"process {os.getpid()} on {gethostname()} since {since}"
        (folder / _HOLDER).write_text(who, encoding="utf-8")
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _make(folder: Path) -> None:
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"{folder} is a link that leads nowhere: give another folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder}: nothing can be written there ({error.strerror}): give another")


def _holder(folder: Path) -> str:
    try:
        return (folder / _HOLDER).read_text("utf-8")
    except OSError:
        return "another call"
