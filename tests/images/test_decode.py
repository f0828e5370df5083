"""Decoding: known pixels, written by Pillow, OpenCV or `struct`, read back by `load_rgb`."""

import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from gradbox.errors import ImageError, UsageError
from gradbox.images import decode, sources
from gradbox.images.decode import is_blank, load_rgb
from gradbox.images.find import find_images
from gradbox.images.names import IMAGE_SUFFIXES
from gradbox.images.sources import MAX_PIXELS

RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
KNOWN = np.array([[RED, GREEN, BLUE], [WHITE, [0, 0, 0], [10, 120, 230]]], np.uint8)  # (2, 3, 3)
GRAY = np.array([[0, 10, 20], [100, 200, 255]], np.uint8)
# Smooth, so that JPEG keeps it within a few grey levels.
RAMP = np.stack(
    [np.tile(np.arange(0, 240, 5), (32, 1)), np.full((32, 48), 90), np.full((32, 48), 160)], axis=2
).astype(np.uint8)


def saved(folder: Path, image: Image.Image, name: str, **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.stack([gray] * 3, axis=2)


def png(height: int, width: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand: `rows` are big-endian numbers, each row behind a filter byte 0."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def tiff_16_bit(pixels: np.ndarray, orientation: int) -> bytes:
    """An uncompressed little-endian 16-bit RGB TIFF written by hand."""
    height, width, _ = pixels.shape
    body = pixels.astype("<u2").tobytes()
    bits_at = 8 + len(body)
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (274, 3, 1, orientation),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(body)),
    ]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = struct.pack("<2sHI", b"II", 42, bits_at + 6)
    count = struct.pack("<H", len(tags))
    return head + body + struct.pack("<HHH", 16, 16, 16) + count + directory + bytes(4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.ppm", {}),
        ("a.tiff", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
        ("a.gif", {}),
    ],
)
def test_lossless_formats_return_the_pixels_written(tmp_path, name, options):
    rgb = load_rgb(saved(tmp_path, Image.fromarray(KNOWN), name, **options))
    np.testing.assert_array_equal(rgb, KNOWN)
    assert rgb.dtype == np.uint8
    assert rgb.flags.writeable  # torch.from_numpy warns of what is not


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_formats_return_nearly_the_pixels_written(tmp_path, name):
    rgb = load_rgb(str(saved(tmp_path, Image.fromarray(RAMP), name, quality=95)))
    assert rgb.shape == RAMP.shape
    assert np.abs(rgb.astype(int) - RAMP).max() <= 8


def test_jpeg_is_what_opencv_decodes_at_full_size(tmp_path):
    # A second decoder; a draft at half size and back would differ by far more.
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "a.jpg", quality=95, subsampling=0)
    other = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert np.abs(load_rgb(path).astype(int) - other).max() <= 3


