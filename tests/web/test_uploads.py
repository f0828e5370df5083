"""What a browser sends is refused by its length and header alone, in one line without a path."""

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradbox.errors import ImageError
from gradbox.web.uploads import Limits, plain_name

LIMITS = Limits(megabytes=1, megapixels=1, slim=50)


def png_header(path: Path, width: int, height: int) -> Path:
    """A PNG that says it is so large and has no pixels at all: whoever decodes it fails."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT")
    return path


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [
        (1001, 1000, r"the image has 1,001 x 1,000 pixels, more than 1 million"),
        (20_000, 1, r"20,000 x 1 pixels, one side more than 50 times the other"),
        (1, 51, r"1 x 51 pixels, one side more than 50 times the other"),
        (1000, 1000, None),
        (500, 10, None),
    ],
)
def test_pixels_and_slimness_are_known_from_the_header(
    width: int, height: int, why: str | None, tmp_path: Path
) -> None:
    path = png_header(tmp_path / "a.png", width, height)
    if why is None:
        LIMITS.check_file(path)
        return
    with pytest.raises(ImageError, match=why) as refused:
        LIMITS.check_file(path)
    assert str(tmp_path) not in str(refused.value)


def test_a_bomb_is_not_decoded_to_know_its_size(tmp_path: Path) -> None:
    """400 million pixels of nothing in 50 kilobytes: seconds to decode, a header to refuse."""
    compressor = zlib.compressobj(9)
    row = b"\0" * 2501
    data = b"".join(compressor.compress(row * 100) for _ in range(200)) + compressor.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)), (b"IDAT", data)]
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in [*chunks, (b"IEND", b"")]
        )
    )
    started = time.perf_counter()
    with pytest.raises(ImageError, match="more than 1 million"):
        LIMITS.check_file(path)
    assert time.perf_counter() - started < 0.2  # 1.5 s where it is decoded


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "the file is empty"), (b"x" * 1_000_001, r"the file has 1 MB, more than 1")],
)
def test_length(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=why):
        LIMITS.check_file(path)


def test_what_pillow_does_not_open_is_left_to_its_reader(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), dtype=np.uint8))
    LIMITS.check_file(tmp_path / "a.npy")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    LIMITS.check_file(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        (r"C:\Users\ann\tom.jpg", "tom.jpg"),
        ("/", "image"),
        ("...", "image"),
        ("", "image"),
        ("a\n\x1b[31mb.png", "a[31mb.png"),
        ('<img src=x onerror="1">.png', "img src=x onerror=1.png"),
        ("Grüße 猫.webp", "Grüße 猫.webp"),
        ("a" * 300 + ".png", "a" * 77 + ".png"),
        ("a." + "b" * 300, "." + "b" * 80),
    ],
)
def test_a_name_is_one_plain_name(sent: str, name: str) -> None:
    assert plain_name(sent) == name
