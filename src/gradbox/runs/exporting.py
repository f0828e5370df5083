"""A finished run in the formats of other tools, read image by image."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gradbox.errors import UsageError, nearest
from gradbox.exports import FORMATS, About, exporters, model_version
from gradbox.files import whole_file
from gradbox.localization import ImageSource, Localization
from gradbox.results.entries import PREDICTIONS
from gradbox.results.finished import Finished, Lines, preprocessing_of
from gradbox.results.parts import to_bytes
from gradbox.results.predictions import to_line

LINES = "jsonl"
"""The format that is no `exports.FORMATS`: the lines of `predictions.jsonl`, those of failed images
among them."""


def to_formats(text: str) -> tuple[str, ...]:
    """The formats of a text with commas.

    Raises:
        UsageError: an unknown one.
    """
    names = tuple(name for name in text.split(",") if name)
    for name in names:
        check_format(name)
    return names


def check_format(name: str) -> None:
    """Refuse what is no format; a file of the user's that is named is loaded.

    Raises:
        UsageError: which are known.
    """
    if name == LINES:
        return
    if name not in FORMATS:
        known = ", ".join([LINES, *FORMATS])
        raise UsageError(f"unknown format {name!r}{nearest(name, FORMATS)}: use {known}")
    FORMATS.get(name)


def export(
    run: Finished,
    formats: Sequence[str],
    out: Path,
    *,
    names: Callable[[int | None], str] | None = None,
) -> list[Path]:
    """Write these formats below a folder; without `names` those that stand in the run.

    Returns:
        The files and folders that were written.
    """
    facts = run.facts
    preprocessing = preprocessing_of(facts["call"])
    proposing = bool(facts["call"].get("proposals"))
    written = [_write_lines(run, out)] if LINES in formats else []
    for write in exporters([one for one in formats if one != LINES], proposals=proposing):
        passing = _Passing(run, proposing)
        about = About(
            names=names or passing.name,
            model_version=model_version(facts["call"], facts.get("versions", {}).get("gradbox")),
            source_of=passing.source_of,
            reading=preprocessing.reading,
            channels=preprocessing.channels,
        )
        written.append(write(passing.localizations(), about, out))
    return written


def _write_lines(run: Finished, out: Path) -> Path:
    path = out / PREDICTIONS
    if isinstance(run, Lines) and path.exists() and path.samefile(run.path / PREDICTIONS):
        return path
    with whole_file(path) as partial, partial.open("wb") as stream:
        for sample, found in run.pairs(masks=True, proposals=True):
            stream.write(to_bytes(to_line(sample.image_id, found, masks=True)))
    return path


class _Passing:
    """The localizations of a run one after the other, and what is asked of the last one."""

    def __init__(self, run: Finished, proposing: bool) -> None:
        self._run = run
        self._proposing = proposing
        self._image_id = ""
        self._source: ImageSource = ""
        self._names: dict[int | None, str] = {}

    def localizations(self) -> Iterator[Localization]:
        for sample, found in self._run.pairs(masks=True, proposals=self._proposing):
            if isinstance(found, Localization):
                self._image_id, self._source = sample.image_id, sample.source
                for label, name in zip(found.labels, found.names, strict=True):
                    self._names.setdefault(label, name or "object")
                yield found

    def source_of(self, image_id: str) -> ImageSource:
        """Of the image that came last, which is the one that an exporter asks for."""
        assert image_id == self._image_id
        return self._source

    def name(self, label: int | None) -> str:
        return self._names.get(label, "object" if label is None else str(label))
