"""`run.json`: what a run says of itself, in a folder or a store."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from platform import python_version
from typing import Any

from gradbox.errors import UsageError
from gradbox.stores import Store

RUN = "run.json"


def read_facts(store: Store) -> dict[str, Any]:
    """What the `run.json` in a store says.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    try:
        content = json.loads(store.read(RUN))
    except FileNotFoundError as error:
        raise UsageError(f"{store.url} holds no run: give the --out of one") from error
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{store.url}/{RUN} is damaged ({error}): give another --out, or --overwrite"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{store.url}/{RUN} is damaged (no object): give another --out, or --overwrite"
        )
    return content


def write_facts(store: Store, facts: Mapping[str, Any]) -> None:
    """Write `run.json`."""
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    store.write(RUN, text.encode("utf-8", "backslashreplace") + b"\n")


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    packages = ("gradbox", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow")
    return {"python": python_version(), **{name: version(name) for name in packages}}
