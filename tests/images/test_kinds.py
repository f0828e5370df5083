"""A bright square comes back from every kind of file, in pixels of the file, at every depth."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
import torch
from astropy.io import fits
from astropy.visualization import AsinhStretch, ZScaleInterval
from kinds import KINDS, write_dicom, write_fits, write_npy, write_tiff
from torch import nn

from gradbox.errors import ImageError, UsageError
from gradbox.images.decode import decode, load_rgb
from gradbox.images.formats import dicom as dicom_format
from gradbox.images.formats import fits as fits_format
from gradbox.images.formats import tiff as tiff_format
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.ranges import Asinh, Percentile, ZScale, range_text, to_range
from gradbox.images.reading import Reading, Stack
from gradbox.localization import Localization
from gradbox.models.classifier import Classifier
from gradbox.pipeline import localize

BOX = (30, 12, 50, 28)
"""xmin, ymin, xmax, ymax of the square, in an image of 64 x 48."""
CASES = [
    pytest.param(kind, channels, depth, id=f"{kind}, {channels} x {depth}")
    for kind, (_, _, counts, depths) in KINDS.items()
    for channels, depth in itertools.product(counts, depths)
]


def square(channels: int, depth: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Numbers (48, 64, c) that are low but for the square in the last channel; black and white."""
    low, high = {"u1": (20, 220), "i2": (-900, 2000), "f4": (-0.5, 0.25), "f8": (1e-9, 9e-9)}.get(
        depth, (300, 2000)
    )
    numbers = np.full((48, 64, channels), low, dtype=depth)
    xmin, ymin, xmax, ymax = BOX
    numbers[ymin:ymax, xmin:xmax, -1] = high
    return numbers, (float(low), float(high))


def brightness(channels: int) -> nn.Module:
    """Its first class is as likely as the input is bright, so input x gradient is the input."""
    head = nn.Linear(channels, 2, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, channels))
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def network(channels: int, reading: Reading) -> Classifier:
    """On inputs of twice the size, so that boxes have to come back through a frame."""
    seen = Preprocessing(
        size=(96, 128), mean=(0.0,) * channels, std=(1.0,) * channels, reading=reading
    )
    return Classifier.wrap(brightness(channels), preprocessing=seen, class_names=["on", "off"])


@pytest.mark.parametrize(("kind", "channels", "depth"), CASES)
def test_the_box_of_a_known_square_comes_back(
    kind: str, channels: int, depth: str, tmp_path: Path
) -> None:
    """The map is the picture, so the box of half its height is the square, to half a pixel."""
    write, name, _, _ = KINDS[kind]
    numbers, (low, high) = square(channels, depth)
    write(tmp_path / name, numbers)
    stack: Stack | None = "channels" if kind == "fits" and channels > 1 else None
    reading = Reading(channels=(channels - 1,), range=f"{low!r}:{high!r}", stack=stack)
    found = localize(
        tmp_path / name,
        network(1, reading),
        method="gradient_x_input",
        box="threshold(0.5)",
        labels=["on"],
    )
    assert found.size == (48, 64)
    np.testing.assert_allclose(found.boxes[0], BOX, atol=0.5)


@pytest.mark.parametrize("kind", ["ome", "tiff", "imagej", "npy"])
def test_a_network_of_as_many_channels_takes_them_in_order(kind: str, tmp_path: Path) -> None:
    write, name, _, _ = KINDS[kind]
    numbers, (low, high) = square(5, "u2")
    write(tmp_path / name, numbers)
    reading = Reading(range=f"{low}:{high}")
    pixels = decode(tmp_path / name, channels=5, reading=reading).pixels
    np.testing.assert_allclose(pixels, 255 * (numbers - low) / (high - low), rtol=1e-6)
    turned = decode(
        tmp_path / name, reading=Reading(channels=(4, 2, 0), range=f"{low}:{high}")
    ).pixels
    np.testing.assert_array_equal(turned, pixels[..., [4, 2, 0]])


