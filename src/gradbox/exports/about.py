"""What an exporter has to know beside the localizations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from gradbox.errors import UsageError
from gradbox.files import hash_bytes
from gradbox.images.decode import decode
from gradbox.images.pixels import readable
from gradbox.images.reading import NOTHING_SAID, Reading
from gradbox.localization import RGB, ImageSource

_DECISIVE = (
    *("weights_hash", "dtype", "preprocessing", "head", "method", "method_hash", "box", "box_hash"),
    *("outlines", "proposals", "min_score"),
)
"""What of a run's call changes a box of an image of the same classes."""


def _no_images(image_id: str) -> ImageSource:
    raise UsageError(f"{image_id}: this export needs the images: give their `source_of`")


@dataclass(frozen=True, kw_only=True, eq=False)
class About:
    """What made the boxes, what their classes are called, and where the images are.

    `names` gives the name of a label (None: no class), and is asked only for labels of images that
    the exporter has had. `model_version` tells the makers of boxes apart. `source_of` gives the
    image of an image id, and `reading` and `channels` say how its numbers are read, as for
    `images.decode.decode`.
    """

    names: Callable[[int | None], str]
    model_version: str = "gradbox"
    source_of: Callable[[str], ImageSource] = _no_images
    reading: Reading = NOTHING_SAID
    channels: int = 3

    def rgb(self, image_id: str) -> RGB:
        """The upright image as people see it (h, w, 3); of a very large one a smaller copy.

        Raises:
            ImageError: it cannot be read.
            UsageError: nothing says where the images are.
        """
        source = self.source_of(image_id)
        decoded = decode(source, channels=self.channels, reading=self.reading)
        return readable(decoded.pixels)


def model_version(call: Mapping[str, Any], release: str | None = None) -> str:
    """One line that is the same where the same weights, method and gradbox make the boxes.

    Args:
        call: of a plan (`Plan.about`), or what `run.json` calls so.
        release: of gradbox, where it is not the one that runs.

    >>> model_version({"method": "sensitivity()", "box": "mass()", "weights_hash": "0a"}, "1.0")
    'gradbox 1.0: sensitivity() | mass(), 5ed0a1b47dc2'
    """
    said = {key: call.get(key) for key in _DECISIVE}
    digest = hash_bytes(repr(said).encode())[:12]
    parts = " | ".join(str(said[key]) for key in ("method", "box") if said[key] is not None)
    return f"gradbox {release or version('gradbox')}: {parts}, {digest}"
