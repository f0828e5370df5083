"""HEIC, the photographs of telephones, as an image of Pillow's; by pillow-heif."""

from functools import cache
from typing import Any

from PIL import Image

from gradbox.errors import ImageError
from gradbox.images.read import ImageStream

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(start: bytes) -> bool:
    """Whether a file that begins with these bytes, 12 or more, is one."""
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS


@cache
def _image_file() -> Any:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise ImageError("HEIC needs pillow-heif: pip install 'gradbox[heic]'") from error
    return HeifImageFile


def open_heic(stream: ImageStream) -> Image.Image:
    """The header of an image, turned as it says; more than 8 bits become 8.

    Raises:
        ImageError: pillow-heif is not installed.
    """
    return _image_file()(stream, "")
