"""Any image file to upright 8-bit RGB.

Safe in threads: no global state of Pillow, OpenCV or `warnings` is changed. Embedded colour
profiles are not applied.
"""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import ExifTags, Image

from gradbox.errors import ImageError
from gradbox.localization import RGB, ImageSource

MAX_PIXELS = 2 * 89_478_485
"""Pixels of the largest image that is decoded: the number at which Pillow refuses, not warns."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_DEEP_MODES = ("RGB", "RGBA", "LA")
_FULL_SCALES = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16))

# EXIF orientation -> swap rows and columns first, then the step along rows and along columns.
_TURNS = {
    1: (False, 1, 1),
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


def load_rgb(source: ImageSource) -> RGB:
    """Upright (h, w, 3) RGB in 0..255: EXIF orientation applied, transparency over white.

    A file is a JPEG, PNG, WebP, BMP, TIFF, GIF (first frame) or PPM image; an array is (h, w),
    (h, w, 3) RGB or (h, w, 4) RGBA. 16-bit numbers are scaled by the smallest of 8, 10, 12, 14 and
    16 bits that holds the image's maximum, so 12-bit data in a 16-bit file keeps its brightness;
    alpha has its own maximum. Float TIFFs do the same, but are in 0..1 where nothing is above 1;
    what is negative or not finite becomes 0. The result may share memory with a given array.

    Raises:
        ImageError: one line that says why the image is unusable, without its path.
    """
    if callable(source):
        source = source()
    if isinstance(source, np.ndarray):
        rgb = _from_array(source)
    elif isinstance(source, Image.Image):
        rgb = _decode(source, None)
    else:
        data = _read(Path(source))
        with _open(data) as image:
            rgb = _decode(image, data)
    return np.require(rgb, requirements=["C", "W"])


def is_blank(rgb: RGB) -> bool:
    """Whether every pixel is the same: all white, all black or any other constant."""
    first_row = rgb[0]
    return bool((first_row == first_row[0]).all() and (rgb == first_row).all())


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError("there is no such file") from None
    except IsADirectoryError:
        raise ImageError("this is a folder, not an image file") from None
    except OSError as error:
        raise ImageError(f"the file cannot be read: {error.strerror}") from error
    if not data:
        raise ImageError("the file is empty")
    return data


def _open(data: bytes) -> Image.Image:
    """The header of an image; `Image.open` would warn of large ones, which no thread can catch."""
    Image.init()
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(data[:16]) is True:
            try:
                return factory(BytesIO(data), "")
            except Exception as error:
                raise _broken(error) from error
    raise ImageError(f"this is no image of a known format ({', '.join(_FORMATS)})")


def _decode(image: Image.Image, data: bytes | None) -> RGB:
    """`data` is the whole file where it is known, for what Pillow would cut to 8 bits."""
    _check_size(image.height, image.width)
    deep = image.mode in _DEEP_MODES and ";16" in str(getattr(image, "tile", ""))
    try:
        image.load()
        pixels = _pixels_16_bit(data) if deep and data is not None else _pixels(image)
        # Asked after loading: a PNG may end with it, and a TIFF has then been turned already.
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:
        raise _broken(error) from error
    swap, row_step, column_step = _TURNS.get(orientation, _TURNS[1])
    rgb = _to_rgb(pixels)
    return (rgb.swapaxes(0, 1) if swap else rgb)[::row_step, ::column_step]


def _broken(error: Exception) -> ImageError:
    """Decoders raise exceptions of any type on a broken file; not every text speaks for itself."""
    spoken = isinstance(error, OSError | SyntaxError | ValueError) and str(error)
    return ImageError(f"the image is broken: {spoken or repr(error)}")


def _check_size(height: int, width: int) -> None:
    if height == 0 or width == 0:
        raise ImageError(f"the image has no pixels: it is {height} high and {width} wide")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"the image has {height} x {width} pixels, more than {MAX_PIXELS:,}: make it smaller"
        )


def _pixels(image: Image.Image) -> Shaped[np.ndarray, "h w *channels"]:
    """Numbers of a loaded image as (h, w), (h, w, 3) or (h, w, 4)."""
    if image.mode[0] in "IF":
        return np.asarray(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _pixels_16_bit(data: bytes) -> Shaped[np.ndarray, "h w channels"]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode its 16-bit colours")
    swap = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(pixels, swap)


def _from_array(array: Shaped[np.ndarray, "..."]) -> RGB:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not shaped or array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"an array {array.shape} of {array.dtype}: an image is (h, w), (h, w, 3) or (h, w, 4) "
            "of uint8 or uint16"
        )
    _check_size(*array.shape[:2])
    return _to_rgb(array)


def _to_rgb(pixels: Shaped[np.ndarray, "h w *channels"]) -> RGB:
    if pixels.ndim == 2:
        return np.repeat(_to_8_bit(pixels)[..., None], 3, axis=2)
    rgb = _to_8_bit(pixels[..., :3])
    if pixels.shape[2] == 3:
        return rgb
    alpha = _to_8_bit(pixels[..., 3:]).astype(np.uint16)
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _to_8_bit(values: Shaped[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Full scale becomes 255; which one that is, `load_rgb` says."""
    if values.dtype == np.uint8:
        return values
    values = np.where(np.isfinite(values), values, 0).clip(min=0)
    peak = float(values.max())
    scales = (1.0, *_FULL_SCALES) if values.dtype.kind == "f" else _FULL_SCALES
    full = next((scale for scale in scales if peak <= scale), peak)
    return np.rint(values * np.float32(255 / full)).astype(np.uint8)
