"""Clips as images: a file of many frames, each by its number and its time."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from gradbox.errors import ImageError, UsageError
from gradbox.images.video import Decoder, listed
from gradbox.localization import RGB, Moment, Sample

CLIP_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".ts", ".3gp"]
)
"""Lower-case suffixes of the files that are taken for clips."""
PER_SECOND = 5.0
"""Frames a second that are looked at where nobody says."""


@dataclass(frozen=True, kw_only=True)
class Every:
    """Which frames of a clip are looked at: each `nth`, or so many a second; `PER_SECOND` without.

    Raises:
        UsageError: both, or numbers that mean nothing.
    """

    nth: int | None = None
    per_second: float | None = None

    def __post_init__(self) -> None:
        if self.nth is not None and self.per_second is not None:
            raise UsageError("--every and --fps both say which frames are looked at: leave out one")
        if self.nth is not None and self.nth < 1:
            raise UsageError(f"--every {self.nth}: each so-many-th frame, from 1 for all")
        if self.per_second is not None and not 0 < self.per_second < 10_000:
            raise UsageError(f"--fps {self.per_second}: so many frames a second, above 0")

    def chosen(self, times: Sequence[float]) -> list[int]:
        """The numbers of the frames that are looked at, from their times in seconds.

        >>> Every(nth=2).chosen([0.0, 0.1, 0.2, 0.3])
        [0, 2]
        >>> Every(per_second=5).chosen([0.0, 0.1, 0.2, 0.3, 0.4])
        [0, 2, 4]
        """
        if self.nth is not None:
            return list(range(0, len(times), self.nth))
        rate, numbers, due = self.per_second or PER_SECOND, [], 0
        for number, time in enumerate(times):
            if (since := (time - times[0]) * rate + 1e-6) >= due:
                numbers.append(number)
                due = int(since) + 1
        return numbers


@dataclass(eq=False)
class Clip:
    """A clip and its frames in the order they are shown: their times, in units of `tick` seconds.

    `wanted` are the times of the frames that are looked at; those are kept for a while when the
    decoder comes past them, as threads ask in about this order, not in just this.
    """

    path: Path
    ticks: Sequence[int]
    tick: Fraction
    wanted: frozenset[int]
    _decoder: Decoder | None = field(default=None, repr=False)
    _lock: Any = field(default_factory=Lock, repr=False)

    @property
    def rate(self) -> float:
        """How many frames a second are looked at, in the mean."""
        first, last = min(self.wanted), max(self.wanted)
        return (len(self.wanted) - 1) / float((last - first) * self.tick) if last > first else 1.0

    def moment(self, number: int) -> Moment:
        """The number and the time of a frame."""
        return Moment(frame=number, time=float(self.ticks[number] * self.tick))

    def frame(self, number: int) -> RGB:
        """One frame, upright (h, w, 3).

        Raises:
            ImageError: it cannot be decoded.
        """
        with self._lock:
            if self._decoder is None:
                self._decoder = Decoder(self.path, self.wanted)
            return self._decoder.at(self.ticks[number])

    def __reduce__(self) -> Any:
        return type(self), (self.path, self.ticks, self.tick, self.wanted)


@dataclass(frozen=True)
class ClipFrame:
    """One frame of a clip, by its number from 0: an image that is made when it is asked for."""

    clip: Clip
    number: int

    def __call__(self) -> RGB:
        """The frame, upright (h, w, 3)."""
        return self.clip.frame(self.number)

    def __str__(self) -> str:
        """The text that `frame_at` reads: `clip.mp4#frame=120`."""
        return f"{os.path.abspath(self.clip.path)}#frame={self.number}"

    @property
    def moment(self) -> Moment:
        """The number and the time of the frame."""
        return self.clip.moment(self.number)


def frames(path: str | Path, *, every: int | None = None, fps: float | None = None) -> list[Sample]:
    """The frames of a clip as images, for `localize` and `locate`.

    Args:
        path: a file that FFmpeg reads, such as an MP4.
        every: take each so-many-th frame.
        fps: take so many frames a second; 5 where neither is said.

    Raises:
        ImageError: the clip cannot be read.
        UsageError: PyAV is not installed, or both or wrong numbers are given.
    """
    return list(_frames_of(Path(path), Path(path).name, Every(nth=every, per_second=fps)))


def with_frames(samples: Iterable[Sample], every: Every) -> Iterator[Sample]:
    """Each sample, and in the place of one that is a clip its frames, as `clip.mp4/000120`.

    A clip that cannot be read stays one image, which says so.

    Raises:
        UsageError: PyAV is not installed.
    """
    for sample in samples:
        if not is_clip(sample.source):
            yield sample
            continue
        try:
            yield from _frames_of(Path(str(sample.source)), sample.image_id, every)
        except ImageError as error:
            yield Sample(image_id=sample.image_id, source=_unreadable(str(error)))


def has_frames(samples: Iterable[Sample]) -> bool:
    """Whether there are frames among these; not of images that are listed as they are needed."""
    return isinstance(samples, list) and any(isinstance(one.source, ClipFrame) for one in samples)


def is_clip(source: Any) -> bool:
    """Whether this is a file with the suffix of a clip."""
    return isinstance(source, (str, Path)) and Path(source).suffix.lower() in CLIP_SUFFIXES


@lru_cache(maxsize=4)
def _whole(path: Path) -> Clip:
    return open_clip(path, Every(nth=1))


def frame_at(text: str) -> Callable[[], np.ndarray] | None:
    """The frame that the text of one names; None where it names none.

    One that is not there says so when it is asked for.
    """
    path, _, number = text.rpartition("#frame=")
    if not is_clip(path) or not number.isdecimal():
        return None
    try:
        clip = _whole(Path(path))
    except ImageError as error:
        return _unreadable(str(error))
    if int(number) >= len(clip.ticks):
        return _unreadable(f"the clip has {len(clip.ticks)} frames, and this is number {number}")
    return ClipFrame(clip, int(number))


def open_clip(path: Path, every: Every) -> Clip:
    """A clip, its frames listed from its packets; none is decoded.

    Raises:
        ImageError: it cannot be read, or holds no frames.
        UsageError: PyAV is not installed.
    """
    ticks, tick = listed(path)
    numbers = every.chosen([float(one * tick) for one in ticks])
    return Clip(path, ticks, tick, frozenset(ticks[number] for number in numbers))


def _frames_of(path: Path, name: str, every: Every) -> Iterator[Sample]:
    clip = open_clip(path, every)
    for number, tick in enumerate(clip.ticks):
        if tick in clip.wanted:
            yield Sample(image_id=f"{name}/{number:06}", source=ClipFrame(clip, number))


def _unreadable(reason: str) -> Callable[[], np.ndarray]:
    def say() -> np.ndarray:
        raise ImageError(reason)

    return say
