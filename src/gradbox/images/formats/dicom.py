"""DICOM by pydicom: rescaled numbers, and black and white as the file's first window says."""

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Shaped

from gradbox.errors import ImageError
from gradbox.images.raster import Claim, Layout, Raster, one_plane
from gradbox.images.read import ImageStream
from gradbox.images.reading import Stack

_LINEAR, _EXACT = "LINEAR", "LINEAR_EXACT"
_RESCALED = 8
"""Bytes of a number once it is rescaled."""


@cache
def _pydicom() -> ModuleType:
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise ImageError("DICOM needs pydicom: pip install 'gradbox[dicom]'") from error
    return pydicom


def load(stream: ImageStream, stack: Stack | None, claim: Claim) -> Raster:
    """The image of a file; several frames are planes.

    Numbers are those of the modality, such as Hounsfield units. Black and white are the first
    window's where the function is linear, else the lowest and highest that unsigned numbers of the
    stored bits can be.

    Raises:
        ImageError: pydicom is not installed, or the file has no image, is cut off, or has no such
            plane.
    """
    pydicom = _pydicom()
    header = pydicom.dcmread(stream, stop_before_pixels=True)
    if "Rows" not in header:
        kind = header.file_meta.get("MediaStorageSOPClassUID")
        raise ImageError(f"there is no image in this DICOM file ({getattr(kind, 'name', kind)})")
    layout = _layout(header)
    claim(layout)
    stream.seek(0)
    data = pydicom.dcmread(stream)
    numbers = _numbers(pydicom, data).reshape(layout.shape)
    return Raster.of_array(
        one_plane(numbers, layout, stack),
        bounds=_window(data) or _stored_bits(data),
        inverted=data.PhotometricInterpretation == "MONOCHROME1",
    )


def _layout(header: Any) -> Layout:
    frames = int(header.get("NumberOfFrames", None) or 1)
    is_palette = header.PhotometricInterpretation == "PALETTE COLOR"
    channels = 3 if is_palette else int(header.SamplesPerPixel)
    return Layout((frames, header.Rows, header.Columns, channels), "TYXC", _RESCALED)


def _numbers(pydicom: ModuleType, data: Any) -> Shaped[np.ndarray, "..."]:
    stored = data.pixel_array
    if data.PhotometricInterpretation == "PALETTE COLOR":
        return pydicom.pixels.apply_color_lut(stored, data)[..., :3]
    return pydicom.pixels.apply_modality_lut(stored, data)


def _window(data: Any) -> tuple[float, float] | None:
    """Black and white of the first window (PS3.3, C.11.2.1.2), None where it says none."""
    function = data.get("VOILUTFunction", _LINEAR)
    if "WindowCenter" not in data or function not in (_LINEAR, _EXACT):
        return None
    center, width = (_first(data[name].value) for name in ("WindowCenter", "WindowWidth"))
    if function == _LINEAR:
        center, width = center - 0.5, width - 1
    return (center - width / 2, center + width / 2) if width > 0 else None


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") else value)


def _stored_bits(data: Any) -> tuple[float, float] | None:
    is_signed, is_rescaled = data.PixelRepresentation, "ModalityLUTSequence" in data
    if is_signed or is_rescaled or data.SamplesPerPixel > 1:
        return None
    slope, start = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    return start, start + slope * (2 ** int(data.BitsStored) - 1)
