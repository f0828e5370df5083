"""A localization as one picture: `plot`, and how notebooks show it."""

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `import gradbox` registers the display, and is to take no time
    from PIL.Image import Image

    from gradbox.boxes import Boxes
    from gradbox.localization import ImageSource, Localization


def plot(
    found: "Localization", image: "ImageSource | None" = None, *, truth: "Boxes | None" = None
) -> "Image":
    """The image with its boxes, each with class, probability and score; map and mask beside.

    A notebook shows it, and so it does a localization itself; `.save("found.png")` keeps it.

    Args:
        found: one localization; with `details=True` it has its heat map, with `masks=True` a mask.
        image: the image, where the localization does not know it, as one read from a file does not,
            or where the numbers of its file say nothing by themselves.
        truth: true boxes (n, 4) in pixels of the image, drawn in green.

    Raises:
        ImageError: the image cannot be read.
        UsageError: the localization does not know its image, and none is given.
    """
    from PIL import Image

    from gradbox.boxes import as_boxes
    from gradbox.errors import UsageError
    from gradbox.images.decode import decode
    from gradbox.images.pixels import readable
    from gradbox.reports.drawing import picture

    source = found.source if image is None else image
    if source is None:
        raise UsageError(
            f"{found.image_id}: the localization does not know its image: give it, as in "
            "gradbox.plot(found, 'photo.jpg')"
        )
    rgb = readable(decode(source).pixels)
    known = as_boxes([] if truth is None else truth)
    return Image.fromarray(picture(rgb, found, frame=found.frame, truth=known))


def register() -> None:
    """Let a running IPython, and so notebooks, show localizations as pictures."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    if shell:
        shell.display_formatter.formatters["image/jpeg"].for_type_by_name(
            "gradbox.localization", "Localization", _jpeg
        )


def _jpeg(found: "Localization") -> bytes | None:
    """What a notebook shows beside the text; nothing where the image cannot be had."""
    from gradbox.errors import ImageError, UsageError

    encoded = io.BytesIO()
    try:
        plot(found).save(encoded, format="JPEG", quality=90)
    except (ImageError, UsageError):
        return None
    return encoded.getvalue()
