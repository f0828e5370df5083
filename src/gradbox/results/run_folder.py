"""A run's folder on disk: `run.json`, `predictions.jsonl`, `images.jsonl` and `images.sha256`.

While a run goes on each batch is a part of its own (`results.parts`); when every image has its line
they are gathered in `predictions.jsonl`, and what each line depends on in `images.jsonl`. A line
counts only with its entry there, so whatever is damaged or cut off is made again. The same call
into the same folder does what is new or has changed; an image that is gone keeps its line, after
those of the images that are there.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradbox.files import hash_file, whole_file
from gradbox.localization import Found, Sample
from gradbox.results.entries import (
    INPUTS,
    PREDICTIONS,
    entry_of_part,
    final_entries,
    lines_of,
)
from gradbox.results.facts import read_facts, write_facts
from gradbox.results.inputs import Input
from gradbox.results.parts import Parts, to_bytes
from gradbox.results.predictions import Outcome, from_line
from gradbox.stores import open_store

HASHES = "images.sha256"


@dataclass(eq=False)
class RunFolder:
    """The folder of one run, held against other calls; make it with `open_run`.

    `path` is where the run writes: its folder, or a hidden one in it for a run that replaces
    another and takes its place only when it is finished. `samples` are the images of the call, once
    they have been checked.
    """

    path: Path
    run: Mapping[str, Any]
    samples: Sequence[Sample] = ()

    def __post_init__(self) -> None:
        self._parts = Parts(self.path)
        self._entries = dict(final_entries(self.path))
        for lines in self._parts.read():
            self._entries.update(map(entry_of_part, lines))

    @property
    def predictions(self) -> Path:
        """The finished `predictions.jsonl`."""
        return self.path / PREDICTIONS

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        return read_facts(open_store(self.path))

    @property
    def gone(self) -> list[str]:
        """Images that have a line but are not among those of this call."""
        here = {sample.image_id for sample in self.samples}
        return [image_id for image_id in self._entries if image_id not in here]

    def digests(self) -> Iterator[tuple[str, str]]:
        """The SHA-256 of each image of this call that could be read, by image id."""
        for sample in self.samples:
            entry = self._entries.get(sample.image_id)
            if entry is not None and entry.input.sha256:
                yield sample.image_id, entry.input.sha256

    def results(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[str, Found]]:
        """The results of this call's images, in their order; see `from_line`."""
        for line in self._lines():
            yield line["image"], from_line(line, masks=masks, proposals=proposals)

    def outcomes(self) -> Iterator[Outcome]:
        """What a report counts of each image of this call."""
        return map(Outcome.of, self._lines())

    def _lines(self) -> Iterator[dict[str, Any]]:
        return lines_of(self._entries[sample.image_id] for sample in self.samples)

    def pairs(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[Sample, Found]]:
        """The images of this call with their truth, and what was found in each."""
        results = self.results(masks=masks, proposals=proposals)
        for sample, (_, found) in zip(self.samples, results, strict=True):
            yield sample, found

    def has(self, image_id: str) -> bool:
        """Whether an image has its line."""
        return image_id in self._entries

    def check(
        self, samples: Sequence[Sample], inputs: Mapping[str, Input], *, verify: bool, retry: bool
    ) -> None:
        """Take these images as those of the call, and forget the lines that no longer hold.

        What could not be read is tried again, what failed otherwise only for `retry`.
        """
        self.samples = samples
        for sample in samples:
            entry = self._entries.get(sample.image_id)
            if entry is None:
                continue
            before, now = entry.input, inputs[sample.image_id]
            again = entry.is_error and (retry or before.sha256 is None)
            if again or not now.is_as_before(before, sample, verify=verify):
                del self._entries[sample.image_id]
            elif now.bytes is not None and now != replace(before, sha256=None):
                moved = replace(now, sha256=before.sha256)
                self._entries[sample.image_id] = replace(entry, input=moved)

    def append(self, lines: Sequence[tuple[Input, Mapping[str, Any]]]) -> None:
        """Write the lines of some images, and what they depend on, as one part."""
        if lines:
            records = [
                {"image": line["image"], "input": needed.to_json(), "line": line}
                for needed, line in lines
            ]
            self._entries.update(map(entry_of_part, self._parts.write(records)))

    def note(self, facts: Mapping[str, Any]) -> None:
        """Let `run.json` say more, once it is finished."""
        self.run = {**self.run, **facts}

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """The folder, whose files are those of the run."""
        yield self.path

    def finish(self, **facts: Any) -> None:
        """Gather the parts in the final files, and write `run.json` with what is known now."""
        order = [sample.image_id for sample in self.samples] + self.gone
        if order:
            self._gather(order)
        images = hash_file(self.path / HASHES) if (self.path / HASHES).exists() else None
        known = {"images_sha256": images, "n_images": len(self.samples)}
        facts = {**self.run, **known, **facts, "finished": True}
        write_facts(open_store(self.path), facts)

    def _gather(self, order: Sequence[str]) -> None:
        """Write the final files; predictions that hold what they should stay as they are."""
        if list(self._entries) != order or not self._is_gathered():
            lines = lines_of(self._entries[image_id] for image_id in order)
            with whole_file(self.predictions) as partial, partial.open("wb") as stream:
                stream.writelines(map(to_bytes, lines))
        with (
            whole_file(self.path / INPUTS) as inputs,
            whole_file(self.path / HASHES) as hashes,
            inputs.open("wb") as about,
            hashes.open("wb") as digests,
            self.predictions.open("rb") as stream,
        ):
            gathered, start = {}, 0
            for image_id, raw in zip(order, stream, strict=True):
                end = start + len(raw)
                entry = replace(
                    self._entries[image_id], file=self.predictions, start=start, end=end
                )
                gathered[image_id], start = entry, end
                facts = {"image": image_id, "line": zlib.crc32(raw), **entry.input.to_json()}
                about.write(to_bytes(facts))
                if entry.input.sha256:
                    digests.write(_as_sha256sum(entry.input.sha256, image_id))
        self._parts.remove()
        self._entries = gathered

    def _is_gathered(self) -> bool:
        """Whether the predictions hold these lines and nothing else."""
        if any(entry.file != self.predictions for entry in self._entries.values()):
            return False
        return self.predictions.stat().st_size == sum(
            entry.end - entry.start for entry in self._entries.values()
        )


def _as_sha256sum(digest: str, name: str) -> bytes:
    """A line as `sha256sum` writes it, which escapes names that would break a line."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    line = f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"
    return line.encode("utf-8", "surrogateescape")
