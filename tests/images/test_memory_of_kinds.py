"""The memory that files of other kinds than pictures take is what they ask for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from kinds import write_dicom, write_fits, write_heic, write_npy, write_tiff

from gradbox.errors import ImageError
from gradbox.images import sources
from gradbox.images.decode import decode
from gradbox.images.reading import Reading

PEAKS = """
import os, sys
from pathlib import Path
from gradbox.images.decode import decode
from gradbox.images.reading import Reading


def look(path, asked):
    channels = 5 if "five" in path else 3
    stack = "max" if "stack" in path else None
    said = Reading(range="percentile(1, 99.8)", stack=stack)
    decode(Path(path), channels=channels, reading=said, take=asked.append)


def peak(path):
    child = os.fork()
    if not child:
        try:
            if path:
                look(path, [])
        finally:
            os._exit(0)
    return 1024 * os.wait4(child, 0)[2].ru_maxrss


for path in sys.argv[1:]:
    look(path.replace("large", "small"), [])  # what is imported or allocated once
for path in sys.argv[1:]:
    used = peak(path) - peak(None)
    asked = []
    look(path, asked)
    print(path, used, *asked)
"""


def write_all(folder: Path, side: int) -> list[Path]:
    """A file of each kind that is loaded in its own way."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 4096, (side, side, 5), dtype=np.uint16)
    one = numbers[..., :1]
    write_tiff(folder / "five.ome.tif", numbers)
    tifffile.imwrite(folder / "zip.tif", numbers[..., 0].astype(np.float64), compression="zlib")
    tifffile.imwrite(folder / "stack.tif", np.moveaxis(numbers, 2, 0), metadata={"axes": "ZYX"})
    write_fits(folder / "a.fits", one.astype(np.float32))
    write_fits(folder / "u.fits", one)
    write_npy(folder / "five.npy", numbers)
    write_dicom(folder / "a.dcm", one, RescaleSlope=2, RescaleIntercept=-1000)
    ramp = np.linspace(0, 255, side * side * 3).reshape(side, side, 3)
    write_heic(folder / "a.heic", ramp.astype(np.uint8))
    return sorted(folder.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of forked processes")
def test_what_is_loaded_takes_what_is_asked_for(tmp_path: Path) -> None:
    """The measured peak is at most what was asked for, but for 40 MB, and no small part of it."""
    write_all(tmp_path / "small", 64)
    files = write_all(tmp_path / "large", 3000)
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, *map(str, files)], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [path for path, *_ in lines] == [str(path) for path in files]
    for path, used, asked in lines:
        assert int(used) <= int(asked) + 40e6, f"{path}: {used} bytes, asked for {asked}"
        assert int(asked) <= 3 * int(used) + 40e6, f"{path}: {used} bytes, asked for {asked}"


def test_what_takes_too_much_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 x 64 x 5 numbers of 2 bytes, the file, and 5 channels of 4 + 24 bytes: 655 kB in all."""
    files = {path.name: path for path in write_all(tmp_path / "files", 64)}
    for budget, fits in ((700_000, True), (600_000, False)):
        monkeypatch.setattr(sources, "BUDGET", budget)
        if fits:
            decode(files["five.npy"], channels=5, steps=(1,))
            continue
        with pytest.raises(ImageError, match=r"64 x 64 pixels and takes .* to decode, more than"):
            decode(files["five.npy"], channels=5, steps=(1,))


def test_a_large_file_becomes_the_means_of_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(0).integers(0, 4096, (40, 60, 2)).astype(np.uint16)
    write_tiff(tmp_path / "a.tif", numbers)
    monkeypatch.setattr(sources, "FULL_PIXELS", 600)
    small = decode(tmp_path / "a.tif", channels=2, reading=Reading(range="0:4096"))
    assert small.size == (40, 60)
    means = numbers.reshape(20, 2, 30, 2, 2).mean(axis=(1, 3)) / 4096 * 255
    np.testing.assert_allclose(small.pixels, means, rtol=1e-5, atol=1e-4)