def test_the_first_frame_of_a_gif(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert (load_rgb(path) == RED).all()


# The upright picture is [[R, G, B], [W, K, X]]; by the EXIF table, row 0 and column 0 as stored are
# top-left, top-right, bottom-right, bottom-left, left-top, right-top, right-bottom, left-bottom.
R, G, B, W, K, X = KNOWN.reshape(6, 3)
STORED = {
    1: [[R, G, B], [W, K, X]],
    2: [[B, G, R], [X, K, W]],
    3: [[X, K, W], [B, G, R]],
    4: [[W, K, X], [R, G, B]],
    5: [[R, W], [G, K], [B, X]],
    6: [[B, X], [G, K], [R, W]],
    7: [[X, B], [K, G], [W, R]],
    8: [[W, R], [K, G], [X, B]],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp"])
def test_each_exif_orientation_is_turned_upright(tmp_path, orientation, name):
    stored = np.array(STORED[orientation], np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, Image.fromarray(stored), name, exif=exif, **options)
    np.testing.assert_array_equal(load_rgb(path), KNOWN)
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_rgb(image), KNOWN)


@pytest.mark.parametrize("orientation", STORED)
def test_each_exif_orientation_of_a_jpeg(tmp_path, orientation):
    # Large flat tiles survive JPEG; the middle of each is compared.
    stored = np.array(STORED[orientation], np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(stored), "a.jpg", exif=exif, quality=95, subsampling=0)
    assert np.abs(load_rgb(path)[8::16, 8::16].astype(int) - KNOWN).max() <= 8


@pytest.mark.parametrize("orientation", STORED)
def test_each_orientation_of_a_16_bit_tiff(tmp_path, orientation):
    stored = np.array(STORED[orientation], np.uint16) * 257
    (tmp_path / "a.tif").write_bytes(tiff_16_bit(stored, orientation))
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif"), KNOWN)


def test_an_unknown_orientation_changes_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 9
    path = saved(tmp_path, Image.fromarray(KNOWN), "a.png", exif=exif)
    np.testing.assert_array_equal(load_rgb(path), KNOWN)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.bmp", "a.pgm", "a.gif"])
def test_grayscale_gives_three_equal_channels(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(GRAY), name)
    np.testing.assert_array_equal(load_rgb(path), as_rgb(GRAY))


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pbm", "a.bmp"])
def test_one_bit_images_are_black_and_white(tmp_path, name):
    bits = GRAY >= 100
    path = saved(tmp_path, Image.fromarray(bits), name)
    np.testing.assert_array_equal(load_rgb(path), as_rgb(bits * np.uint8(255)))


def test_rgba_lies_over_white(tmp_path):
    # By hand: c * a / 255 + 255 - a; black at 51 is 204, red at 102 is (255, 153, 153), and a red
    # of 1 at 128 is 127.502.
    rgba = np.array([[[0, 0, 0, 51], [255, 0, 0, 102], [9, 9, 9, 0], [1, 0, 0, 128]]], np.uint8)
    expected = [[[204, 204, 204], [255, 153, 153], [255, 255, 255], [128, 127, 127]]]
    for source in (rgba, saved(tmp_path, Image.fromarray(rgba), "a.png"), Image.fromarray(rgba)):
        np.testing.assert_array_equal(load_rgb(source), expected)
    np.testing.assert_array_equal(rgba[0, 0], [0, 0, 0, 51])  # the argument is as it was


def test_gray_with_alpha_lies_over_white(tmp_path):
    la = Image.merge("LA", [Image.new("L", (2, 1), 0), Image.new("L", (2, 1), 51)])
    assert (load_rgb(saved(tmp_path, la, "a.png")) == 204).all()


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    return image


def test_a_palette_gives_its_colours(tmp_path):
    for name in ("a.png", "a.gif", "a.tiff", "a.bmp"):
        path = saved(tmp_path, palette_image(), name)
        np.testing.assert_array_equal(load_rgb(path), [[RED, GREEN, BLUE]])


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])])
def test_a_transparent_palette_entry_is_white(tmp_path, transparency):
    path = saved(tmp_path, palette_image(), "a.png", transparency=transparency)
    np.testing.assert_array_equal(load_rgb(path), [[RED, WHITE, BLUE]])


def test_a_transparent_gif_is_white_there(tmp_path):
    path = saved(tmp_path, palette_image(), "a.gif", transparency=1)
    np.testing.assert_array_equal(load_rgb(path), [[RED, WHITE, BLUE]])


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk_inks_darken(tmp_path, name):
    # No ink is white, all cyan takes the red away, all black is black. Pillow writes CMYK JPEGs
    # inverted with an Adobe marker, as Photoshop does.
    for inks, expected in [
        ((0, 0, 0, 0), WHITE),
        ((255, 0, 0, 0), [0, 255, 255]),
        ((0, 0, 0, 255), [0, 0, 0]),
    ]:
        rgb = load_rgb(saved(tmp_path, Image.new("CMYK", (16, 16), inks), name))
        assert np.abs(rgb.astype(int) - expected).max() <= 3


# Values in 16 bits, and by hand what they are in 8: v * 255 / (2^bits - 1), rounded.
DEPTHS = [
    ([0, 100, 255], [0, 100, 255]),  # 8 bits
    ([0, 400, 1020], [0, 100, 254]),  # 10 bits: / 4.0118
    ([0, 1606, 4095], [0, 100, 255]),  # 12 bits: / 16.0588
    ([0, 6425, 16383], [0, 100, 255]),  # 14 bits: / 64.247
    ([0, 25700, 65535], [0, 100, 255]),  # 16 bits: / 257
]