def test_a_dark_16_bit_file_is_as_it_was_unless_a_range_is_said(tmp_path: Path) -> None:
    """4095 is the highest of 12 bits and becomes 255, not 16; a range of 16 bits says otherwise."""
    numbers = np.zeros((4, 4), dtype=np.uint16)
    numbers[1, 1], numbers[2, 2] = 4095, 819
    for name in ("a.tif", "a.npy", "a.fits"):
        {"a.tif": tifffile.imwrite, "a.npy": write_npy, "a.fits": fits.writeto}[name](
            tmp_path / name, numbers
        )
        pixels = load_rgb(tmp_path / name)
        assert pixels.dtype == np.uint8
        assert (pixels[1, 1, 0], pixels[2, 2, 0]) == (255, 51)
        said = decode(tmp_path / name, reading=Reading(range="0:65535")).pixels
        assert said[1, 1, 0] == pytest.approx(255 * 4095 / 65535)


def test_a_float_keeps_what_eight_bits_would_lose(tmp_path: Path) -> None:
    """Ten steps of one number each, in a range of 65,536: less than a step of 8 bits apart."""
    numbers = np.arange(1000, 1010, dtype=np.uint16).reshape(2, 5)
    write_npy(tmp_path / "a.npy", numbers)
    pixels = decode(tmp_path / "a.npy", reading=Reading(range="0:65536")).pixels[..., 0]
    assert len(np.unique(pixels)) == 10
    seen = Preprocessing(size=(2, 5), reading=Reading(range="0:65536"))
    small, _ = seen.resized(decode(tmp_path / "a.npy", reading=seen.reading).pixels)
    np.testing.assert_allclose(small[0] / 255, numbers / 65536, rtol=1e-6)


SKY = np.random.default_rng(0).normal(100, 5, (60, 70)) ** 2
SKY[20:24, 30:35] = 5e5


def test_ranges_are_those_of_numpy_and_astropy() -> None:
    for said in (Percentile(), ZScale(), ZScale(contrast=0.1), Asinh(softness=0.02)):
        low, high = said.measured(SKY.ravel())
        if isinstance(said, ZScale):
            expected = ZScaleInterval(contrast=said.contrast).get_limits(SKY)
        else:
            expected = np.percentile(SKY, (said.low, said.high))
        np.testing.assert_allclose((low, high), expected)
        pixels = decode(SKY, channels=1, reading=Reading(range=said)).pixels[..., 0]
        share = np.clip((SKY - low) / (high - low), 0, 1)
        if isinstance(said, Asinh):
            share = AsinhStretch(said.softness)(share)
        np.testing.assert_allclose(pixels, 255 * share, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [3, 9, 40, 999, 1001, 2500])
@pytest.mark.parametrize("bright", [0.0, 0.1, 0.6])
def test_zscale_is_that_of_astropy(size: int, bright: float) -> None:
    rng = np.random.default_rng(size)
    numbers = rng.normal(10, 2, size) + 500 * (rng.random(size) < bright)
    expected = ZScaleInterval().get_limits(numbers)
    np.testing.assert_allclose(ZScale().measured(numbers), expected)


@pytest.mark.parametrize(
    "text",
    ["0:4095", "-1e3:0.5", "0:1,2:3,4:5", "percentile(1, 99.8, over=dataset)", "zscale", "asinh"],
)
def test_the_text_of_a_range_gives_an_equal_one(text: str) -> None:
    assert to_range(range_text(to_range(text))) == to_range(text)


def test_channels_apart_have_black_and_white_of_their_own(tmp_path: Path) -> None:
    numbers = np.stack([np.linspace(0, 1, 100), np.linspace(50, 90, 100)], axis=1).reshape(
        10, 10, 2
    )
    write_tiff(tmp_path / "a.tif", numbers.astype(np.float32))
    apart = Reading(range="percentile(0, 100, channels=apart)", channels=(0, 1, 0))
    pixels = decode(tmp_path / "a.tif", reading=apart).pixels
    np.testing.assert_allclose(pixels[..., 0], pixels[..., 1], atol=1e-3)
    together = decode(
        tmp_path / "a.tif", reading=Reading(range="percentile(0, 100)", channels=(0, 1, 0))
    )
    assert together.pixels[..., 0].max() < 3 < together.pixels[..., 1].min()
    fixed = decode(tmp_path / "a.tif", reading=Reading(range="0:1,50:90,0:1", channels=(0, 1, 0)))
    np.testing.assert_allclose(fixed.pixels, pixels, atol=1e-3)


