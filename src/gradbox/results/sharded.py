"""A run in shards: `shards/part-000000.parquet` and so on, each written whole by whoever runs it.

Shard n holds the results of piece n of the run's `Listing`. A part says which call and which images
(name, size in bytes, SHA-256) it is of, and no time: equal calls give equal bytes, in any order and
by any number of processes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from gradbox.errors import UsageError
from gradbox.files import hash_bytes
from gradbox.localization import Found, Sample
from gradbox.results.facts import read_facts, write_facts
from gradbox.results.inputs import Input
from gradbox.results.listing import Listed, Listing, name_of, row_of
from gradbox.results.parquet import FOUND, DamagedError, Row, decode, encode
from gradbox.results.predictions import Outcome, from_line
from gradbox.stores import Store, open_store, source_of

FOLDER = "shards"
SHARD = 4096
"""Images of a shard where nobody says."""
_OF_INPUT = ("bytes", "sha256")


@dataclass(eq=False)
class ShardedRun:
    """A run in a store; make it with `open_run`, or read one with `open_finished`.

    `run` is what `run.json` says, `size` how many images a shard has; `samples` are the images of
    the call, for those that are no files.
    """

    store: Store
    run: Mapping[str, Any]
    size: int
    samples: Sequence[Sample] = field(default=(), repr=False)

    @property
    def path(self) -> Path:
        """The folder, of a run on this machine."""
        return self.store.path("")

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        return read_facts(self.store)

    @cached_property
    def call(self) -> str:
        """What tells this call from others, as each part has it."""
        return hash_bytes(json.dumps(self.run["call"], sort_keys=True).encode())[:16]

    @cached_property
    def listing(self) -> Listing:
        """The images, with the `samples` that are known when it is first asked for."""
        return Listing(self.store, self.size, self.samples)

    def check(
        self,
        samples: Iterable[Sample],
        asked_of: Callable[[Sample], tuple[int, ...] | None],
        *,
        verify: bool,
        retry: bool,
    ) -> None:
        """Take these images as those of the call, and drop the parts that no longer hold.

        For `retry` those with an image that failed, too.
        """
        digests = lru_cache(maxsize=1)(self._digests)
        rows = (
            row_of(index, sample, now)
            for index, (sample, now) in enumerate(Input.each_now(samples, asked_of))
        )

        def holds(piece: int, at: int, before: Row, now: Row) -> bool:
            same = (before["bytes"], before["version"]) == (now["bytes"], now["version"])
            if before["asked"] != now["asked"]:
                return False
            if same and not verify:
                return True
            known = digests(piece)
            return at < len(known) and known[at] is not None and known[at] == _digest(now)

        for number in self.listing.update(rows, holds):
            self.store.remove(name_of(FOLDER, number))
            digests.cache_clear()
        if retry:
            for number in self.numbers:
                if any(row["error"] is not None for row in self._rows(number, ("error",))):
                    self.store.remove(name_of(FOLDER, number))

    @property
    def numbers(self) -> list[int]:
        """The shards whose part is there."""
        return [int(Path(name).stem[5:]) for name in self.store.names(FOLDER)]

    def holds(self, number: int) -> bool:
        """Whether a part is whole, of this call and of the images that are listed."""
        try:
            about, rows = decode(self.store.read(name_of(FOLDER, number)), ("image", "bytes"))
        except (DamagedError, FileNotFoundError):
            return False
        listed = self.listing.rows(number, ("image", "bytes"))
        return rows == listed and about.get("call") == self.call and about.get("shard") == number

    def listed(self, number: int) -> list[Listed]:
        """All images of a shard."""
        return [one for one, _ in self.listing.listed(number)]

    def write(self, number: int, found: Sequence[tuple[Input, Mapping[str, Any]]]) -> bytes:
        """Write the part of a shard, from the lines of its images; returns its bytes."""
        rows = [
            {**_storable(line), "bytes": needed.bytes, "sha256": _as_bytes(needed.sha256)}
            for needed, line in found
        ]
        about = {"call": self.call, "shard": number, "first": number * self.size}
        data = encode(rows, FOUND, {**about, "count": len(rows)})
        self.store.write(name_of(FOLDER, number), data)
        return data

    def results(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[str, Found]]:
        """The results of this call's images, shard by shard; see `from_line`."""
        for row in self._here():
            line = _line_of(row)
            yield line["image"], from_line(line, masks=masks, proposals=proposals)

    def outcomes(self) -> Iterator[Outcome]:
        """What a report counts of each image of this call."""
        return map(Outcome.of, self._here(("image", "error", "names", "scores")))

    def pairs(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[Sample, Found]]:
        """The images of this call with their truth, and what was found in each."""
        for number in range(self.listing.pieces):
            listed = self.listing.listed(number)
            for (one, is_here), line in zip(listed, self.lines(number), strict=True):
                if is_here:
                    yield one.sample, from_line(line, masks=masks, proposals=proposals)

    def digests(self) -> Iterator[tuple[str, str]]:
        """The SHA-256 of each image that could be read, by image id."""
        for row in self._here(("image", "sha256")):
            if row["sha256"] is not None:
                yield row["image"], row["sha256"].hex()

    @property
    def gone(self) -> Iterator[str]:
        """Images that have a result but are not among those of this call."""
        for number in range(self.listing.pieces):
            rows = self.listing.rows(number, ("image", "here"))
            yield from (row["image"] for row in rows if not row["here"])

    def lines(self, number: int) -> list[dict[str, Any]]:
        """The lines of a shard, as `predictions.jsonl` has them.

        Raises:
            UsageError: the part is not there, or is damaged.
        """
        return [_line_of(row) for row in self._rows(number)]

    def note(self, facts: Mapping[str, Any]) -> None:
        """Let `run.json` say more, once it is finished."""
        self.run = {**self.run, **facts}

    def save(self) -> None:
        """Write `run.json` as it is known before the end."""
        write_facts(self.store, self.run)

    def finish(self, **facts: Any) -> None:
        """Write `run.json` with what is known now."""
        write_facts(self.store, {**self.run, **facts, "finished": True})

    def writing(self) -> AbstractContextManager[Path]:
        """A folder on this machine whose files are those of the run when the block ends well."""
        return self.store.working_folder()

    def _here(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The results of this call's images, or these columns of them, shard by shard."""
        for number in range(self.listing.pieces):
            listed = self.listing.rows(number, ("here",))
            for one, row in zip(listed, self._rows(number, columns), strict=True):
                if one["here"]:
                    yield row

    def _rows(self, number: int, columns: Sequence[str] | None = None) -> list[Row]:
        name = name_of(FOLDER, number)
        try:
            return decode(self.store.read(name), columns)[1]
        except FileNotFoundError:
            reason = "is not there: the run is not finished"
        except DamagedError as error:
            reason = f"is damaged ({error})"
        raise UsageError(f"{self.store.url}/{name} {reason}: make the same call again")

    def _digests(self, number: int) -> list[str | None]:
        with suppress(UsageError):
            rows = self._rows(number, ("sha256",))
            return [None if row["sha256"] is None else row["sha256"].hex() for row in rows]
        return []


def open_sharded(place: str, samples: Sequence[Sample] = ()) -> ShardedRun:
    """The run in shards that is being made there, for another process that helps."""
    store = open_store(place)
    facts = read_facts(store)
    return ShardedRun(store, facts, facts["shard"], samples)


def _line_of(row: Row) -> dict[str, Any]:
    return {k: v for k, v in row.items() if v is not None and k not in _OF_INPUT}


def _storable(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line whose texts are UTF-8: the halves of characters that a name may have are escaped."""
    names = line.get("names")
    return {
        **line,
        "error": _escaped(line.get("error")),
        "names": names and [_escaped(name) for name in names],
    }


def _escaped(text: str | None) -> str | None:
    return text and text.encode("utf-8", "backslashreplace").decode()


def _as_bytes(digest: str | None) -> bytes | None:
    return None if digest is None else bytes.fromhex(digest)


def _digest(row: Row) -> str | None:
    """The SHA-256 of a listed file as it is now."""
    if row["source"] is None:
        return None
    sample = Sample(image_id=row["image"], source=source_of(row["source"]))
    return Input.now(sample, None).hashed(sample).sha256
