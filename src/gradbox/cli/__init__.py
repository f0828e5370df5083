"""The command line: parse, call `pipeline`, render."""

import os
import sys
from typing import NoReturn

import typer

from gradbox.cli.app import app
from gradbox.cli.asked import typed
from gradbox.cli.console import complain, route_warnings
from gradbox.errors import UsageError


def main() -> NoReturn:
    """Run the command line; the exit code says how it went."""
    route_warnings()
    try:
        with typed(sys.argv[1:]) as words:
            code = app(words, standalone_mode=False)
    except UsageError as error:
        complain(str(error))
        code = 2
    except OSError as error:  # a full disk, a folder taken away
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}; what was done is kept")
        code = 2
    except (typer.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # typer takes it for Ctrl-D
            complain(f"a file ends too early: {error.__cause__}")
            code = 2
        else:
            code = 130
    except Exception as error:
        if not _is_click_error(error):
            raise
        error.show()  # type: ignore[attr-defined]
        code = 2
    if code == 130:
        complain("stopped; what was done is kept: the same call goes on from there")
    _end(code or 0)


def _end(code: int) -> NoReturn:
    """End the process; once it has been in a Ray cluster, at once.

    What Ray's library does as an interpreter ends aborts it now and then, in 2 of 40 finished runs.
    """
    ray = sys.modules.get("gradbox.runs.ray_engine")
    if ray is not None and ray.has_joined:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_click_error(error: Exception) -> bool:
    return hasattr(error, "show") and hasattr(error, "exit_code")
