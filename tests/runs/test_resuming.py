"""Repeated calls: what is new or changed is done, what is gone is said, nothing else is touched."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeLocalizer
from PIL import Image

import gradbox
from gradbox.images.find import find_images
from gradbox.localization import Batch, Found
from gradbox.runs.execution import Report, Running


class Counting(FakeLocalizer):
    """The fake, and the images that it was given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(0.5, **options)
        self.seen: list[str] = []

    def localize(self, batch: Batch, *, details: bool = False) -> list[Found]:
        self.seen += batch.image_ids
        return list(super().localize(batch, details=details))


def locate(folder: Path, network: gradbox.Classifier, **how: Any) -> tuple[Report, list[str]]:
    """The same call each time, with the real method; and which images it had to decode."""
    out = folder.parent / "out"
    before = _lines(out)
    report = gradbox.locate(find_images([folder]), network, out, running=Running(**how))
    return report, [image for image, text in _lines(out).items() if before.get(image) != text]


def _lines(out: Path) -> dict[str, str]:
    path = out / "predictions.jsonl"
    texts = path.read_text("utf-8").splitlines() if path.exists() else []
    return {json.loads(text)["image"]: text for text in texts}


def test_a_renamed_image_is_new_and_its_old_name_gone(
    ten: Path, network: gradbox.Classifier
) -> None:
    locate(ten, network)
    before = _lines(ten.parent / "out")
    (ten / "0.png").rename(ten / "z.png")
    report, made = locate(ten, network)
    assert (report.n_images, report.gone, made) == (10, ("0.png",), ["z.png"])
    after = _lines(ten.parent / "out")
    assert len(after) == 11
    assert {image: after[image] for image in before} == before
    again, made = locate(ten, network)
    assert (again.gone, made) == (("0.png",), [])


def test_new_images_are_done_by_the_same_call(ten: Path, network: gradbox.Classifier) -> None:
    locate(ten, network)
    shutil.copy(ten / "3.png", ten / "33.png")
    report, made = locate(ten, network)
    assert (report.n_images, made) == (11, ["33.png"])
    assert list(_lines(ten.parent / "out")) == sorted(_lines(ten.parent / "out"))


def test_an_image_that_was_replaced_is_done_again(ten: Path, network: gradbox.Classifier) -> None:
    locate(ten, network)
    Image.new("RGB", (50, 40), "red").save(ten / "3.png")
    _, made = locate(ten, network)
    assert made == ["3.png"]
    assert json.loads(_lines(ten.parent / "out")["3.png"])["width"] == 50


