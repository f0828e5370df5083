"""A finished run as others read it: what was found in each image, and where that image is."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gradbox.errors import UsageError
from gradbox.images.clips import ClipFrame, frame_at
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.reading import Reading
from gradbox.localization import Found, ImageFile, Sample
from gradbox.results.entries import INPUTS, PREDICTIONS
from gradbox.results.facts import RUN, read_facts
from gradbox.results.parquet import require_pyarrow
from gradbox.results.predictions import read_predictions
from gradbox.results.sharded import ShardedRun
from gradbox.stores import is_url, open_store


@runtime_checkable
class Finished(Protocol):
    """A run that can be read, image by image, again and again."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What `run.json` says."""
        ...

    def pairs(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[Sample, Found]]:
        """The images of the run, and what was found in each."""
        ...


@dataclass(frozen=True, eq=False)
class Lines:
    """A finished run of lines, read line by line; those of images that are gone are left out."""

    path: Path
    facts: Mapping[str, Any]

    def pairs(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[Sample, Found]]:
        """See `Finished`; an image that is no file, or of version 0.1, has its id as its source.

        Raises:
            UsageError: a line is damaged.
        """
        try:
            results = read_predictions(self.path / PREDICTIONS, masks=masks, proposals=proposals)
            both = zip(results, _sources(self.path), strict=False)
            for (image_id, found), source in islice(both, self.facts.get("n_images")):
                image = image_id if source is None else frame_at(source) or source
                yield Sample(image_id=image_id, source=image), found
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path / PREDICTIONS} is damaged ({error}): make the same call again"
            ) from error


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One image of a run; `source` is its path or URL, None where it is no file, or unknown."""

    image_id: str
    source: str | None
    found: Found


def open_finished(place: Path) -> Finished:
    """The finished run that is there, in a folder or an object store.

    Raises:
        UsageError: there is no finished run, or it is damaged.
    """
    store = open_store(place)
    facts = run_facts(place)
    if "shard" in facts:
        require_pyarrow()
        return ShardedRun(store, facts, facts["shard"])
    if not store.exists(PREDICTIONS):
        raise UsageError(_no_results(place, facts))
    return Lines(place, facts)


def read_run(place: Path, *, masks: bool = False) -> Iterator[Seen]:
    """The images of a run, one after the other, in its order.

    Raises:
        UsageError: there is no finished run, or it is damaged.
    """
    for sample, found in open_finished(place).pairs(masks=masks):
        is_file = isinstance(sample.source, ImageFile | ClipFrame)
        source = str(sample.source) if is_file else None
        is_known = source is not None and (os.path.isabs(source) or is_url(source))
        yield Seen(image_id=sample.image_id, source=source if is_known else None, found=found)


def run_facts(place: Path) -> dict[str, Any]:
    """What `run.json` says.

    Raises:
        UsageError: there is no run, or it is damaged.
    """
    facts = read_facts(open_store(place))
    if not isinstance(facts.get("call"), dict):
        raise UsageError(f"{place / RUN} is damaged (no call): make the same call again")
    return facts


def preprocessing_of(call: Mapping[str, Any]) -> Preprocessing:
    """How the images of a run were read, of its call; version 0.1 does not say."""
    if call.get("preprocessing") is None:
        return Preprocessing()
    said = (call.get(name) for name in ("channels", "range", "stack"))
    return Preprocessing.of_text(call["preprocessing"], Reading.of_texts(*said))


def _no_results(path: Path, facts: Mapping[str, Any]) -> str:
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