@pytest.mark.parametrize(("values", "expected"), DEPTHS)
def test_16_bit_gray_is_scaled_by_its_depth(tmp_path, values, expected):
    deep = np.array([values], np.uint16)
    for name in ("a.png", "a.tiff", "a.pgm"):
        cv2.imwrite(str(tmp_path / name), deep)
        np.testing.assert_array_equal(load_rgb(tmp_path / name)[0, :, 0], expected)
    np.testing.assert_array_equal(load_rgb(deep), as_rgb(np.array([expected], np.uint8)))


@pytest.mark.parametrize(("values", "expected"), DEPTHS)
@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_16_bit_colour_keeps_its_depth_and_its_channel_order(tmp_path, values, expected, name):
    deep = np.array([[values, [0, 0, 0]]], np.uint16)
    cv2.imwrite(str(tmp_path / name), deep[..., ::-1])  # OpenCV takes BGR
    np.testing.assert_array_equal(load_rgb(tmp_path / name), [[expected, [0, 0, 0]]])
    np.testing.assert_array_equal(load_rgb(deep), [[expected, [0, 0, 0]]])


def test_16_bit_rgba_and_gray_alpha_lie_over_white(tmp_path):
    # 12-bit colour under 16-bit alpha: each has its own scale. 13107 / 65535 = 51 / 255.
    rgba = np.array([[[0, 0, 0, 13107], [4095, 0, 0, 65535]]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), rgba[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), [[[204, 204, 204], RED]])
    rows = b"\0" + np.array([0, 13107, 4095, 65535], ">u2").tobytes()
    (tmp_path / "la.png").write_bytes(png(1, 2, bits=16, colour=4, rows=rows))
    np.testing.assert_array_equal(load_rgb(tmp_path / "la.png")[0, :, 0], [204, 255])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 0.2], [0, 128, 51]),  # in 0..1
        ([0.0, 100.0, 255.0], [0, 100, 255]),  # as 8 bits
        ([0.0, 1606.0, 4095.0], [0, 100, 255]),  # as 12 bits
        ([0.0, 6e5, 1e6], [0, 153, 255]),  # beyond 16 bits: by the maximum
        ([-3.0, np.nan, np.inf], [0, 0, 0]),
    ],
)
def test_float_tiff_is_scaled_by_its_range(tmp_path, values, expected):
    path = saved(tmp_path, Image.fromarray(np.array([values], np.float32)), "a.tiff")
    np.testing.assert_array_equal(load_rgb(path)[0, :, 0], expected)


def test_arrays_and_functions_are_sources():
    np.testing.assert_array_equal(load_rgb(KNOWN), KNOWN)
    np.testing.assert_array_equal(load_rgb(GRAY), as_rgb(GRAY))
    np.testing.assert_array_equal(load_rgb(lambda: KNOWN), KNOWN)
    flipped = load_rgb(KNOWN[:, ::-1])
    np.testing.assert_array_equal(flipped, KNOWN[:, ::-1])
    assert flipped.flags.c_contiguous  # torch takes no negative strides


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000)])
def test_extreme_shapes_are_fine(tmp_path, size):
    path = saved(tmp_path, Image.new("RGB", size, "red"), "a.png")
    assert load_rgb(path).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tiff", "a.gif", "a.ppm"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_truncated_file_is_an_error(tmp_path, name, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"^[^\n]*broken[^\n]*$"):
        load_rgb(path)


def test_a_truncated_16_bit_file_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 65536, (64, 80, 3), np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), noise)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(ImageError, match="broken"):
        load_rgb(path)


