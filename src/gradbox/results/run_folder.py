"""A run's folder on disk: `run.json`, `predictions.jsonl`, `images.jsonl` and `images.sha256`.

While a run goes on each batch is a part of its own (`results.parts`); when every image has its line
they are gathered in `predictions.jsonl`, and what each line depends on in `images.jsonl`. A line
counts only with its entry there, so whatever is damaged or cut off is made again. The same call
into the same folder does what is new or has changed; an image that is gone keeps its line, after
those of the images that are there.
"""

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from gradbox.errors import UsageError
from gradbox.files import hash_file, whole_file, write_json
from gradbox.localization import Found, Sample
from gradbox.results.entries import (
    INPUTS,
    PREDICTIONS,
    entry_of_part,
    final_entries,
    lines_of,
)
from gradbox.results.inputs import Input
from gradbox.results.lock import held
from gradbox.results.parts import Parts, to_bytes
from gradbox.results.predictions import from_line

HASHES = "images.sha256"
RUN = "run.json"
FORMAT = 2
"""Counts the layouts of the folder; version 0.1 wrote none."""

_STAGING = ".new"
_MOVING = ".moving"
_STRAYS = (".partial", ".replaced")
_FILES = (
    *(PREDICTIONS, INPUTS, HASHES, "metrics.json", "compare.json", "report.html", "pictures"),
    *("view.html", "view_files"),
)


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
        return _read_json(self.path / RUN)

    @property
    def gone(self) -> list[str]:
        """Images that have a line but are not among those of this call."""
        here = {sample.image_id for sample in self.samples}
        return [image_id for image_id in self._entries if image_id not in here]

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each image of this call that could be read, by image id."""
        entries = ((s.image_id, self._entries.get(s.image_id)) for s in self.samples)
        return {i: e.input.sha256 for i, e in entries if e is not None and e.input.sha256}

    def results(
        self, *, masks: bool = False, proposals: bool = False
    ) -> Iterator[tuple[str, Found]]:
        """The results of this call's images, in their order; see `from_line`."""
        names = [sample.image_id for sample in self.samples]
        lines = lines_of(self._entries[name] for name in names)
        for name, line in zip(names, lines, strict=True):
            yield name, from_line(line, masks=masks, proposals=proposals)

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

    def finish(self, **facts: Any) -> None:
        """Gather the parts in the final files, and write `run.json` with what is known now."""
        order = [sample.image_id for sample in self.samples] + self.gone
        if order:
            self._gather(order)
        images = hash_file(self.path / HASHES) if (self.path / HASHES).exists() else None
        facts = {**self.run, "images_sha256": images, **facts, "finished": True}
        write_json(self.path / RUN, facts)

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


