"""Loading ahead of the model: order, bounds, and images that cannot be read."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradbox.files import hash_bytes, hash_file
from gradbox.images import batches, decode, sources
from gradbox.images.batches import BATCHES_AHEAD, Failed, Loaded, load, load_batches, to_batch
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.reading import NOTHING_SAID, Reading
from gradbox.localization import Sample

SMALL = Preprocessing(size=(8, 8))


def gray(i: int) -> np.ndarray:
    return np.full((10, 12, 3), i, dtype=np.uint8)


def test_batches_come_in_order_with_the_last_one_short() -> None:
    samples = [Sample(image_id=str(i), source=gray(i)) for i in range(11)]
    batches = list(load_batches(samples, SMALL, batch_size=4, workers=3))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    loaded = [one for batch in batches for one in batch]
    assert [int(one.pixels[0, 0, 0]) for one in loaded if isinstance(one, Loaded)] == list(
        range(11)
    )


def test_memory_is_bounded_however_many_images_there_are() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def make(i: int) -> np.ndarray:
        with lock:
            started.append(i)
        return gray(0)

    endless = (Sample(image_id=str(i), source=lambda i=i: make(i)) for i in range(10**9))
    batches = load_batches(endless, SMALL, batch_size=2, workers=2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(started) == len(set(started)) <= 2 * BATCHES_AHEAD


def test_a_constant_image_is_blank_and_a_size_that_differs_fails(tmp_path: Path) -> None:
    one = load(Sample(image_id="a", source=gray(7)), SMALL)
    assert isinstance(one, Loaded)
    assert one.blank
    wrong = load(Sample(image_id="a", source=gray(7), size=(12, 10)), SMALL)
    assert isinstance(wrong, Failed)
    assert "10 x 12" in str(wrong.error)
    assert "12 x 10" in str(wrong.error)


def test_hashes_are_those_of_the_file_or_of_the_pixels(assets: Path) -> None:
    image = sorted((assets / "data" / "raccoon" / "images").iterdir())[0]
    one = load(Sample(image_id="a", source=image), SMALL)
    two = load(Sample(image_id="b", source=gray(3)), SMALL)
    assert isinstance(one, Loaded)
    assert isinstance(two, Loaded)
    assert one.sha256 == hash_file(image)
    assert two.sha256 == hash_bytes(gray(3).tobytes())


def test_an_error_of_the_program_is_not_hidden() -> None:
    def broken() -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load(Sample(image_id="a", source=broken), SMALL)


def test_a_batch_gives_its_originals_at_another_size_and_region() -> None:
    """By another way: the same image loaded at that size, and its part cut out before."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    sample = Sample(image_id="a", source=rgb)
    small, large = Preprocessing(size=(32, 32)), Preprocessing(size=(48, 40))
    loaded = load(sample, small, keep_original=True)
    assert isinstance(loaded, Loaded)
    batch = to_batch([loaded])
    again = load(sample, large)
    assert isinstance(again, Loaded)
    view = batch.view(large)
    np.testing.assert_array_equal(view.pixels[0].numpy(), again.pixels)
    assert view.frames == (again.frame,)
    part = load(Sample(image_id="b", source=rgb[10:40, 20:60].copy()), small)
    assert isinstance(part, Loaded)
    zoomed = batch.view(small, [np.array([20.0, 10.0, 60.0, 40.0])])
    # Resampling at the cut sees neighbours that the cut-out does not have.
    inner = np.s_[:, 3:-3, 3:-3]
    np.testing.assert_allclose(zoomed.pixels[0].numpy()[inner], part.pixels[inner], atol=1)
    box = zoomed.frames[0].to_original(np.array([[0.0, 0.0, 32.0, 32.0]]))
    np.testing.assert_allclose(box, [[20, 10, 60, 40]])
    assert zoomed.memo is not batch.memo
    assert batch.asking([(1,)]).memo is batch.memo


def test_without_the_originals_a_view_says_what_is_missing() -> None:
    sample = Sample(image_id="a", source=np.zeros((8, 8, 3), dtype=np.uint8))
    loaded = load(sample, Preprocessing(size=(8, 8)))
    assert isinstance(loaded, Loaded)
    with pytest.raises(ValueError, match="needs_originals"):
        to_batch([loaded]).view(Preprocessing(size=(4, 4)))


