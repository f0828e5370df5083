"""Colours of 16 bits a channel, of which Pillow decodes 8: either byte, as it is told here."""

import sys

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

_GRAY_ALPHA = "LA;16B"
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_BITS, _PLANAR_CONFIGURATION, _PLANES = 258, 284, 2


def has_wide_colors(image: Image.Image) -> bool:
    """Whether an opened image is 16-bit RGB, with or without alpha."""
    raw = _raw_mode(image)
    return raw.startswith("RGB") and raw[-4:-1] == ";16"


def has_wide_gray_alpha(image: Image.Image) -> bool:
    """Whether an opened image is 16-bit gray with alpha."""
    return _raw_mode(image) == _GRAY_ALPHA


def has_wide_planes(image: TiffImageFile) -> bool:
    """Whether each channel has more than 8 bits in a plane of its own.

    Pillow makes wrong colours of it, without an error.
    """
    tags = image.tag_v2
    bits = tags.get(_BITS, (1,))
    return tags.get(_PLANAR_CONFIGURATION) == _PLANES and len(bits) > 1 and max(bits) > 8


def choose_byte(image: Image.Image, *, high: bool) -> None:
    """Let the high or the low byte of 16-bit colours be loaded, colours as stored."""
    raw = _raw_mode(image).replace("RGBa", "RGBA")
    _set_raw_mode(image, raw if high else raw[:-1] + _OTHER_BYTE[raw[-1]])


def choose_both_bytes(image: Image.Image) -> None:
    """Let 16-bit gray and alpha be loaded as four channels: high, low, high, low byte."""
    _set_raw_mode(image, "RGBA")


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _set_raw_mode(image: Image.Image, raw: str) -> None:
    def changed(arguments: str | tuple[object, ...]) -> str | tuple[object, ...]:
        return raw if isinstance(arguments, str) else (raw, *arguments[1:])

    image.tile = [type(tile)(*tile[:3], changed(tile[3])) for tile in image.tile]  # type: ignore[attr-defined]