@contextmanager
def open_run(
    path: Path,
    call: Mapping[str, Any],
    about: Mapping[str, Any],
    *,
    overwrite: bool,
    rebuilt: Callable[[str], str] = str,
    resumable: bool = True,
) -> Iterator[RunFolder]:
    """Hold the folder for a run: a new one, or the one of an earlier run of the same call.

    Args:
        path: the folder.
        call: what makes a call the same, ready for JSON.
        about: what else `run.json` says.
        overwrite: start anew where the folder holds another call's run or other files. The run that
            is there stays until the new one is finished.
        rebuilt: from a `method` or `box` that another version wrote to its present text.
        resumable: whether equal calls are the same at all; where not, a run is never gone on with.

    Raises:
        UsageError: the folder holds something else and `overwrite` is not given, another call holds
            it, or nothing can be written there.
    """
    run = {"format": FORMAT, "call": dict(call), **about, "versions": versions(), "finished": False}
    with held(path):
        _take_place(path)
        _clean(path)
        target = path
        if overwrite and any(_visible(path)):
            target = path / _STAGING
            if not _goes_on(target, call, rebuilt, resumable=resumable):
                shutil.rmtree(target, ignore_errors=True)
        elif (path / RUN).exists():
            _check_same(path, call, rebuilt)
            if not resumable:
                raise UsageError(
                    f"{path} holds a run of {call['method']} already, and whether that is the same "
                    "cannot be told: its classifier is a function without a file, or its method no "
                    "dataclass; give another --out, or --overwrite"
                )
        elif any(_visible(path)):
            raise UsageError(f"{path} holds other files: give another --out, or --overwrite")
        target.mkdir(exist_ok=True)
        if not (target / RUN).exists():
            write_json(target / RUN, run)
        yield RunFolder(target, run)
        _take_place(path)


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    packages = ("gradbox", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow")
    return {"python": python_version(), **{name: version(name) for name in packages}}


def _as_sha256sum(digest: str, name: str) -> bytes:
    """A line as `sha256sum` writes it, which escapes names that would break a line."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    line = f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"
    return line.encode("utf-8", "surrogateescape")


def _visible(path: Path) -> Iterator[Path]:
    return (one for one in path.iterdir() if not one.name.startswith("."))


def _goes_on(
    path: Path, call: Mapping[str, Any], rebuilt: Callable[[str], str], *, resumable: bool
) -> bool:
    """Whether an unfinished run of the same call is there."""
    if not resumable or not (path / RUN).exists():
        return False
    try:
        _check_same(path, call, rebuilt)
    except UsageError:
        return False
    return True


def _check_same(path: Path, call: Mapping[str, Any], rebuilt: Callable[[str], str]) -> None:
    run = _read_json(path / RUN)
    if run.get("format") != FORMAT:
        raise UsageError(
            f"{path} holds a run of another version of gradbox, which is read but not gone on with:"
            " give another --out, or --overwrite"
        )
    before = dict(run.get("call", {}))
    for part in ("method", "box"):
        if isinstance(before.get(part), str):
            before[part] = rebuilt(before[part])
    now = json.loads(json.dumps(call))
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if changed:
        key = changed[0]
        raise UsageError(
            f"{path} holds another run ({key} was {before.get(key)!r}, is now {now.get(key)!r}): "
            "give another --out, or --overwrite"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path} is damaged ({error}): give another --out, or --overwrite"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is damaged (no object): give another --out, or --overwrite")
    return content


def _take_place(path: Path) -> None:
    """Let a finished run that replaces another take its place; a kill meanwhile is made good.

    Files of the former run go first; the mark says that they are gone, so that a second try does
    not take those of the new run for them.
    """
    staging = path / _STAGING
    if not (staging / RUN).exists():
        if staging.is_dir() and (staging / _MOVING).exists():
            shutil.rmtree(staging)
        return
    if not _read_json(staging / RUN).get("finished"):
        return
    if not (staging / _MOVING).exists():
        for name in _written(path):
            _remove(path / name)
        (staging / _MOVING).touch()
    for one in sorted(staging.iterdir(), key=lambda one: one.name == RUN):
        if one.name != _MOVING:
            _move(one, path / one.name)
    shutil.rmtree(staging)


def _written(path: Path) -> list[str]:
    """The names that the run in this folder has written."""
    try:
        more = _read_json(path / RUN).get("files", [])
    except UsageError:
        more = []
    return [*_FILES, RUN, *more]


def _move(one: Path, target: Path) -> None:
    """Put a file or folder in its place; a folder that is there keeps what is not replaced."""
    if one.is_dir() and target.is_dir():
        for child in list(one.iterdir()):
            _move(child, target / child.name)
        return
    _remove(target)
    one.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _clean(path: Path) -> None:
    """Remove what a killed call left unfinished here; other runs below look after themselves."""
    for name, subfolders, files in os.walk(path):
        folder = Path(name)
        strays = [n for n in (*subfolders, *files) if n.startswith(".") and n.endswith(_STRAYS)]
        for stray in strays:
            _remove(folder / stray)
        subfolders[:] = [
            n
            for n in subfolders
            if n not in strays and (n == _STAGING or not (folder / n / RUN).exists())
        ]