@pytest.mark.parametrize(
    ("stack", "expected"), [("max", 9), ("mean", 5), ("middle", 5), ("0", 1), ("2", 9)]
)
def test_what_is_taken_of_a_stack(stack: str, expected: int, tmp_path: Path) -> None:
    """Three planes of 1, 5 and 9, as a z-stack of OME, a cube of FITS and frames of DICOM."""
    planes = np.stack([np.full((6, 8), value, np.uint8) for value in (1, 5, 9)])
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, ome=True, metadata={"axes": "ZYX"})
    fits.writeto(tmp_path / "a.fits", planes)
    write_dicom(tmp_path / "a.dcm", planes[0], NumberOfFrames=3, PixelData=planes.tobytes())
    write_npy(tmp_path / "a.npy", planes[..., None])
    said = Reading(stack=int(stack) if stack.isdecimal() else stack, range="0:255")
    for path in sorted(tmp_path.iterdir()):
        assert (decode(path, reading=said).pixels == expected).all(), path.name
        with pytest.raises(ImageError, match=r"3 planes: say which with --stack"):
            load_rgb(path)
        as_channels = decode(path, reading=Reading(stack="channels")).pixels
        np.testing.assert_array_equal(as_channels[0, 0], [1, 5, 9])


def test_not_a_number_is_black_and_infinity_white(tmp_path: Path) -> None:
    numbers = np.array([[np.nan, np.inf, -np.inf], [0, 10, 5]], dtype=np.float32)
    write_fits(tmp_path / "a.fits", numbers[..., None])
    for text in ("0:10", "percentile(0, 100)"):
        pixels = decode(tmp_path / "a.fits", reading=Reading(range=text)).pixels[..., 0]
        np.testing.assert_allclose(pixels, [[0, 255, 0], [0, 255, 127.5]])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
def test_a_window_of_dicom_is_that_of_pydicom(function: str, tmp_path: Path) -> None:
    numbers = np.arange(-40, 80, 1, dtype=np.int16).reshape(10, 12)
    write_dicom(
        tmp_path / "a.dcm",
        numbers,
        RescaleSlope=2,
        RescaleIntercept=-10,
        WindowCenter=[40, 7],
        WindowWidth=[80, 9],
        VOILUTFunction=function,
    )
    data = pydicom.dcmread(tmp_path / "a.dcm")
    shown = pydicom.pixels.apply_voi_lut(
        pydicom.pixels.apply_modality_lut(data.pixel_array, data), data
    )
    low, high = shown.min(), shown.max()
    np.testing.assert_allclose(
        decode(tmp_path / "a.dcm").pixels[..., 0], 255 * (shown - low) / (high - low), atol=1e-3
    )
    units = decode(tmp_path / "a.dcm", reading=Reading(range="-90:148")).pixels[..., 0]
    np.testing.assert_allclose(units, 255 * (2.0 * numbers - 10 + 90) / 238, rtol=1e-5)


def test_monochrome1_is_the_negative_and_stored_bits_are_a_range(tmp_path: Path) -> None:
    numbers = np.array([[0, 1023, 4095]], dtype=np.uint16)
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        write_dicom(
            tmp_path / f"{kind}.dcm",
            numbers,
            PhotometricInterpretation=kind,
            BitsStored=12,
            HighBit=11,
        )
    first, second = (decode(tmp_path / f"MONOCHROME{i}.dcm").pixels[..., 0] for i in (1, 2))
    np.testing.assert_allclose(second, 255 * (numbers / 4095), rtol=1e-6)
    np.testing.assert_allclose(first, 255 - second, atol=1e-4)