def test_files_that_are_no_image(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("this is not a photograph")
    for name, message in [
        ("empty.jpg", "the file is empty"),
        ("text.jpg", "no image of a known format"),
        ("missing.jpg", "no such file"),
        ("", "a folder"),
    ]:
        with pytest.raises(ImageError, match=message):
            load_rgb(tmp_path / name)


@pytest.mark.parametrize(("height", "width"), [(13_400, 13_400), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, height, width):
    # The file holds no pixels at all, so only the header can have been looked at.
    assert height * width > MAX_PIXELS
    (tmp_path / "a.png").write_bytes(png(height, width, bits=8, colour=2, rows=b""))
    with pytest.raises(ImageError, match="make it smaller"):
        load_rgb(tmp_path / "a.png")


def test_an_image_between_pillows_warning_and_its_error_is_tried(tmp_path):
    # 91 million pixels. To be quick the file holds none of them, so the decoder is what complains;
    # Pillow's warning (an error in these tests) would speak of the size.
    (tmp_path / "a.png").write_bytes(png(9_500, 9_600, bits=1, colour=0, rows=b""))
    with pytest.raises(ImageError, match="truncated"):
        load_rgb(tmp_path / "a.png")


def test_a_decoder_error_without_a_text_is_named(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise EOFError

    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(ImageError, match=r"EOFError\(\)"):
        load_rgb(Image.fromarray(KNOWN))


def test_a_jpeg_with_a_second_picture_gives_the_first(tmp_path):
    # Phones write such files (MPO) under the name .jpg.
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert np.abs(load_rgb(tmp_path / "a.jpg").astype(int) - RED).max() <= 2


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((0, 3, 3), np.uint8),
        np.zeros((3, 0), np.uint8),
        np.zeros((3, 3, 2), np.uint8),
        np.zeros((3,), np.uint8),
        np.zeros((3, 3, 3), np.float32),
        Image.new("RGB", (0, 3)),
    ],
    ids=["no rows", "no columns", "two channels", "a line", "floats", "empty Pillow image"],
)
def test_arrays_that_are_no_image(source):
    with pytest.raises(ImageError, match=r"no pixels|an image is|--channels|--range"):
        load_rgb(source)


def test_threads_read_what_one_thread_reads(tmp_path):
    rng = np.random.default_rng(0)
    names = ["a.jpg", "b.png", "c.webp", "d.tiff", "e.gif", "f.bmp"] * 8
    paths = [
        saved(tmp_path, Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)), f"{i}{name}")
        for i, name in enumerate(names)
    ]
    alone = [load_rgb(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(load_rgb, paths), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_pillow_image_is_not_changed():
    image = Image.fromarray(KNOWN)
    load_rgb(image)[:] = 0
    np.testing.assert_array_equal(np.asarray(image), KNOWN)


def test_blank_means_that_every_pixel_is_equal():
    constant = np.broadcast_to(np.array([3, 5, 7], np.uint8), (4, 6, 3)).copy()
    assert is_blank(constant)
    assert is_blank(np.zeros((1, 1, 3), np.uint8))
    for place in [(0, 5, 1), (3, 0, 2), (0, 0, 0)]:
        changed = constant.copy()
        changed[place] += 1
        assert not is_blank(changed)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ["b.JPG", "a/2.png", "a/1.png", "a/notes.txt", ".hidden.png", ".cache/x.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "odd.png").mkdir()
    return tmp_path


def ids(*paths: Path) -> list[str]:
    return [sample.image_id for sample in find_images(paths)]


def test_a_folder_gives_its_images_sorted_and_relative(tree):
    assert ids(tree) == ["a/1.png", "a/2.png", "b.JPG"]
    assert find_images([tree])[0].source == tree / "a/1.png"


def test_a_file_is_named_and_taken_whatever_its_suffix(tree):
    assert ids(tree / "a/1.png") == ["1.png"]
    assert ids(tree / "a/notes.txt") == ["notes.txt"]


def test_several_paths_are_relative_to_their_common_parent(tree, monkeypatch):
    (tree / "c").mkdir()
    (tree / "c/1.png").touch()
    assert ids(tree / "c", tree / "a") == ["c/1.png", "a/1.png", "a/2.png"]
    assert ids(tree / "b.JPG", tree / "a/1.png") == ["b.JPG", "a/1.png"]
    assert ids(tree / "a/2.png", tree / "a") == ["2.png", "1.png"]  # once each
    monkeypatch.chdir(tree / "a")
    assert ids(Path("../c"), Path(".")) == ["c/1.png", "a/1.png", "a/2.png"]
    assert ids(Path("."), tree / "a") == ["1.png", "2.png"]  # once each, however it is written


def test_calls_without_images_say_what_to_type(tree):
    for paths, message in [
        ([], "at least one"),
        ([tree / "nowhere"], "nowhere does not exist"),
        ([tree / "odd.png"], r"no image in the folder .*\.jpeg"),
        ([tree, tree / "odd.png"], "no image in the folder"),
    ]:
        with pytest.raises(UsageError, match=message):
            find_images(paths)


def test_a_suffix_is_one_that_pillow_knows_for_a_format_read_here():
    # A second source for the list: Pillow's own table of suffixes.
    known = Image.registered_extensions()
    others = {".heic", ".heif", ".fits", ".fit", ".fts", ".dcm", ".dicom", ".npy"}
    assert others < IMAGE_SUFFIXES
    assert {known[suffix] for suffix in IMAGE_SUFFIXES - others} == {
        *("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
    }


def test_a_truncated_file_opened_by_pillow_is_an_error():
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, "PNG")
    image = Image.open(io.BytesIO(stream.getvalue()[:-60]))
    with pytest.raises(ImageError, match="broken"):
        load_rgb(image)


def interleaved_or_not(pixels: np.ndarray, order: str, *, planar: int = 1, deflate: bool) -> bytes:
    """A 16-bit TIFF of 3 or 4 channels written by hand, in strips of 3 rows."""
    height, width, channels = pixels.shape
    planes = [pixels] if planar == 1 else [pixels[..., i : i + 1] for i in range(channels)]
    strips = [
        p[y : y + 3].astype(f"{order}u2").tobytes() for p in planes for y in range(0, height, 3)
    ]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    starts = [8 + sum(map(len, strips[:i])) for i in range(len(strips) + 1)]
    arrays = [(16,) * channels, starts[:-1], [len(strip) for strip in strips]]
    forms = [f"{order}{len(a)}{kind}" for a, kind in zip(arrays, "HII", strict=True)]
    packed = [struct.pack(form, *array) for form, array in zip(forms, arrays, strict=True)]
    places = [starts[-1] + sum(map(len, packed[:i])) for i in range(len(packed) + 1)]
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, places[0]),
        (259, 4, 1, 8 if deflate else 1),
        (262, 4, 1, 2),
        (273, 4, len(strips), places[1]),
        (277, 4, 1, channels),
        (278, 4, 1, 3),
        (279, 4, len(strips), places[2]),
        (284, 4, 1, planar),
        *([(338, 4, 1, 2)] if channels == 4 else []),
    ]
    directory = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, places[-1])
    count = struct.pack(f"{order}H", len(tags))
    return head + b"".join(strips) + b"".join(packed) + count + directory + bytes(4)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_both_bytes_of_16_bit_tiffs_are_read(tmp_path, order, channels, deflate):
    # Not 8 bits and a guess: numbers of 12 bits differ in both bytes. The array is a second way.
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4096, (8, 5, channels), np.uint16)
    (tmp_path / "a.tif").write_bytes(interleaved_or_not(pixels, order, deflate=deflate))
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif"), load_rgb(pixels))


