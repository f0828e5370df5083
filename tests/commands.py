"""Commands, as typed."""

import sys

import pytest

from gradbox import cli


def run(*words: object) -> int:
    """The exit code of a command, run in this process."""
    argv = sys.argv
    sys.argv = ["gradbox", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        sys.argv = argv
    return int(end.value.code or 0)
