"""A clip with boxes: the frames that were looked at, at their times."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.files import whole_file
from gradbox.images.video import opened
from gradbox.localization import RGB, Localization
from gradbox.reports.drawing import font_path, texts_of

_CODECS = ("libx264", "mpeg4")
_BITS = 0.15  # a pixel


def drawn(rgb: RGB, found: Localization, tracks: Sequence[int | None]) -> RGB:
    """A frame with its boxes, each with its track, class, probability and score.

    Args:
        rgb: the frame, at the size of the original.
        found: what was found in it.
        tracks: for each box the number of its track, None for none; a track keeps its colour.
    """
    import supervision as sv

    numbers = np.array([-1 if one is None else one for one in tracks], dtype=int)
    detections = sv.Detections(found.boxes, class_id=np.maximum(numbers, 0))
    marks = ["" if one is None else f"#{one} " for one in tracks]
    texts = [mark + text for mark, text in zip(marks, texts_of(found), strict=True)]
    size = sv.calculate_optimal_text_scale(resolution_wh=(rgb.shape[1], rgb.shape[0])) * 24
    thickness = sv.calculate_optimal_line_thickness(resolution_wh=(rgb.shape[1], rgb.shape[0]))
    image = sv.BoxAnnotator(thickness=thickness).annotate(rgb.copy(), detections)
    labels = sv.RichLabelAnnotator(
        font_path=font_path(), font_size=max(10, round(size)), smart_position=True
    )
    return labels.annotate(image, detections, texts)


@contextmanager
def written_clip(path: Path, tick: Fraction, rate: float) -> "Iterator[_Writer]":
    """A new MP4, whole or not there, whose frames are given with their times.

    Args:
        path: the file.
        tick: the unit of the times in seconds.
        rate: frames a second, about, as players show it.
    """
    with whole_file(path) as partial:
        writer = _Writer(partial, tick, rate)
        try:
            yield writer
        finally:
            writer.close()


class _Writer:
    """Encodes frames as they come; the first gives the size of all."""

    def __init__(self, path: Path, tick: Fraction, rate: float) -> None:
        self._container = opened(path, write=True)
        self._tick = tick
        self._rate = Fraction(rate).limit_denominator(1000)
        self._stream: Any = None

    def add(self, rgb: RGB, ticks: int) -> None:
        """The next frame (h, w, 3), and its time in ticks; an odd last row or column is cut."""
        import av

        height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
        if self._stream is None:
            self._stream = self._started(height, width)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:height, :width]), "rgb24")
        frame.pts, frame.time_base = ticks, self._tick
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is still in the encoder."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def _started(self, height: int, width: int) -> Any:
        import av

        codec = next(name for name in _CODECS if name in av.codecs_available)
        stream = self._container.add_stream(codec, rate=self._rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.time_base = self._tick
        stream.bit_rate = max(500_000, round(_BITS * height * width * float(self._rate)))
        return stream
