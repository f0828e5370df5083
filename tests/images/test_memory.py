"""Memory: who gets it in which order, and that decoders take no more than is asked for."""

import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from PIL import Image

from gradbox.images import batches, decode
from gradbox.images.batches import Failed, Loaded, load_batches
from gradbox.images.cost import decoding_bytes
from gradbox.images.memory import Budget
from gradbox.images.pillow import open_by_pillow
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.read import open_image
from gradbox.localization import Sample

SMALL = Preprocessing(size=(8, 8))


def gray(i: int) -> np.ndarray:
    return np.full((10, 12, 3), i, dtype=np.uint8)


def test_memory_goes_to_the_images_in_their_order() -> None:
    """The third needs least and asks first; it gets its bytes when the two before have theirs."""
    budget = Budget(100)
    shares = [budget.share() for _ in range(3)]
    got: list[int] = []

    def take(i: int, size: int) -> None:
        shares[i].take(size)
        got.append(i)

    threads = [Thread(target=take, args=(i, size)) for i, size in ((2, 1), (1, 60), (0, 60))]
    for thread in threads:
        thread.start()
    threads[2].join(10)
    assert got == [0]  # 60 of 100 are given, the second needs 60 more
    shares[0].close()
    for thread in threads:
        thread.join(10)
    assert got == [0, 1, 2]


def test_an_image_that_lacks_what_earlier_ones_keep_is_not_waited_for() -> None:
    budget = Budget(100)
    first, second = budget.share(), budget.share()
    with ThreadPoolExecutor(1) as pool:
        with first:
            first.take(70)
            first.keep(np.zeros(50, dtype=np.uint8))
        waiting: Future[None] = pool.submit(second.take, 51)
        assert not budget.wait(second, waiting)  # 50 are kept, 50 are free
        first.close()
        assert budget.wait(second, waiting)


def test_who_asks_for_more_than_there_is_gets_all_of_it() -> None:
    budget = Budget(100)
    share = budget.share()
    share.take(10**12)
    assert share.asked == 100


def test_a_closed_budget_lets_nobody_wait() -> None:
    budget = Budget(100)
    first, second = budget.share(), budget.share()
    first.take(100)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.take, 1)
        budget.close()
        assert waiting.exception(10) is not None


def test_a_batch_of_images_that_are_kept_ends_where_the_memory_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By hand: 10 x 12 pixels take 840 bytes while they are loaded, and 360 while they are kept.

    With 1,600 bytes a third image still finds 880 beside two that are kept, a fourth only 520.
    """
    monkeypatch.setattr(batches, "Budget", lambda: Budget(1600))
    samples = [Sample(image_id=str(i), source=gray(i)) for i in range(8)]
    sizes, before = [], None
    for batch in load_batches(samples, SMALL, batch_size=5, workers=3, keep_originals=True):
        assert before is None or before.original is None  # it was dropped for this batch
        sizes.append(len(batch))
        for one in batch:
            assert isinstance(one, Loaded)
            np.testing.assert_array_equal(one.original, gray(int(one.sample.image_id)))
            before = one
    assert sizes == [3, 3, 2]


def test_images_that_fail_take_their_turn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "Budget", lambda: Budget(900))
    sources = [gray(0), "missing.png", np.zeros((2, 2, 3), np.float32), gray(3)]
    samples = [Sample(image_id=str(i), source=source) for i, source in enumerate(sources * 5)]
    found = [one for batch in load_batches(samples, SMALL, batch_size=3) for one in batch]
    assert [isinstance(one, Failed) for one in found] == [False, True, True, False] * 5


def test_a_loader_that_is_left_early_ends_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second image waits for memory that the first one keeps, and nobody will ask for it."""
    monkeypatch.setattr(batches, "Budget", lambda: Budget(900))
    samples = [Sample(image_id=str(i), source=gray(i)) for i in range(9)]
    loaded = load_batches(samples, SMALL, batch_size=3, keep_originals=True)
    next(loaded)
    loaded.close()  # type: ignore[attr-defined]


