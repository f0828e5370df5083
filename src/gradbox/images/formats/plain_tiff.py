"""Which TIFF files Pillow reads as they are: the others are for tifffile."""

from PIL.TiffImagePlugin import TiffImageFile

from gradbox.images.pillow import open_by_pillow
from gradbox.images.read import ImageStream
from gradbox.images.reading import Stack
from gradbox.images.wide import has_wide_planes

_BITS, _DESCRIPTION, _SAMPLES, _SAMPLE_FORMAT = 258, 270, 277, 339
_UNSIGNED = 1
_STACKS = ("ImageJ=", '{"shape"', "<OME")


def is_for_pillow(stream: ImageStream, stack: Stack | None, *, is_said: bool) -> bool:
    """Whether Pillow shows all there is: one image of usual channels and depth.

    Of several pages that nobody says to be a stack the first one is taken, as of a GIF, and of
    colours an unknown fourth channel is dropped unless something `is_said` of the channels.
    """
    try:
        image = open_by_pillow(stream)
        assert isinstance(image, TiffImageFile)
        tags = image.tag_v2
        is_wide = tags.get(_BITS, (1,))[0] > 16 and tags.get(_SAMPLE_FORMAT, (1,))[0] == _UNSIGNED
        bands, stored = len(image.getbands()), tags.get(_SAMPLES, 1)
        is_part = bands != stored and (is_said or bands == 1)
        if is_wide or is_part or has_wide_planes(image):
            return False
        about = str(tags.get(_DESCRIPTION, ""))
        is_stack = stack is not None or any(mark in about for mark in _STACKS)
        return not (is_stack and (image.n_frames > 1 or "images=" in about))
    except Exception:  # whatever Pillow says to a file that it cannot read, or that is broken
        return False
