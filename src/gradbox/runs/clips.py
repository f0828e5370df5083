"""What a run makes of clips beside its lines: boxes linked over frames, and clips with boxes."""

import csv
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.errors import GradboxWarning, ImageError
from gradbox.files import whole_file
from gradbox.images.clips import Clip, ClipFrame
from gradbox.localization import Found, Localization, Sample
from gradbox.progress import Track
from gradbox.reports.annotated import drawn, written_clip

TABLE = "clips.csv"
FOLDER = "clips"
_COLUMNS = ("clip", "frame", "time", "track", "class", "probability", "score")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_GROUP = 16

Linked = tuple[ClipFrame, Localization, Sequence[int | None]]
"""A frame, what was found in it, and the track of each box."""


def write_clips(
    pairs: Iterable[tuple[Sample, Found]], out: Path, *, pictures: bool, track: Track
) -> list[str]:
    """Write a table of the boxes of clips, linked over frames; for `pictures` clips with boxes too.

    Args:
        pairs: the images of a run and what was found in them, the frames of a clip in their order.
        out: the folder of the run.
        pictures: also write `clips/NAME.mp4` of each clip: the frames that were looked at.
        track: shows the progress.

    Returns:
        The names of what was written; none where no image is a frame.
    """
    clips = groupby(pairs, key=lambda pair: _clip_of(pair[0]))
    of_clips = ((clip, list(frames)) for clip, frames in clips if clip is not None)
    first = next(of_clips, None)
    if first is None:
        return []
    with (
        whole_file(out / TABLE) as partial,
        partial.open("w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.writer(stream)
        table.writerow([*_COLUMNS, *_EDGES])
        for clip, frames in _chain(first, of_clips):
            name = frames[0][0].image_id.rpartition("/")[0]
            linked = list(_linked(clip, frames))
            for one in linked:
                table.writerows(_rows(name, one))
            if pictures:
                file = name if name.endswith(".mp4") else f"{name}.mp4"
                _annotate(out / FOLDER / file, clip, linked, track)
    return [TABLE, FOLDER] if pictures else [TABLE]


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _clip_of(sample: Sample) -> Clip | None:
    return sample.source.clip if isinstance(sample.source, ClipFrame) else None


def _linked(clip: Clip, frames: Sequence[tuple[Sample, Found]]) -> Iterator[Linked]:
    """The frames that could be looked at, with the tracks of their boxes, numbered from 1."""
    tracker = _tracker(clip.rate)
    for sample, found in frames:
        if isinstance(found, ImageError):
            continue
        assert isinstance(sample.source, ClipFrame)
        yield sample.source, found, _tracks(tracker, sample.source.moment.time, found)


def _tracks(tracker: Any, time: float, found: Localization) -> list[int | None]:
    """The track of each box; all scores count alike, as they are not probabilities everywhere."""
    import supervision as sv

    tracks: list[int | None] = [None] * len(found.boxes)
    if tracker is None:
        return tracks
    order = np.arange(len(found.boxes))
    boxes = sv.Detections(found.boxes.copy(), data={"box": order})
    updated = tracker.update(boxes, timestamp=time)
    for box, number in zip(updated.data.get("box", ()), updated.tracker_id, strict=True):
        tracks[int(box)] = int(number) + 1 if number >= 0 else None
    return tracks


def _tracker(rate: float) -> Any:
    """Supervision's ByteTrack, which keeps a track for a second without a box; None without it."""
    try:
        from trackers import ByteTrackTracker
    except ImportError:
        warnings.warn(
            "boxes of clips are not linked over frames: pip install --no-deps trackers (with its "
            "dependencies it brings a second OpenCV, which needs a screen)",
            GradboxWarning,
            stacklevel=2,
        )
        return None
    return ByteTrackTracker(frame_rate=rate, minimum_consecutive_frames=1)


def _rows(name: str, linked: Linked) -> Iterator[list[Any]]:
    frame, found, tracks = linked
    moment = frame.moment
    for i, box in enumerate(found.boxes.round(3).tolist()):
        said = (found.names[i] or "object", found.label_scores[i], found.scores[i])
        number = "" if tracks[i] is None else tracks[i]
        yield [name, moment.frame, round(moment.time, 6), number, *said, *box]


def _annotate(path: Path, clip: Clip, linked: Sequence[Linked], track: Track) -> None:
    groups = [linked[start : start + _GROUP] for start in range(0, len(linked), _GROUP)]
    with written_clip(path, clip.tick, clip.rate) as clip_with_boxes:
        for group in track(groups, len(linked), f"drawing {path.name}"):
            for frame, found, tracks in group:
                clip_with_boxes.add(drawn(frame(), found, tracks), clip.ticks[frame.number])