@pytest.mark.parametrize("deflate", [False, True])
def test_16_bit_planes_are_no_wrong_colours(tmp_path, deflate):
    pixels = np.arange(120, dtype=np.uint16).reshape(8, 5, 3) * 500
    data = interleaved_or_not(pixels, "<", planar=2, deflate=deflate)
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif"), load_rgb(pixels))


def test_a_pillow_image_of_16_bit_gray_and_alpha_stays_as_pillow_has_it(tmp_path):
    rows = b"\0" + np.array([0, 13107, 25700, 65535], ">u2").tobytes()
    (tmp_path / "la.png").write_bytes(png(1, 2, bits=16, colour=4, rows=rows))
    with Image.open(tmp_path / "la.png") as image:
        np.testing.assert_array_equal(load_rgb(image)[0, :, 0], [204, 100])
        assert image.getpixel((1, 0)) == (100, 100, 100, 255)


def test_blocks_are_put_together_where_they_were(tmp_path):
    # Three blocks in each direction, the last ones smaller; Pillow's own array is the second way.
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1300, 3), np.uint8)
    np.testing.assert_array_equal(load_rgb(saved(tmp_path, Image.fromarray(noise), "a.png")), noise)
    deep = noise[..., 0].astype(np.uint16)
    deep[1099, 1299] = 4095  # the maximum of all, in the last block, scales the first one
    cv2.imwrite(str(tmp_path / "b.png"), deep)
    assert load_rgb(tmp_path / "b.png")[0, 0, 0] == np.rint(deep[0, 0] * 255 / 4095)