def test_a_view_of_a_very_large_image_is_in_its_own_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded at half its size, it is seen as at its full size, within rounding."""
    rows, columns = np.mgrid[0:60, 0:80] / 80
    rgb = (np.stack([rows, columns, 1 - columns], axis=2) * 255).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    sample = Sample(image_id="a", source=tmp_path / "a.png", size=(60, 80))
    full = load(sample, SMALL, keep_original=True)
    monkeypatch.setattr(sources, "FULL_PIXELS", 2000)
    half = load(sample, SMALL, keep_original=True)
    assert isinstance(full, Loaded)
    assert isinstance(half, Loaded)
    assert half.original is not None
    assert half.original.shape == (30, 40, 3)
    assert half.frame == full.frame
    assert half.sha256 == full.sha256
    region = [np.array([20.0, 10.0, 60.0, 40.0])]
    for regions in (None, region):
        expected, seen = (to_batch([one]).view(SMALL, regions) for one in (full, half))
        assert seen.frames == expected.frames
        difference = seen.pixels.numpy().astype(int) - expected.pixels.numpy()
        assert np.abs(difference).max() <= 3


def test_an_image_that_is_deleted_while_it_is_decoded_is_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pixels were read, but the file that they came from can no longer be named by its hash."""
    for name in "abc":
        Image.fromarray(gray(1)).save(tmp_path / f"{name}.png")
    read = Image.Image.load

    def delete(image: Image.Image) -> object:
        (tmp_path / "b.png").unlink(missing_ok=True)
        return read(image)

    monkeypatch.setattr(Image.Image, "load", delete)
    samples = [Sample(image_id=name, source=tmp_path / f"{name}.png") for name in "bac"]
    ((first, *others),) = load_batches(samples, SMALL, batch_size=4, workers=1)
    assert isinstance(first, Failed)
    assert str(first.error) == "there is no such file"
    assert first.error.image_id == "b"
    assert all(isinstance(one, Loaded) for one in others)


def test_too_little_memory_while_an_image_is_resized_is_its_own_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", fail)
    one = load(Sample(image_id="a", source=gray(7)), SMALL)
    assert isinstance(one, Failed)
    assert one.error.image_id == "a"
    assert "not enough memory" in str(one.error)


def photograph(path: Path, size: tuple[int, int], **options: object) -> Path:
    """Coarse noise of this (width, height), which half the pixels show as well."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("size", "step"),
    # At least twice the input of 32 stays, and no half pixel: 300 / 8 is none, 1100 / 8 neither.
    [((126, 160), 1), ((128, 160), 2), ((300, 260), 4), ((1100, 900), 4), ((904, 1104), 8)],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_reduced_jpeg_is_the_same_input_within_rounding(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    step: int,
    orientation: int,
) -> None:
    """Frame and hash are those of the file, also of one that is turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photograph(tmp_path / "a.jpg", size, exif=exif, quality=95)
    upright = (size[1], size[0]) if orientation == 1 else size
    seen = Preprocessing(size=(32, 32))
    sample = Sample(image_id="a", source=path, size=upright)
    shapes = []
    made = decode.decode

    def spied(*given: object, **more: object) -> decode.Decoded:
        found = made(*given, **more)
        shapes.append(found.pixels.shape[:2])
        return found

    monkeypatch.setattr(batches, "decode", spied)
    whole, reduced = load(sample, seen), load(sample, replace(seen, reduced=True))
    kept = load(sample, replace(seen, reduced=True), keep_original=True)
    assert shapes[0] == shapes[2] == upright  # what is kept for other views stays whole
    assert shapes[1] == tuple(length // step for length in upright)
    for one in (whole, reduced, kept):
        assert isinstance(one, Loaded)
        assert one.frame == whole.frame
        assert one.sha256 == whole.sha256
    assert np.abs(reduced.pixels.astype(int) - whole.pixels).max() <= 2
    np.testing.assert_array_equal(kept.pixels, whole.pixels)


def test_only_jpegs_of_which_nothing_is_measured_are_reduced(tmp_path: Path) -> None:
    """A PNG is not decoded faster; and percentiles are of the image as it is."""
    photograph(tmp_path / "a.jpg", (512, 512))
    photograph(tmp_path / "a.png", (512, 512))
    measured = Reading.of_texts(None, "percentile(1, 99)", None)
    sizes = {
        (name, bool(reading)): decode.decode(
            tmp_path / name, reading=reading, enough=64
        ).pixels.shape[0]
        for name in ("a.jpg", "a.png")
        for reading in (NOTHING_SAID, measured)
    }
    assert sizes == {
        ("a.jpg", False): 64,
        ("a.jpg", True): 512,
        ("a.png", False): 512,
        ("a.png", True): 512,
    }


def test_reduced_is_said_where_it_is_so() -> None:
    """Then run folders and fitted boxes tell it from what was there before."""
    usual = Preprocessing()
    assert "reduced" not in str(usual)
    assert "reduced" not in usual.about
    assert str(replace(usual, reduced=True)) == f"{usual}, reduced"
    assert replace(usual, reduced=True).about == {**usual.about, "reduced": True}


def test_a_batch_size_that_changes_holds_from_the_next_batch_on() -> None:
    samples = [Sample(image_id=str(i), source=np.zeros((4, 4, 3), np.uint8)) for i in range(12)]
    sizes = iter([1, 2, 4, 2, 3, 9])
    found = [len(one) for one in load_batches(samples, SMALL, batch_size=lambda: next(sizes))]
    assert found == [1, 2, 4, 2, 3]


def test_pixels_for_a_gpu_are_pinned_and_copied_beside_the_computing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a stand-in, as there may be no GPU: `pin_memory` is asked for, and only then."""
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda one: pinned.append(one) or one)
    loaded = load(Sample(image_id="a", source=gray(1)), SMALL)
    assert isinstance(loaded, Loaded)
    to_batch([loaded])
    assert not pinned
    batch = to_batch([loaded], pinned=True)
    assert [one.data_ptr() for one in pinned] == [batch.pixels.data_ptr()]