def test_a_touched_image_is_not_done_again_and_verify_finds_a_hidden_change(
    ten: Path, network: gradbox.Classifier
) -> None:
    locate(ten, network)
    os.utime(ten / "3.png", (1, 1))
    assert locate(ten, network)[1] == []
    # The same size and time, another content: only the hash can tell.
    content, stat = bytearray((ten / "4.png").read_bytes()), (ten / "4.png").stat()
    content[-8] ^= 1
    (ten / "4.png").write_bytes(content)
    os.utime(ten / "4.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert locate(ten, network)[1] == []
    seen = _hashes(ten.parent / "out")["4.png"]
    locate(ten, network, verify=True)
    assert _hashes(ten.parent / "out")["4.png"] != seen


def _hashes(out: Path) -> dict[str, str]:
    lines = (out / "images.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_what_could_not_be_read_is_tried_again_and_other_failures_on_request(
    ten: Path, network: gradbox.Classifier
) -> None:
    samples = find_images([ten])
    (ten / "5.png").rename(ten.parent / "away.png")
    (ten / "6.png").write_bytes(b"no image")
    out = ten.parent / "out"
    report = gradbox.locate(samples, network, out)
    assert set(report.failures) == {"5.png", "6.png"}
    (ten.parent / "away.png").rename(ten / "5.png")
    assert set(gradbox.locate(samples, network, out).failures) == {"6.png"}
    # A failure of the method is final until it is asked for again.
    fake = Counting(failing=("7.png",))
    other = ten.parent / "other"
    gradbox.locate(samples, network, other, method=fake)


def test_an_input_folder_that_was_away_leaves_no_error(
    ten: Path, network: gradbox.Classifier
) -> None:
    samples, out = find_images([ten]), ten.parent / "out"
    gradbox.locate(samples, network, out)
    before = _lines(out)
    ten.rename(ten.parent / "elsewhere")
    assert not gradbox.locate(samples, network, out).failures
    assert _lines(out) == before
    (ten.parent / "elsewhere").rename(ten)
    assert not gradbox.locate(samples, network, out).failures


def test_a_result_is_not_lost_when_its_picture_or_map_cannot_be_made(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    samples, out = find_images([ten]), ten.parent / "out"
    gradbox.locate(samples, network, out)
    before = _lines(out)
    ten.rename(ten.parent / "elsewhere")
    running = Running(pictures=True, save_maps=tmp_path / "maps")
    report = gradbox.locate(samples, network, out, running=running)
    assert (report.failures, _lines(out)) == ({}, before)
    (ten.parent / "elsewhere").rename(ten)
    gradbox.locate(samples, network, out, running=running)
    assert _lines(out) == before
    assert (
        len(gradbox.open_maps(tmp_path / "maps")) == len(list((out / "pictures").iterdir())) == 10
    )


def test_a_touched_image_needs_no_new_map(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    running = Running(save_maps=tmp_path / "maps")
    gradbox.locate(find_images([ten]), network, ten.parent / "out", running=running)
    parts = len(list((tmp_path / "maps" / "parts").iterdir()))
    os.utime(ten / "3.png", (1, 1))
    gradbox.locate(find_images([ten]), network, ten.parent / "out", running=running)
    assert len(list((tmp_path / "maps" / "parts").iterdir())) == parts


@pytest.mark.slow
def test_classes_that_were_edited_are_located_anew(
    discs: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    def names() -> list[str]:
        dataset = gradbox.load_dataset(f"csv:{discs}")
        gradbox.evaluate(dataset, network, tmp_path / "out", class_from="truth")
        return [json.loads(text)["names"][0] for text in _lines(tmp_path / "out").values()]

    assert names() == ["disc"] * 24
    table = discs / "boxes.csv"
    table.write_text(table.read_text().replace("03.png,100,80,disc", "03.png,100,80,bar"))
    assert names() == [*["disc"] * 3, "bar", *["disc"] * 20]


@pytest.mark.slow
def test_boxes_that_were_edited_are_learned_anew(
    discs: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    halves = gradbox.Part(shares=(0.5, 0.5), number=2)

    def compared() -> float:
        report = gradbox.compare(
            gradbox.load_dataset(f"csv:{discs}"),
            [network],
            tmp_path / "out",
            runs=["sensitivity | ridge(grid=4)"],
            part=halves,
        )
        assert report.metrics is not None
        return float(report.metrics["runs"][0]["mean_iou"])

    first = compared()
    assert compared() == first
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/boxes").iterdir()}
    assert compared() == first
    assert all(path.stat().st_mtime_ns == before for path, before in files.items())
    table = discs / "boxes.csv"
    head, *rows = table.read_text().splitlines()
    moved = [",".join([*row.split(",")[:4], "0", "0", "9", "9"]) for row in rows]
    table.write_text("\n".join([head, *moved]) + "\n")
    assert compared() != first
    assert all(path.stat().st_mtime_ns != before for path, before in files.items())


def test_maps_of_another_label_are_not_overwritten(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    running = Running(save_maps=tmp_path / "maps")
    samples = find_images([ten])
    gradbox.locate(samples, network, tmp_path / "a", labels=["disc"], running=running)
    first = gradbox.open_maps(tmp_path / "maps")["0.png"]
    gradbox.locate(samples, network, tmp_path / "a", labels=["disc"], running=running)
    np.testing.assert_array_equal(gradbox.open_maps(tmp_path / "maps")["0.png"], first)
    with pytest.raises(gradbox.UsageError, match="give another --save-maps"):
        gradbox.locate(samples, network, tmp_path / "b", labels=["bar"], running=running)
    np.testing.assert_array_equal(gradbox.open_maps(tmp_path / "maps")["0.png"], first)


@pytest.mark.slow
def test_a_repeated_comparison_still_scores_its_maps(
    discs: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    def compared(*more: str) -> dict[str, Any]:
        report = gradbox.compare(
            gradbox.load_dataset(f"csv:{discs}"),
            [network],
            tmp_path / "out",
            runs=["sensitivity | mass", *more],
            part=gradbox.Part(limit=6),
            running=Running(save_maps=tmp_path / "maps"),
        )
        assert report.metrics is not None
        return dict(report.metrics["wsol"])

    first = compared()
    assert list(first) == ["sensitivity"]
    assert compared() == first
    more = compared("sensitivity(reduce=max) | mass")
    assert more["sensitivity"] == first["sensitivity"]
    assert len(more) == 2


def test_pictures_that_is_a_file_is_refused_before_the_work(
    ten: Path, network: gradbox.Classifier
) -> None:
    locate(ten, network)
    (ten.parent / "out" / "pictures").write_text("")
    with pytest.raises(gradbox.UsageError, match="is a file: pictures need a folder"):
        locate(ten, network, pictures=True)


def test_pictures_below_the_input_are_no_input(ten: Path, network: gradbox.Classifier) -> None:
    out = ten / "results"
    for _ in range(2):
        samples = find_images([ten], apart_from=out)
        report = gradbox.locate(samples, network, out, running=Running(pictures=True))
        assert report.n_images == 10


@pytest.mark.slow
def test_two_processes_in_one_folder(ten: Path, card: Path, tmp_path: Path) -> None:
    """The second one is refused and loses nothing: it ends with 2 while the first one works."""
    call = ["locate", str(ten), "--model", str(card), "--out", str(tmp_path / "out")]
    call += ["--method", "sensitivity"]
    holder = (
        "import pathlib, time\nfrom gradbox.results.lock import held\n"
        f"with held(pathlib.Path({str(tmp_path / 'out')!r})):\n print('held', flush=True)\n"
        " time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = subprocess.run(
            [sys.executable, "-m", "gradbox.cli", *call],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 2
        assert f"is being written by process {first.pid}" in second.stderr
        first.kill()
    started = time.monotonic()
    third = subprocess.run([sys.executable, "-m", "gradbox.cli", *call], check=False)
    assert third.returncode == 0
    assert time.monotonic() - started < 60
    assert len(_lines(tmp_path / "out")) == 10
