"""Files that nobody should have called an image: each an error of that image, the others done."""

import io
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gradbox
from gradbox.attribution.class_maps import ClassMaps
from gradbox.errors import ImageError, UsageError
from gradbox.images import decode
from gradbox.images.decode import load_rgb
from gradbox.images.find import find_images
from gradbox.localization import Batch, Sample
from gradbox.models.load import load_classifier


@pytest.fixture
def network(card: Path) -> gradbox.Classifier:
    return load_classifier(str(card), device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good image first and last."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "z.png"):
        picture(tmp_path / "in" / name)
    return tmp_path / "in"


def picture(path: Path | bytes) -> None:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    with open(path, "wb") as file:
        file.write(stream.getvalue())


NAMES = [b"line\nfeed-latin-\xe4.png"]
MORE_NAMES = [b"line\nfeed.png", b"latin-\xe4.png", b"\xe2\x80\xa8.png", b"\xc2\x85.png",
              b"\x1d.png", b"\x0b.png", b"\x1b[31mred.png", b"%s.png" % (b"x" * 240)]  # fmt: skip


@pytest.mark.parametrize(
    "name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_NAMES)]
)
def test_any_name_is_located_evaluated_and_drawn(
    name: bytes, folder: Path, card: Path, tmp_path: Path
) -> None:
    picture(os.path.join(os.fsencode(folder), name))
    call = ["locate", str(folder), "--model", str(card), "--out", str(tmp_path / "out")]
    call += ["--method", "sensitivity"]
    for _ in range(2):  # also when it goes on
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "gradbox.cli",
                *call,
                "--pictures",
                "--format",
                "csv,coco,yolo,voc",
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"\x1b[31mred" not in done.stdout + done.stderr
    lines = (tmp_path / "out" / "predictions.jsonl").read_bytes().splitlines()
    assert len(lines) == len({json.loads(line)["image"] for line in lines}) == 3
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 3


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "a\0.png"])
def test_an_id_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"outside the images|can name no file"):
        Sample(image_id=name, source="x")


def test_pipes_and_devices_are_no_images(
    folder: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    report = gradbox.locate(find_images([folder]), network, tmp_path / "out")
    reason = "this is a pipe or a device, not an image file"
    assert report.failures == {"pipe.png": reason, "zero.png": reason}
    assert report.n_images == 4


def test_an_image_that_is_deleted_meanwhile_is_its_own_error(
    folder: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    picture(folder / "b.png")
    samples = find_images([folder])
    (folder / "b.png").unlink()
    report = gradbox.locate(samples, network, tmp_path / "out")
    assert report.failures == {"b.png": "there is no such file"}


def test_a_network_that_raises_for_one_image_does_the_others(
    folder: Path, network: gradbox.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = ClassMaps.maps

    def raising(self: ClassMaps, batch: Batch) -> Any:
        if "b.png" in batch.image_ids:
            raise RuntimeError("no kernel for this one")
        return inner(self, batch)

    picture(folder / "b.png")
    monkeypatch.setattr(ClassMaps, "maps", raising)
    report = gradbox.locate(find_images([folder]), network, tmp_path / "out")
    assert report.failures == {"b.png": "the method failed: RuntimeError: no kernel for this one"}


def test_no_memory_for_one_image_is_its_error(
    folder: Path, network: gradbox.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = decode.is_blank

    def failing(rgb: np.ndarray) -> bool:
        if rgb.shape[0] == 77:
            raise MemoryError
        return inner(rgb)

    Image.new("RGB", (50, 77)).save(folder / "b.png")
    monkeypatch.setattr("gradbox.images.batches.is_blank", failing)
    report = gradbox.locate(find_images([folder]), network, tmp_path / "out")
    assert list(report.failures) == ["b.png"]
    assert "memory" in report.failures["b.png"]


def test_an_error_knows_its_image(folder: Path, network: gradbox.Classifier) -> None:
    (folder / "b.png").write_bytes(b"")
    with pytest.raises(ImageError) as raised:
        gradbox.localize(folder / "b.png", network)
    assert raised.value.image_id == str(folder / "b.png")


def bomb(path: Path, side: int) -> None:
    """A 16-bit PNG of one value: hardly any bytes on disk, eight for each pixel as RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    header = pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = b"\0" + b"\x30\x39" * (4 * side)
    body = b"".join([packer.compress(row) for _ in range(side)]) + packer.flush()
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


MEASURE = """
import resource, sys
from pathlib import Path
from gradbox.images.batches import load_batches
from gradbox.images.find import find_images
from gradbox.images.preprocessing import Preprocessing
for batch in load_batches(find_images([Path(sys.argv[1])]), Preprocessing(), batch_size=16):
    for one in batch:
        if hasattr(one, "error"): print(one.error, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(folder: Path) -> float:
    """Megabytes of a process that loads a folder."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pixel bombs", "large photographs"])
def test_memory_is_bounded_whatever_the_images(kind: str, tmp_path: Path) -> None:
    """At most 1 GB above the same call on 500-pixel photographs."""
    for name in ("small", "large"):
        (tmp_path / name).mkdir()
    photo = Image.effect_noise((500, 375), 60).convert("RGB")
    for i in range(24):
        photo.save(tmp_path / "small" / f"{i}.jpg")
    if kind == "pixel bombs":
        for i in range(3):
            bomb(tmp_path / "large" / f"{i}.png", 13_000)
        assert (tmp_path / "large" / "0.png").stat().st_size < 3e6
    else:
        large = photo.resize((4000, 3000))
        for i in range(24):
            large.save(tmp_path / "large" / f"{i}.jpg")
    assert peak(tmp_path / "large") - peak(tmp_path / "small") < 1000


def test_a_picture_of_a_large_image_is_that_of_the_small_one(tmp_path: Path) -> None:
    bomb(tmp_path / "b.png", 64)
    rgb = load_rgb(tmp_path / "b.png")
    assert rgb.shape == (64, 64, 3)
    assert (rgb == rgb[0, 0]).all()


@pytest.mark.timeout(60)
def test_a_file_of_a_terabyte_is_refused_and_not_read_for_its_hash(
    folder: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    with (folder / "b.png").open("wb") as stream:
        stream.truncate(10**12)
    report = gradbox.locate(find_images([folder]), network, tmp_path / "out")
    assert list(report.failures) == ["b.png"]
    assert "1,000,000 MB" in report.failures["b.png"]


def test_a_wrong_call_that_a_batch_tells_of_ends_the_run(
    folder: Path, network: gradbox.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an error of each image: a method that refuses the call refuses it for all."""

    def refusing(self: ClassMaps, batch: Batch) -> Any:
        raise UsageError("use another layer")

    monkeypatch.setattr(ClassMaps, "maps", refusing)
    with pytest.raises(UsageError, match="use another layer"):
        gradbox.locate(find_images([folder]), network, tmp_path / "out")


def test_a_method_that_raises_tells_its_reason_to_python(
    folder: Path, network: gradbox.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(self: ClassMaps, batch: Batch) -> Any:
        raise KeyError("lost")

    monkeypatch.setattr(ClassMaps, "maps", raising)
    paths = [str(folder / name) for name in ("a.png", "z.png")]
    found = list(gradbox.localize(paths, network))
    assert [one.image_id for one in found if isinstance(one, ImageError)] == paths
    assert isinstance(found[0].__cause__, KeyError)
