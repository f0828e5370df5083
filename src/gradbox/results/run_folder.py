"""A run's folder on disk: `run.json`, `predictions.jsonl` and `images.sha256`.

While a run goes on its lines are added to files that end in `.partial`; they get their final names
when every image has its line. The same call into the same folder goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from gradbox.errors import UsageError
from gradbox.files import hash_file, write_json
from gradbox.results.predictions import read_predictions

PREDICTIONS = "predictions.jsonl"
HASHES = "images.sha256"
RUN = "run.json"
_PARTIAL = ".partial"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; make it with `open_run`."""

    path: Path
    run: Mapping[str, Any]

    @property
    def predictions(self) -> Path:
        """The finished `predictions.jsonl`."""
        return self.path / PREDICTIONS

    @cached_property
    def done(self) -> frozenset[str]:
        """The images that have their line from an earlier, interrupted run of the same call."""
        if self.predictions.exists():
            return frozenset(image for image, _ in read_predictions(self.predictions))
        partial = self._partial(PREDICTIONS)
        if not partial.exists():
            return frozenset()
        _drop_torn_line(partial)
        _drop_torn_line(self._partial(HASHES))
        return frozenset(image for image, _ in read_predictions(partial))

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        facts: dict[str, Any] = json.loads((self.path / RUN).read_text("utf-8"))
        return facts

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each image of a finished run that could be read, by image id."""
        lines = (self.path / HASHES).read_text("utf-8").splitlines()
        return {image: digest for digest, image in (line.split("  ", 1) for line in lines)}

    def append(self, lines: Iterable[Mapping[str, Any]], hashes: Mapping[str, str]) -> None:
        """Add lines, and the SHA-256 of their images, to the unfinished files."""
        with self._partial(HASHES).open("a", encoding="utf-8") as stream:
            stream.writelines(f"{digest}  {image}\n" for image, digest in hashes.items())
        with self._partial(PREDICTIONS).open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def finish(self, **facts: Any) -> None:
        """Give the files their final names and write `run.json` with what is known at the end."""
        for name in (HASHES, PREDICTIONS):
            if self._partial(name).exists():
                self._partial(name).replace(self.path / name)
        images = hash_file(self.path / HASHES) if (self.path / HASHES).exists() else None
        write_json(
            self.path / RUN, {**self.run, "images_sha256": images, **facts, "finished": True}
        )

    def _partial(self, name: str) -> Path:
        return self.path / (name + _PARTIAL)


def open_run(
    path: Path,
    call: Mapping[str, Any],
    about: Mapping[str, Any],
    *,
    overwrite: bool,
    rebuilt: Callable[[str], str] = str,
    resumable: bool = True,
) -> RunFolder:
    """The folder for a run: a new one, or the one of an interrupted run of the same call.

    Args:
        path: the folder.
        call: what makes a call the same, ready for JSON.
        about: what else `run.json` says.
        overwrite: start anew where the folder holds another call's run or other files.
        rebuilt: from a `method` or `box` that another version wrote to its present text.
        resumable: whether equal calls are the same at all; where not, a run is never gone on with.

    Raises:
        UsageError: the folder holds something else and `overwrite` is not given.
    """
    run = {"call": dict(call), **about, "versions": versions(), "finished": False}
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: --out takes a folder")
    if overwrite:
        _clear(path)
    elif (path / RUN).exists():
        _check_same(path, call, rebuilt)
        if not resumable:
            raise UsageError(
                f"{path} holds a run of {call['method']} already, and whether that is the same "
                "cannot be told: it is no dataclass; give another --out, or --overwrite"
            )
    elif path.exists() and any(path.iterdir()):
        raise UsageError(f"{path} holds other files: give another --out, or --overwrite")
    path.mkdir(parents=True, exist_ok=True)
    if not (path / RUN).exists():
        write_json(path / RUN, run)
    return RunFolder(path, run)


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    packages = ("gradbox", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow")
    return {"python": python_version(), **{name: version(name) for name in packages}}


def _check_same(path: Path, call: Mapping[str, Any], rebuilt: Callable[[str], str]) -> None:
    before = json.loads((path / RUN).read_text("utf-8")).get("call", {})
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


def _clear(path: Path) -> None:
    names = [PREDICTIONS, HASHES, RUN, "metrics.json", "report.html"]
    for name in [*names, *(name + _PARTIAL for name in names)]:
        (path / name).unlink(missing_ok=True)


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left unfinished."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        with path.open("r+b") as stream:
            stream.truncate(whole)
