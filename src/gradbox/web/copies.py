"""The copies of images that boxes are drawn on, and the way of the boxes there and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gradbox.errors import ImageError
from gradbox.files import hash_bytes
from gradbox.geometry import Size
from gradbox.localization import RGB
from gradbox.web.drawn import Drawn

SIDE = 800
"""Longer side of a copy in pixels; a small image is enlarged."""
_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, eq=False)
class Copies:
    """The copies in a folder that the server may show; `see` reads an image for people.

    What is drawn belongs to the copy that a browser says it shows, not to the image that was chosen
    last: a box that is finished late still lands where it was drawn.
    """

    drawn: Drawn
    see: Callable[[Path], RGB]
    folder: Path

    def shown(self, image_id: str) -> dict[str, Any]:
        """What the drawing component takes: the file of the copy, and the boxes in its pixels.

        Raises:
            ImageError: the image cannot be read.
            UsageError: no such image.
        """
        copy, scale = self.folder / _name(image_id), _scale(self.drawn.size(image_id))
        if not copy.exists():
            whole = Image.fromarray(self.see(self.drawn.file(image_id)))
            again = SIDE / max(whole.size)  # of a very large image, a smaller copy was read
            size = max(1, round(whole.width * again)), max(1, round(whole.height * again))
            whole.resize(size, Image.Resampling.LANCZOS).save(copy)
        boxes = (self.drawn.boxes(image_id) * scale).round().tolist()
        return {
            "image": str(copy),
            "boxes": [dict(zip(_EDGES, box, strict=True)) for box in boxes],
        }

    def draw(self, sent: Mapping[str, Any]) -> None:
        """Keep the boxes that a browser sent; nothing in it is trusted, and no file is opened.

        Raises:
            ImageError: they are no boxes.
        """
        file = Path(str((sent.get("image") or {}).get("path", ""))).name
        image_id = next((one for one in self.drawn.image_ids if _name(one) == file), None)
        if image_id is None:
            return
        scale = _scale(self.drawn.size(image_id))
        try:
            rows = [
                [float(box[edge]) / (float(box.get("scaleFactor") or 1) * scale) for edge in _EDGES]
                for box in sent.get("boxes") or ()
            ]
            if not np.isfinite(np.array(rows)).all():  # what min and max would make numbers of
                raise ValueError("a coordinate is not finite")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ImageError("these are no boxes") from error
        upright = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in rows]
        self.drawn.draw(image_id, upright)


def _name(image_id: str) -> str:
    """The file of a copy, by which a browser says which image it shows; it says nothing else."""
    return f"{hash_bytes(image_id.encode())[:16]}.png"


def _scale(size: Size) -> float:
    """From pixels of an original of this (height, width) to those of its copy."""
    return SIDE / max(size)
