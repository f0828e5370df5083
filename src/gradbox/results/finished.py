"""A finished run as others read it: what was found in each image, and where that image is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from gradbox.errors import UsageError
from gradbox.localization import Found
from gradbox.results.entries import INPUTS, PREDICTIONS
from gradbox.results.facts import RUN
from gradbox.results.predictions import read_predictions
from gradbox.results.sharded import ShardedRun
from gradbox.stores import open_store


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One image of a run; `source` is its path, None where it is no file or none is known."""

    image_id: str
    source: str | None
    found: Found


def read_run(path: Path, *, masks: bool = False) -> Iterator[Seen]:
    """The images of a run, one after the other, in its order.

    Raises:
        UsageError: there is no finished run, or it is damaged.
    """
    facts = run_facts(path)
    if "shard" in facts:
        for sample, found in ShardedRun(open_store(path), facts, facts["shard"]).pairs(masks=masks):
            source = sample.source if isinstance(sample.source, (str, Path)) else None
            yield Seen(
                image_id=sample.image_id,
                source=None if source is None else str(source),
                found=found,
            )
        return
    try:
        with (path / PREDICTIONS).open("rb"):
            pass
    except OSError:
        raise UsageError(_no_results(path)) from None
    try:
        results = read_predictions(path / PREDICTIONS, masks=masks)
        for (image_id, found), source in zip(results, _sources(path), strict=False):
            yield Seen(image_id=image_id, source=source, found=found)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path / PREDICTIONS} is damaged ({error}): make the same call again"
        ) from error


def run_facts(path: Path) -> dict[str, Any]:
    """What `run.json` says.

    Raises:
        UsageError: there is no run, or it is damaged.
    """
    try:
        facts = json.loads((path / RUN).read_text("utf-8"))
        if isinstance(facts["call"], dict):
            return facts
        reason = "no call"
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} holds no run: give the --out of one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = repr(error)
    raise UsageError(f"{path / RUN} is damaged ({reason}): make the same call again")


def _no_results(path: Path) -> str:
    facts = run_facts(path)
    parts = sorted(one.parent.name for one in path.glob(f"*/{RUN}"))
    if facts["call"].get("command") == "compare" and parts:
        return f"{path} holds {len(parts)} runs: give the folder of one, as {path / parts[0]}"
    return f"{path} holds no finished run: make the same call again"


def _sources(path: Path) -> Iterator[str | None]:
    """Where the images are, in the order of the results; version 0.1 does not say."""
    try:
        stream = (path / INPUTS).open(encoding="utf-8")
    except FileNotFoundError:
        yield from repeat(None)
    with stream:
        for line in stream:
            yield json.loads(line).get("source")
