"""What the result of an image depends on, beside the call: its file, and the classes asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from gradbox.errors import ImageError
from gradbox.images.batches import hash_source
from gradbox.images.clips import ClipFrame
from gradbox.images.read import image_stat
from gradbox.localization import ImageFile, Sample
from gradbox.stores import StoredFile, full_text

_ASKED, _BLOCK = 32, 1024
"""Images that a store is asked about at a time, and of how many it is known together."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """The file of an image as it was: size in bytes, time of its last change in ns, SHA-256.

    All three are None where the file could not be read, the first two where the image is no file.
    Of a frame of a clip the first two are the clip's. `source` is its whole path, URL or place in a
    tar: where to look for the image, and nothing that its result depends on. `asked` are the class
    indices that were given, None where none was.
    """

    source: str | None = None
    bytes: int | None = None
    mtime_ns: int | None = None
    sha256: str | None = None
    asked: tuple[int, ...] | None = None

    @classmethod
    def now(cls, sample: Sample, asked: tuple[int, ...] | None) -> "Input":
        """As it is now, without the hash."""
        source = sample.source
        if not isinstance(source, ImageFile | ClipFrame):
            return cls(asked=asked)
        file = source.clip.path if isinstance(source, ClipFrame) else source
        size, version = image_stat(file) or (None, None)
        return cls(source=full_text(str(source)), bytes=size, mtime_ns=version, asked=asked)

    @classmethod
    def each_now(
        cls, samples: Iterable[Sample], asked_of: Callable[[Sample], tuple[int, ...] | None]
    ) -> Iterator[tuple[Sample, "Input"]]:
        """Images in order, each with its input; a store is asked about many at a time."""

        def now(sample: Sample) -> "Input":
            return cls.now(sample, asked_of(sample))

        rest = iter(samples)
        with ThreadPoolExecutor(_ASKED) as pool:
            while block := list(islice(rest, _BLOCK)):
                found = pool.map(now, block) if any(map(_is_away, block)) else map(now, block)
                yield from zip(block, found, strict=True)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Input":
        """What `to_json` gave.

        Raises:
            TypeError: something else.
        """
        asked = fields.get("asked")
        return cls(**{**fields, "asked": None if asked is None else tuple(asked)})

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def hashed(self, sample: Sample, known: str | None = None) -> "Input":
        """With the SHA-256, `known` or of the file; None stays where it cannot be read."""
        if known is None and self.bytes is not None:
            try:
                known = hash_source(sample.source)
            except ImageError:
                known = None
        return replace(self, sha256=known)

    def is_as_before(self, before: "Input", sample: Sample, *, verify: bool) -> bool:
        """Whether the result of `before` still holds.

        Size and time of the file are compared first; its hash where they differ, or for `verify`. A
        file that is away now is taken as unchanged: its result is all that is left.
        """
        if self.asked != before.asked:
            return False
        if self.bytes is None:
            return True
        if not verify and (self.bytes, self.mtime_ns) == (before.bytes, before.mtime_ns):
            return True
        return before.sha256 is not None and self.hashed(sample).sha256 == before.sha256


def _is_away(sample: Sample) -> bool:
    """Whether somebody has to be asked over the network how the file is now."""
    return isinstance(sample.source, StoredFile) and not sample.source.is_listed