BAD = {
    "five channels": (lambda p: write_tiff(p, square(5, "u2")[0]), "5 channels .* as in 0,1,2"),
    "a table": (
        lambda p: fits.BinTableHDU.from_columns(
            [fits.Column("flux", "D", array=np.arange(300.0))]
        ).writeto(p),
        "no image in this FITS file, only PrimaryHDU, BinTableHDU",
    ),
    "nan": (
        lambda p: write_fits(p, np.full((9, 9, 1), np.nan, np.float32)),
        "no number of the image is finite",
    ),
    "frames": (
        lambda p: write_dicom(
            p, np.zeros((4, 5), np.uint8), NumberOfFrames=7, PixelData=bytes(140)
        ),
        "7 planes: say which",
    ),
    "signed": (
        lambda p: write_npy(p, np.array([[-5, 70000]], np.int64)),
        "int64 from -5 to 70000: say which .*--range",
    ),
    "above 31 bits": (
        lambda p: tifffile.imwrite(p, np.array([[0, 2**32 - 1]], np.uint32)),
        r"uint32 from 0 to 4.29497e\+09: say which .*--range",
    ),
    "objects": (lambda p: write_npy(p, np.array([[{}]], object)), "of object: an image is"),
    "complex": (lambda p: write_npy(p, np.zeros((3, 3), complex)), "complex128: an image is"),
    "four axes": (lambda p: write_npy(p, np.zeros((1, 2, 3, 4, 5), np.uint8)), "an image is"),
}
"""How it is written, and what is said of it."""


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_the_others_are_done(name: str, tmp_path: Path) -> None:
    write, message = BAD[name]
    write(tmp_path / "bad")
    numbers, _ = square(1, "u1")
    write_npy(tmp_path / "good.npy", numbers)
    classifier = network(3, Reading())
    bad, good = localize(
        [tmp_path / "bad", tmp_path / "good.npy"], classifier, method="gradient_x_input"
    )
    assert isinstance(good, Localization)
    assert isinstance(bad, ImageError)
    assert "\n" not in str(bad)
    with pytest.raises(ImageError, match=message):
        raise bad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.8, 0.97])
def test_a_file_that_is_cut_off_is_one_line(kind: str, share: float, tmp_path: Path) -> None:
    write, name, counts, _ = KINDS[kind]
    depth = "u2" if "u2" in KINDS[kind][3] else "u1"
    noise = np.random.default_rng(0).integers(0, 200, (96, 80, counts[-1])).astype(depth)
    write(tmp_path / name, noise)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ImageError) as caught:
        decode(tmp_path / name, channels=counts[-1], reading=Reading(stack="channels"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((2**40, 2**40), r"cut off"), ((10**6, 10**6), "cut off"), ((0, 5), "no pixels")],
)
def test_a_header_that_promises_too_much(shape: tuple[int, int], said: str, tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(ImageError, match=said):
        load_rgb(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("module", "cached", "kind", "extra"),
    [
        ("tifffile", tiff_format._tifffile, "ome", "tiff"),
        ("astropy.io", fits_format._fits, "fits", "fits"),
        ("pydicom", dicom_format._pydicom, "dicom", "dicom"),
        ("pillow_heif.as_plugin", None, "heic", "heic"),
    ],
)
def test_a_missing_extra_is_one_line_with_what_to_type(
    module: str,
    cached: object,
    kind: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gradbox.images import heic

    cached = cached or heic._image_file
    write, name, counts, depths = KINDS[kind]
    write(tmp_path / name, square(counts[-1], depths[0])[0])
    monkeypatch.setitem(sys.modules, module, None)
    cached.cache_clear()  # type: ignore[attr-defined]
    try:
        with pytest.raises(ImageError, match=rf"pip install 'gradbox\[{extra}\]'"):
            load_rgb(tmp_path / name)
    finally:
        cached.cache_clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "reading",
    [
        {"channels": ()},
        {"channels": (-1, 0, 1)},
        {"range": "5:5"},
        {"range": "percentile(9, 3)"},
        {"range": "zskale"},
        {"range": "0:nan"},
        {"stack": -1},
    ],
)
def test_what_cannot_be_said(reading: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Reading(**reading)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_as_many_channels_as_the_network_takes() -> None:
    with pytest.raises(UsageError, match="--channels 0,1 are 2, and the network takes 3"):
        Preprocessing(reading=Reading(channels=(0, 1)))
    said = Reading(channels=(7, 0, 1))
    with pytest.raises(ImageError, match="no channel 7: the image has 0 to 2"):
        decode(np.zeros((4, 4, 3), np.uint8), reading=said)
