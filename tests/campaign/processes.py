"""Commands in processes of their own, let go on or killed, and what they leave on disk."""

import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import gradbox
from gradbox.cli import main


def start(words: Sequence[str], said: Path = Path(os.devnull)) -> int:
    """Run a command in a fork, which has everything imported: its process id.

    What it writes to its terminal goes to the file `said`.
    """
    child = os.fork()
    if child:
        return child
    sys.stdout = sys.stderr = said.open("w")
    sys.argv = ["gradbox", *words]
    code = 70
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def end(child: int, seconds: float | None = None) -> int:
    """The exit code of a process, killed after so long."""
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


_TIMES = re.compile(rb'"(?:files|[a-z_]*seconds[a-z_]*)": (?:[\[{][^\]}]*[\]}]|[^\],}\s]+)')
"""What two runs may differ in: how long they took, and which files the last call had to write."""


def content(folder: Path) -> dict[str, bytes]:
    """All files that a command left, times and the writer's own files aside.

    The report, in HTML, holds times and the parts of stores their own; `maps` reads those.
    """
    return {
        path.relative_to(folder).as_posix(): _comparable(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix != ".html"
        and path.parent.name != "parts"
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _comparable(path: Path, folder: Path) -> bytes:
    data = path.read_bytes().replace(str(folder).encode(), b"OUT")
    return _TIMES.sub(b"", data) if path.suffix in (".json", ".jsonl") else data


def maps(folder: Path) -> dict[str, bytes]:
    """The saved maps of a store by image."""
    store = gradbox.open_maps(folder)
    return {name: store[name].tobytes() for name in sorted(store.images)}
