"""A function that a user names as `path/file.py:function`; loading it runs the file."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradbox.errors import UsageError, nearest


def is_function(spec: str) -> bool:
    """Whether a text names a function in a file, `path/file.py:function`."""
    return spec.rpartition(":")[0].endswith(".py")


def load_function(spec: str, root: Path = Path()) -> Callable[..., Any]:
    """The function that `path/file.py:function` names, the path relative to `root`.

    Raises:
        UsageError: no such file or function.
    """
    file, _, name = spec.rpartition(":")
    path = root / file
    if not os.path.isfile(path):
        raise UsageError(f"{path}: no such file; a function is named as path/file.py:function")
    module_spec = importlib.util.spec_from_file_location(f"gradbox_user_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    code = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = code  # dataclasses look there for the module they stand in
    module_spec.loader.exec_module(code)
    function = getattr(code, name, None)
    if not callable(function):
        raise UsageError(f"{path} has no function {name!r}{nearest(name, vars(code))}")
    return function
