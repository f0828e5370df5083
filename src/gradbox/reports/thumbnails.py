"""Small pictures of the images of a run, and of their heat maps, each a file."""

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
from PIL import Image

from gradbox.errors import ImageError
from gradbox.files import hash_bytes, whole_file
from gradbox.geometry import Size
from gradbox.images.clips import frame_at
from gradbox.images.decode import decode, load_rgb
from gradbox.images.memory import Share
from gradbox.images.pixels import readable
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import RGB, Localization, Sample
from gradbox.reports.drawing import heatmap_picture
from gradbox.results.finished import Seen
from gradbox.results.heatmaps import MapStore
from gradbox.results.inputs import Input

SIDE = 224
"""Longer side of a thumbnail in pixels."""
_QUALITY = 80
_IS_OURS = re.compile(r"[0-9a-f]{32}\.jpg").fullmatch


@dataclass(frozen=True)
class Thumbnail:
    """The names of the files of an image and of its map, None where there is none, and why not."""

    photo: str | None = None
    heatmap: str | None = None
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Thumbnails in a folder, named by what they show: what is there is not made again.

    `preprocessing` says how the numbers of the images are read, and where the `maps` lie on them;
    `images` is the folder of the images where it is not the one of the run.
    """

    folder: Path
    preprocessing: Preprocessing
    maps: MapStore | None = None
    images: Path | None = None

    def of(self, one: Seen, share: Share) -> Thumbnail:
        """The thumbnail of an image, and of its map where it has one; `share` is its memory."""
        with share:
            return self._of(one, share)

    def keep_only(self, names: set[str]) -> None:
        """Remove the thumbnails of former calls, and the folder where none is left."""
        for file in self.folder.glob("*.jpg"):
            if file.name not in names and _IS_OURS(file.name):
                file.unlink()
        with suppress(OSError):  # there is none, or it holds something
            self.folder.rmdir()

    def _of(self, one: Seen, share: Share) -> Thumbnail:
        source = one.source if self.images is None else str(self.images / one.image_id)
        if source is None:
            return Thumbnail(problem="where the image is, is not known")
        sample = Sample(image_id=one.image_id, source=frame_at(source) or source)
        now = Input.now(sample, None)
        if now.bytes is None:
            return Thumbnail(problem="the image is not there any more")
        size = one.found.size if isinstance(one.found, Localization) else None
        shows = f"{now.source} {now.bytes} {now.mtime_ns} {size} {self.preprocessing} {SIDE}"
        photo = _name(shows.encode("utf-8", "surrogateescape"))
        try:
            self._make(photo, sample, size, share)
            return Thumbnail(photo, self._map_of(one, photo))
        except ImageError as error:
            return Thumbnail(problem=str(error))

    def _make(self, name: str, sample: Sample, size: Size | None, share: Share) -> None:
        if (self.folder / name).exists():
            return
        seen = self.preprocessing
        decoded = decode(
            sample.source,
            channels=seen.channels,
            reading=seen.reading,
            take=share.take,
            enough=SIDE,
        )
        if size is not None and decoded.size != size:
            was, is_now = (f"{height} x {width}" for height, width in (size, decoded.size))
            raise ImageError(f"the image has changed: it was {was} pixels and is {is_now}")
        self._save(name, _small(readable(decoded.pixels)))

    def _map_of(self, one: Seen, photo: str) -> str | None:
        if one.image_id not in self._mapped or not isinstance(one.found, Localization):
            return None
        assert self.maps is not None
        heatmap = self.maps[one.image_id]
        name = _name(photo.encode() + heatmap.tobytes())
        if not (self.folder / name).exists():
            rgb = load_rgb(self.folder / photo)
            frame = self.preprocessing.frame(one.found.size)
            self._save(name, heatmap_picture(rgb, heatmap, frame=frame, side=SIDE))
        return name

    @cached_property
    def _mapped(self) -> frozenset[str]:
        return frozenset() if self.maps is None else frozenset(self.maps.images)

    def _save(self, name: str, rgb: RGB) -> None:
        encoded = io.BytesIO()
        Image.fromarray(rgb).save(encoded, format="JPEG", quality=_QUALITY, optimize=True)
        with whole_file(self.folder / name) as partial:
            partial.write_bytes(encoded.getvalue())


def _name(shows: bytes) -> str:
    return f"{hash_bytes(shows)[:32]}.jpg"


def _small(rgb: RGB) -> RGB:
    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