@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize(
    "name", ["a.png", "rgba.png", "16.png", "16a.png", "gray16.png", "16.tif", "a.jpg", "a.gif"]
)
def test_a_very_large_file_gives_the_means_of_its_pixels(tmp_path, monkeypatch, name, step):
    # Smooth and large, so that JPEG's own way to a smaller image is near the means, too.
    rows, columns = np.mgrid[0:613, 0:837] / 900
    smooth = np.stack([rows, columns, 1 - rows], axis=2)
    rgb, deep = (smooth * 255).astype(np.uint8), (smooth * 4095).astype(np.uint16)
    alpha = np.full((613, 837, 1), 4095, np.uint16)
    pillow = {"a.png": "RGB", "rgba.png": "RGBA", "a.jpg": "RGB", "a.gif": "P"}
    opencv = {"16a.png": np.dstack([deep, alpha]), "gray16.png": deep[..., 0]}
    if name in pillow:
        saved(tmp_path, Image.fromarray(rgb).convert(pillow[name]), name)
    else:
        cv2.imwrite(str(tmp_path / name), opencv.get(name, deep))
    full = load_rgb(tmp_path / name)
    monkeypatch.setattr(sources, "FULL_PIXELS", -(-613 * 837 // step**2))
    asked = []
    small = decode.decode(tmp_path / name, take=asked.append)
    assert small.size == (613, 837)
    # 613 and 837 are no multiples: the last row and column are the means of what there is.
    assert small.pixels.shape == (-(-613 // step), -(-837 // step), 3)
    assert len(asked) == 1
    means = full[: 612 // step * step, : 836 // step * step].astype(float)
    means = means.reshape(612 // step, step, 836 // step, step, 3).mean(axis=(1, 3))
    difference = np.abs(small.pixels[: 612 // step, : 836 // step] - means)
    assert difference.max() <= (4 if name == "a.jpg" else 1)
    np.testing.assert_array_equal(load_rgb(tmp_path / name), full)  # at its full size as before


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tiff"])
def test_a_smaller_copy_is_upright_like_the_image(tmp_path, monkeypatch, name):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.array(STORED[6], np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    path = saved(tmp_path, Image.fromarray(stored), name, exif=exif)
    monkeypatch.setattr(sources, "FULL_PIXELS", 400)
    small = decode.decode(path)
    assert small.size == (32, 48)
    assert small.pixels.shape == (16, 24, 3)
    assert np.abs(small.pixels[4::8, 4::8].astype(int) - KNOWN).max() <= 8


def test_an_image_that_takes_too_much_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    # WebP takes 16 bytes a pixel, and 3 for the result: 100 x 100 pixels 190,000 and the file.
    path = saved(tmp_path, Image.new("RGB", (100, 100)), "a.webp")
    monkeypatch.setattr(sources, "BUDGET", 195_000)
    assert load_rgb(path).shape == (100, 100, 3)
    monkeypatch.setattr(sources, "BUDGET", 185_000)
    with pytest.raises(ImageError, match="100 x 100 pixels and takes 0 MB of memory"):
        load_rgb(path)


@pytest.mark.parametrize("where", ["load", "convert", "crop"])
def test_too_little_memory_is_an_error_of_the_image(tmp_path, monkeypatch, where):
    def fail(*_: object) -> None:
        raise MemoryError

    path = saved(tmp_path, Image.new("CMYK", (600, 600)), "a.tiff")
    monkeypatch.setattr(Image.Image, where, fail)
    with pytest.raises(ImageError, match="not enough memory"):
        load_rgb(path)


def test_what_is_no_file_is_an_error_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with (tmp_path / "sparse.png").open("wb") as stream:
        stream.truncate(10**12)
    for name, message in [
        ("pipe.png", "a pipe or a device"),
        ("zero.png", "a pipe or a device"),
        ("dangling.png", "no such file"),
        ("loop.png", "cannot be read"),
        ("sparse.png", "1,000,000 MB, more than 805 MB"),
        ("nul\0.png", "no file of this name"),
        ("no text \ud800.png", "no file of this name"),
        ("long" * 100, "name too long"),
    ]:
        with pytest.raises(ImageError, match=message):
            load_rgb(tmp_path / name)


def test_what_libtiff_prints_stays_unseen(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "a.tiff", compression="tiff_adobe_deflate")
    data = bytearray(path.read_bytes())
    data[2000:2010] = bytes(10)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="broken"):
        load_rgb(path)
    assert capfd.readouterr() == ("", "")


def test_names_that_are_no_utf_8_are_written_with_escapes(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).touch()
    (tmp_path / "line\nfeed\u2028.png").touch()
    found = {sample.image_id: sample.source for sample in find_images([tmp_path])}
    assert list(found) == [r"caf\xe9.png", "line\nfeed\u2028.png"]
    assert all(path.exists() for path in found.values())
