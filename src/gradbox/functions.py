"""A function that a user names as `path/file.py:function`; loading it runs the file."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gradbox.errors import UsageError, nearest

_PREFIX = "gradbox_user_"  # of the names of modules that are files of the user's


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
    code = load_file(path)
    function = getattr(code, name, None)
    if not callable(function):
        raise UsageError(f"{path} has no function {name!r}{nearest(name, vars(code))}")
    return function


def load_file(path: Path) -> ModuleType:
    """Run a file, as a module that values of its classes can be pickled by."""
    module_spec = importlib.util.spec_from_file_location(f"{_PREFIX}{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    code = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = code  # dataclasses look there for the module they stand in
    module_spec.loader.exec_module(code)
    return code


def loaded_files() -> list[str]:
    """The files that were loaded, for another process that is to load them."""
    known = (module for name, module in sys.modules.items() if name.startswith(_PREFIX))
    return [os.path.abspath(module.__file__) for module in known if module.__file__]
