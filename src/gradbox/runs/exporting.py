"""A finished run in the formats of other tools, read image by image."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gradbox.exports import About, exporters, model_version
from gradbox.images.reading import NOTHING_SAID, Reading
from gradbox.localization import ImageSource, Localization
from gradbox.results.opening import AnyRun


def export(
    run: AnyRun,
    formats: Sequence[str],
    out: Path,
    *,
    names: Callable[[int | None], str] | None = None,
    reading: Reading = NOTHING_SAID,
    channels: int = 3,
) -> list[Path]:
    """Write these formats below a folder; without `names` those that stand in the run.

    Returns:
        The files and folders that were written.
    """
    facts = run.facts
    proposing = bool(facts["call"].get("proposals"))
    written = []
    for write in exporters(formats, proposals=proposing):
        passing = _Passing(run, proposing)
        about = About(
            names=names or passing.name,
            model_version=model_version(facts["call"], facts["versions"]["gradbox"]),
            source_of=passing.source_of,
            reading=reading,
            channels=channels,
        )
        written.append(write(passing.localizations(), about, out))
    return written


class _Passing:
    """The localizations of a run one after the other, and what is asked of the last one."""

    def __init__(self, run: AnyRun, proposing: bool) -> None:
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