def png(path: Path, side: int, bits: int, colour: int, channels: int) -> None:
    """A black PNG written by hand, whose file is a thousandth of its pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = zlib.compressobj()
    data = [rows.compress(bytes(1 + side * channels * bits // 8)) for _ in range(side)]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0))
    body = chunk(b"IDAT", b"".join([*data, rows.flush()]))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))


def large_files(folder: Path, side: int) -> list[Path]:
    """One file of each kind that is decoded in its own way."""
    kinds = {"gray16": (16, 0, 1), "rgb16": (16, 2, 3), "la16": (16, 4, 2), "rgba16": (16, 6, 4)}
    for name, header in kinds.items():
        png(folder / f"{name}.png", side, *header)
    rgb = Image.new("RGB", (side, side), (10, 200, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, options in {
        "a.jpg": {},
        "turned.jpg": {"exif": exif},
        "progressive.jpg": {"progressive": True, "subsampling": 0},
        "a.png": {},
        "a.bmp": {},
        "a.webp": {"lossless": True, "method": 0},
        "turned.tif": {"exif": exif},
        "strips.tif": {"compression": "tiff_adobe_deflate"},
        "strip.tif": {"compression": "tiff_adobe_deflate", "tiffinfo": {278: side}},
    }.items():
        rgb.save(folder / name, **options)
    rgb.convert("RGBA").save(folder / "rgba.png")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    palette = Image.new("P", (side, side), 3)
    palette.save(folder / "a.gif")
    palette.save(folder / "palette.png", transparency=3)
    zeros = np.zeros((side, side), np.float32)
    Image.fromarray(zeros).save(folder / "f.tif", compression="tiff_adobe_deflate")
    cv2.imwrite(str(folder / "rgb16.tif"), np.zeros((side, side, 3), np.uint16))
    return sorted(folder.iterdir())


def peak(path: Path | None) -> int:
    """Bytes at the peak of a process of its own that decodes this file."""
    child = os.fork()
    if not child:
        try:
            if path is not None:
                decode.decode(path)
        finally:
            os._exit(0)
    return 1024 * os.wait4(child, 0)[2].ru_maxrss


PEAKS = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
import test_memory
from gradbox.images import decode
decode.load_rgb(Path(sys.argv[2]))  # what is imported or allocated once
for path in sys.argv[2:]:
    print(path, test_memory.peak(Path(path)) - test_memory.peak(None))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of forked processes")
def test_decoders_take_what_is_asked_for(tmp_path: Path) -> None:
    """The measured peak of each kind of file is at most the estimate, but for 40 MB of blocks."""
    files = large_files(tmp_path, 4000)
    words = [sys.executable, "-c", PEAKS, str(Path(__file__).parent), *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    measured = {Path(path): int(size) for path, size in map(str.split, done.stdout.splitlines())}
    assert list(measured) == files
    for path, size in measured.items():
        with open_image(path) as stream:
            asked = decoding_bytes(open_by_pillow(stream), 1, stream.size)
        assert size <= asked + 40e6, f"{path.name}: {size:,} bytes, asked for {asked:,}"
        assert asked <= 2 * size + 40e6, f"{path.name}: {size:,} bytes, asked for {asked:,}"


LOCATE = """
import sys
from pathlib import Path
import gradbox
from gradbox.images.find import find_images
from gradbox.runs.execution import Running
model, photos, out = sys.argv[1:]
report = gradbox.locate(
    find_images([Path(photos)]),
    gradbox.load_classifier(model, device="cpu"),
    Path(out),
    running=Running(pictures=True, workers=4),
)
print(*sorted(report.failures))
"""


def peak_of_call(*words: object) -> tuple[int, list[str]]:
    """Bytes at the peak of `locate`, and the images that failed."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCATE, *map(str, words)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    process.stdout.close()
    return 1024 * used.ru_maxrss, printed.decode().split()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of processes")
def test_pixel_bombs_and_large_photographs_take_a_bounded_memory(
    card: Path, tmp_path: Path
) -> None:
    """13,000 x 13,000 pixels of each kind among JPEGs of 12 million: 1 GB above small ones at most.

    Refused is what no decoder reads in less: WebP with 16 bytes a pixel, all coefficients of a
    progressive JPEG (6), a compressed TIFF in one strip, and a TIFF turned by Pillow (8 each).
    """
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (75, 100, 3), np.uint8), (4000, 3000))
    for folder in ("small", "large"):
        (tmp_path / folder).mkdir()
    large_files(tmp_path / "large", 13_000)
    for i in range(40):
        small = Image.fromarray(cv2.resize(photo, (500, 375)))
        small.save(tmp_path / "small" / f"{i}.jpg")
        if i < 20:
            Image.fromarray(photo).save(tmp_path / "large" / f"{i}.jpg")
    usual, none = peak_of_call(card, tmp_path / "small", tmp_path / "a")
    most, refused = peak_of_call(card, tmp_path / "large", tmp_path / "b")
    assert none == []
    assert refused == ["a.webp", "progressive.jpg", "strip.tif", "turned.tif"]
    assert most - usual < 1e9, f"{usual:,} bytes for small images, {most:,} for large ones"
