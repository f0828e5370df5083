"""What decoding an image takes of memory, told from its header; rather too much than too little."""

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from gradbox.images.levels import MEASURED
from gradbox.images.wide import has_wide_colors

_BYTES = {"1": 1, "L": 1, "P": 1}
_IN_PYTHON = ("ppm", "ppm_plain", "bmp_rle")
_RGB = 3
_COPY = 4
"""Bytes a pixel of Pillow's copy while a decoded image is resized."""


def decoding_bytes(image: Image.Image, step: int, file_size: int) -> int:
    """Bytes at the peak of decoding an opened image, `step` times reduced, and of resizing it."""
    pixels = image.width * image.height
    small = pixels // step**2
    loaded = pixels * (2 if image.mode.startswith("I;16") else _BYTES.get(image.mode, 4))
    made = (2 * len(image.getbands()) if has_wide_colors(image) else _RGB) * small
    codec = image.tile[0][0] if isinstance(image, ImageFile) and image.tile else ""
    beside = 0
    if isinstance(image, JpegImageFile):
        loaded //= step**2
        beside = _coefficients(image)
    elif isinstance(image, TiffImageFile):
        is_turned = image.tag_v2.get(274, 1) != 1
        beside = loaded * is_turned
        if codec == "libtiff":
            beside += file_size + _block(image)
    elif image.format == "WEBP":
        beside = file_size + 3 * loaded  # two frames, and one as bytes
    elif codec in _IN_PYTHON:
        beside = 3 * loaded
    return max(loaded + beside + made, resizing_bytes(small))


def resizing_bytes(pixels: int, channels: int = _RGB) -> int:
    """Bytes while a decoded image is resized: its own, and those of Pillow's copy."""
    return (channels + _COPY) * pixels


def made_bytes(pixels: int, channels: int) -> int:
    """Bytes while numbers become float32 of these channels: theirs, and those that are measured."""
    return 4 * channels * pixels + 3 * 8 * min(pixels * channels, MEASURED)


def _coefficients(image: JpegImageFile) -> int:
    """What libjpeg keeps of all scans where not one scan holds all: 2 bytes a sample."""
    assert image.fp is not None
    end = image.fp.tell()
    image.fp.seek(max(end - 16, 0))
    _, found, first_scan = image.fp.read(end - image.fp.tell()).rpartition(b"\xff\xda")
    image.fp.seek(end)
    together = found and len(first_scan) > 2 and first_scan[2] == len(image.layer)
    if together and "progressive" not in image.info:
        return 0
    sampling = [(rows, columns) for _, rows, columns, _ in image.layer]
    most = max(r for r, _ in sampling) * max(c for _, c in sampling)
    samples = sum(rows * columns for rows, columns in sampling) / most
    return int(2 * image.width * image.height * samples)


def _block(image: TiffImageFile) -> int:
    """What libtiff decodes at once: a tile, or a strip, which may be the whole image."""
    tags = image.tag_v2
    columns, rows = tags.get(322), tags.get(323)
    if columns is None or rows is None:
        columns, height = tags[256], tags[257]  # as stored: `image` may be turned
        rows = min(tags.get(278, height), height)
    bits = tags.get(258, (8,))
    return int(columns * rows * max(4, len(bits) * max(bits) / 8))
