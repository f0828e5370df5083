"""`gradbox serve labelstudio` as a user starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio import free_port, wait_for

MODEL = "gradbox/scenes"
METHOD = "sensitivity"


@dataclass(frozen=True)
class Backend:
    """`gradbox serve labelstudio` in a process of its own."""

    url: str
    log: Path
    process: "subprocess.Popen[Any]"


@contextmanager
def serving(
    log: Path, *words: object, port: str | None = None, **environment: str
) -> Iterator[Backend]:
    """The command as a user types it, until the block ends, by Ctrl-C."""
    port = port or str(free_port())
    command = [sys.executable, "-m", "gradbox.cli", "serve", "labelstudio", "--port", port, *words]
    with log.open("w") as stream:
        process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/health", process, log)
            yield Backend(url, log, process)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, log.read_text()
