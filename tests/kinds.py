"""Files of each kind, written by the library of each kind."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pillow_heif
import pydicom
import tifffile
from astropy.io import fits
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

Write = Callable[[Path, np.ndarray], None]
"""Writes numbers (h, w, c)."""


def write_tiff(path: Path, numbers: np.ndarray) -> None:
    tifffile.imwrite(path, np.moveaxis(numbers, 2, 0), metadata={"axes": "CYX"}, ome=True)


def write_tiff_interleaved(path: Path, numbers: np.ndarray) -> None:
    planar = "contig" if numbers.shape[2] > 1 else None
    tifffile.imwrite(
        path, numbers.squeeze(), planarconfig=planar, metadata=None, photometric="minisblack"
    )


def write_imagej(path: Path, numbers: np.ndarray) -> None:
    channels = np.moveaxis(numbers, 2, 0)
    tifffile.imwrite(path, channels, imagej=True, metadata={"axes": "CYX"})


def write_fits(path: Path, numbers: np.ndarray) -> None:
    fits.writeto(path, np.moveaxis(numbers, 2, 0).squeeze(), overwrite=True)


def write_npy(path: Path, numbers: np.ndarray) -> None:
    with path.open("wb") as stream:  # np.save would add a suffix
        np.save(stream, numbers)


def write_heic(path: Path, numbers: np.ndarray) -> None:
    image = Image.fromarray(numbers.squeeze())
    pillow_heif.from_pillow(image).save(str(path), quality=-1, chroma=444)


def write_png(path: Path, numbers: np.ndarray) -> None:
    Image.fromarray(numbers.squeeze()).save(path, "PNG")


def write_dicom(path: Path, numbers: np.ndarray, **elements: object) -> None:
    """(h, w) or (h, w, c) numbers; `elements` are added, or put in place of the usual ones."""
    if numbers.ndim == 3 and numbers.shape[2] == 1:
        numbers = numbers[..., 0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.Rows, data.Columns = numbers.shape[:2]
    data.SamplesPerPixel = 1 if numbers.ndim == 2 else numbers.shape[2]
    data.PhotometricInterpretation = "MONOCHROME2" if numbers.ndim == 2 else "RGB"
    if numbers.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * numbers.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(numbers.dtype.kind == "i")
    data.PixelData = numbers.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    pydicom.dcmwrite(path, data, enforce_file_format=True)


KINDS: Mapping[str, tuple[Write, str, tuple[int, ...], tuple[str, ...]]] = {
    "ome": (write_tiff, "a.ome.tif", (1, 2, 3, 5), ("u1", "u2", "i2", "u4", "f4", "f8")),
    "tiff": (write_tiff_interleaved, "a.tif", (1, 2, 3, 5), ("u1", "u2", "i2", "u4", "f4", "f8")),
    "imagej": (write_imagej, "a.tif", (1, 2, 3, 5), ("u1", "u2", "f4")),
    "fits": (write_fits, "a.fits", (1, 3, 5), ("u1", "u2", "i2", "u4", "i4", "f4", "f8")),
    "npy": (write_npy, "a.npy", (1, 2, 3, 5), ("u1", "u2", "i2", "u4", "i8", "f2", "f4", "f8")),
    "dicom": (write_dicom, "a.dcm", (1,), ("u1", "u2", "i2")),
    "dicom rgb": (write_dicom, "a.dcm", (3,), ("u1",)),
    "heic": (write_heic, "a.heic", (1, 3), ("u1",)),
    "png": (write_png, "a.png", (1, 3), ("u1",)),
    "png 16": (write_png, "a.png", (1,), ("u2",)),
}
"""How a kind is written, the name of a file, and the channels and depths that it can have."""
