"""FFmpeg, through PyAV: the frames of a clip listed, and decoded as they are asked for."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.errors import ImageError, UsageError
from gradbox.localization import RGB

_KEPT = 256 * 2**20


def listed(path: Path) -> tuple[Sequence[int], Fraction]:
    """The times of all frames in the order they are shown, in units of so many seconds.

    They are read from the packets, without decoding, where these have times.

    Raises:
        ImageError: it cannot be read, or holds no frames.
        UsageError: PyAV is not installed.
    """
    with opened(path) as container:
        stream = _video(container)
        tick = stream.time_base
        ticks = _of_packets(container, stream)
    if ticks is None:
        with opened(path) as container, _speaking("the clip cannot be read"):
            ticks = [one.pts for one in container.decode(_video(container))]
    known = sorted(one for one in ticks if one is not None)
    if not known or len(known) < len(ticks):
        raise ImageError("the clip has no frames, or frames without a time")
    return known, tick


def opened(path: Path, *, write: bool = False) -> Any:
    """A clip, open to be read, or a new MP4, open to be written.

    Raises:
        ImageError: it cannot be read.
        UsageError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UsageError(f"{path}: clips need PyAV: pip install 'gradbox[video]'") from error
    with _speaking("the clip cannot be read"):
        return av.open(str(path), "w", format="mp4") if write else av.open(str(path))


class Decoder:
    """Decodes onwards, and goes back where a frame is asked for that it has passed."""

    def __init__(self, path: Path, wanted: frozenset[int]) -> None:
        self._path = path
        self._wanted = wanted
        self._kept: OrderedDict[int, RGB] = OrderedDict()
        self._bytes = 0
        self._open()

    def at(self, tick: int) -> RGB:
        """The frame of this time, upright (h, w, 3).

        Raises:
            ImageError: it cannot be decoded.
        """
        if tick in self._kept:
            return self._take(tick)
        with _speaking("the frame cannot be decoded"):
            if self._last is not None and tick <= self._last:
                self._container.seek(tick, stream=self._stream)
                self._rest = self._container.decode(self._stream)
            rgb = self._onwards(tick)
            if rgb is None:  # in some kinds of files a seek comes out behind
                self._open()
                rgb = self._onwards(tick)
        if rgb is None:
            raise ImageError("the frame cannot be decoded: the clip is damaged there")
        return rgb

    def _open(self) -> None:
        """At the start of the clip."""
        self._container = opened(self._path)
        self._stream = _video(self._container)
        self._stream.thread_type = "AUTO"
        self._rest = self._container.decode(self._stream)
        self._last: int | None = None

    def _onwards(self, tick: int) -> RGB | None:
        for frame in self._rest:
            if frame.pts is None:
                continue
            self._last = frame.pts
            if frame.pts == tick:
                return _upright(frame)
            if frame.pts in self._wanted and frame.pts not in self._kept:
                self._keep(frame)
            if frame.pts > tick:
                return None
        self._last = tick  # at the end: whatever is asked for next lies behind
        return None

    def _keep(self, frame: Any) -> None:
        self._kept[frame.pts] = rgb = _upright(frame)
        self._bytes += rgb.nbytes
        while self._bytes > _KEPT:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes

    def _take(self, tick: int) -> RGB:
        rgb = self._kept.pop(tick)
        self._bytes -= rgb.nbytes
        return rgb


def _upright(frame: Any) -> RGB:
    """A frame, turned as the clip says: telephones film upright with a turned sensor."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))


def _video(container: Any) -> Any:
    if not container.streams.video:
        raise ImageError("the file has no pictures")
    return container.streams.video[0]


def _of_packets(container: Any, stream: Any) -> list[int] | None:
    """The times of the packets that are shown; None where packets have none."""
    shown: list[Any] = []
    with suppress(ImageError), _speaking(""):  # a file that ends in its middle: what is there
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                shown.append(packet.pts)
    return None if None in shown else shown


@contextmanager
def _speaking(what: str) -> Iterator[None]:
    """FFmpeg's errors, and those of the file system, as an `ImageError`."""
    import av

    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise ImageError(f"{what}: {error.strerror or error}") from error
