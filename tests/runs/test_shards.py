"""Runs in shards: whatever happens and whoever makes them, the parts are the same bytes."""

import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from noise import draw
from PIL import Image

import gradbox
from gradbox.errors import GradboxWarning
from gradbox.images.find import find_images
from gradbox.localization import Localization
from gradbox.models.load import load_classifier
from gradbox.results.finished import open_finished
from gradbox.results.parquet import DamagedError, decode, encode
from gradbox.results.place import remove_run
from gradbox.results.sharded import ShardedRun
from gradbox.runs.batch_size import BatchSize
from gradbox.runs.engines import Local
from gradbox.runs.execution import Report, Running
from gradbox.stores import open_store

SIZE = 4
OWN = '''
from dataclasses import dataclass

from gradbox.attribution.maps import LabelledMap
from gradbox.attribution.method import MapMethod


@dataclass(frozen=True)
class Maps:
    def maps(self, batch):
        grey = batch.pixels.float().mean(dim=1) / 255
        return [[LabelledMap(None, 1.0, one.numpy())] for one in grey]


@dataclass(frozen=True)
class Brightness(MapMethod):
    """How bright each pixel is."""

    class_from = "none"
    needs_class = False

    def maps(self, classifier):
        return Maps()
'''


def locate(
    folder: Path,
    network: gradbox.Classifier,
    out: Path,
    shard: int | None = SIZE,
    method: str = "sensitivity",
    **how: Any,
) -> Report:
    running = Running(**{"shard": shard, "batch_size": 2, **how})
    return gradbox.locate(find_images([folder]), network, out, method=method, running=running)


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "shards").iterdir())}


def run(out: Path) -> ShardedRun:
    found = open_finished(out)
    assert isinstance(found, ShardedRun)
    return found


def test_the_parts_hold_the_lines_that_a_run_without_shards_has(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    (ten / "5.png").write_bytes(b"no image")
    locate(ten, network, tmp_path / "lines", shard=None, masks=True)
    report = locate(ten, network, tmp_path / "shards", masks=True)
    texts = (tmp_path / "lines" / "predictions.jsonl").read_text("utf-8").splitlines()
    found = run(tmp_path / "shards")
    lines = [line for number in range(3) for line in found.lines(number)]
    assert lines == [json.loads(text) for text in texts]
    assert (report.n_images, report.failures.count, list(report.failures)) == (10, 1, ["5.png"])
    assert [len(found.lines(number)) for number in range(3)] == [4, 4, 2]
    kept = dict(found.digests())
    assert kept.keys() == {f"{i}.png" for i in range(10)}  # its file could be read, no image


def stopping_after(count: int) -> Any:
    """A track that is stopped by Ctrl-C after so many batches."""

    def track(groups: Iterable[Any], _count: int, _title: str) -> Iterator[Any]:
        for number, group in enumerate(groups):
            if number == count:
                raise KeyboardInterrupt
            yield group

    return track


@pytest.mark.parametrize("count", range(7))
def test_a_run_that_was_stopped_anywhere_ends_with_the_same_bytes(
    ten: Path, network: gradbox.Classifier, tmp_path: Path, count: int
) -> None:
    # ten images in batches of two: 2 + 2 + 1 batches, and a step at the end of each shard
    locate(ten, network, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        locate(ten, network, tmp_path / "stopped", track=stopping_after(count))
    before = parts(tmp_path / "stopped") if (tmp_path / "stopped" / "shards").exists() else {}
    assert len(before) == (count >= 2) + (count >= 5)
    locate(ten, network, tmp_path / "stopped")
    assert parts(tmp_path / "stopped") == parts(tmp_path / "whole")


def test_new_images_make_new_shards_and_no_old_part_changes(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    locate(ten, network, tmp_path / "out")
    before = parts(tmp_path / "out")
    draw(ten / "00.png", 10)  # sorted between the others
    draw(ten / "99.png", 11)
    report = locate(ten, network, tmp_path / "out")
    after = parts(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert [line["image"] for line in run(tmp_path / "out").lines(3)] == ["00.png", "99.png"]
    assert report.n_images == 12


def test_only_the_shard_of_a_changed_image_is_made_again(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    locate(ten, network, tmp_path / "out")
    before = parts(tmp_path / "out")
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "shards").iterdir()}
    draw(ten / "5.png", 50)
    os.utime(ten / "9.png")  # another time, the same content
    locate(ten, network, tmp_path / "out")
    after = parts(tmp_path / "out")
    changed = [p.name for p in (tmp_path / "out" / "shards").iterdir()]
    changed = [n for n in changed if (tmp_path / "out/shards" / n).stat().st_mtime_ns != times[n]]
    assert changed == ["part-000001.parquet"]
    assert after["part-000001.parquet"] != before["part-000001.parquet"]


def test_verify_finds_what_size_and_time_hide(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    for path in ten.iterdir():
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    locate(ten, network, tmp_path / "out")
    before, stat = parts(tmp_path / "out"), (ten / "5.bmp").stat()
    draw(ten / "5.bmp", 50)
    os.utime(ten / "5.bmp", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    locate(ten, network, tmp_path / "out")
    assert parts(tmp_path / "out") == before
    locate(ten, network, tmp_path / "out", verify=True)
    after = parts(tmp_path / "out")
    assert [name for name in after if after[name] != before[name]] == ["part-000001.parquet"]


def test_an_image_that_is_gone_keeps_its_result_and_is_in_nothing_else(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    locate(ten, network, tmp_path / "out")
    before = parts(tmp_path / "out")
    (ten / "3.png").unlink()
    report = locate(ten, network, tmp_path / "out", formats=("csv",))
    assert (report.n_images, report.n_gone, report.gone) == (9, 1, ("3.png",))
    assert parts(tmp_path / "out") == before
    assert "3.png" not in (tmp_path / "out" / "boxes.csv").read_text()
    draw(ten / "3.png", 3)  # it is back as it was
    assert locate(ten, network, tmp_path / "out").n_gone == 0
    assert parts(tmp_path / "out") == before


def test_results_stay_while_the_images_are_away(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    samples = find_images([ten])
    how = {"method": "sensitivity", "running": Running(shard=SIZE, batch_size=2)}
    gradbox.locate(samples, network, tmp_path / "out", **how)
    before = parts(tmp_path / "out")
    shutil.move(ten, tmp_path / "away")
    gradbox.locate(samples, network, tmp_path / "out", **how)
    assert parts(tmp_path / "out") == before


@pytest.mark.parametrize("harm", ["cut", "emptied", "changed", "swapped", "gone", "another call's"])
def test_a_damaged_part_is_made_again(
    ten: Path, network: gradbox.Classifier, tmp_path: Path, harm: str
) -> None:
    locate(ten, network, tmp_path / "out")
    before = parts(tmp_path / "out")
    path = tmp_path / "out" / "shards" / "part-000001.parquet"
    data = path.read_bytes()
    if harm == "swapped":
        path.write_bytes(before["part-000000.parquet"])
    elif harm == "gone":
        path.unlink()
    elif harm == "another call's":
        about, rows = decode(data)
        from gradbox.results.parquet import FOUND

        path.write_bytes(encode(rows, FOUND, {**about, "call": "another"}))
    else:
        path.write_bytes({"cut": data[:-9], "emptied": b"", "changed": flipped(data)}[harm])
    locate(ten, network, tmp_path / "out")
    assert parts(tmp_path / "out") == before


def flipped(data: bytes) -> bytes:
    """One bit of the first page is another."""
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


def test_every_cut_of_a_part_is_seen() -> None:
    rows = [{"image": f"{i}.png", "width": i} for i in range(50)]
    data = encode(rows, {"image": "string", "width": "int32"}, {"a": 1})
    assert decode(data) == ({"a": 1}, rows)
    for length in range(0, len(data), 7):
        with pytest.raises(DamagedError):
            decode(data[:length])


def test_what_failed_is_tried_again_on_request(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    good = (ten / "5.png").read_bytes()
    (ten / "5.png").write_bytes(b"no image")
    locate(ten, network, tmp_path / "out")
    before = (tmp_path / "out/shards/part-000001.parquet").stat().st_mtime_ns
    locate(ten, network, tmp_path / "out")
    assert (tmp_path / "out/shards/part-000001.parquet").stat().st_mtime_ns == before
    locate(ten, network, tmp_path / "out", retry=True)
    assert (tmp_path / "out/shards/part-000001.parquet").stat().st_mtime_ns != before
    (ten / "5.png").write_bytes(good)
    assert locate(ten, network, tmp_path / "out").failures.count == 0


def test_formats_of_a_run_in_shards_are_those_of_one_without(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    formats = ("coco", "csv", "openimages", "labelstudio")
    locate(ten, network, tmp_path / "lines", shard=None, formats=formats, masks=True)
    locate(ten, network, tmp_path / "shards", formats=formats, masks=True)
    for name in ("coco.json", "boxes.csv", "labelstudio/tasks.json"):
        lines, shards = (tmp_path / one / name for one in ("lines", "shards"))
        assert shards.read_bytes() == lines.read_bytes()


def test_other_threads_go_on_and_say_that_the_last_digits_may_differ(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    try:
        with pytest.raises(KeyboardInterrupt):
            locate(ten, network, tmp_path / "out", track=stopping_after(4), engine=Local(threads=1))
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error"
            )  # whoever says nothing has the threads that it began with
            torch.set_num_threads(2)
            locate(ten, network, tmp_path / "out", track=stopping_after(9))
        assert run(tmp_path / "out").facts["same_numbers"]
        (tmp_path / "out/shards/part-000002.parquet").unlink()
        with pytest.warns(GradboxWarning, match="threads 1, then 2"):
            locate(ten, network, tmp_path / "out", engine=Local(threads=2))
        facts = run(tmp_path / "out").facts
        assert (facts["same_numbers"], facts["why_not"]) == (False, ["threads 1, then 2"])
    finally:
        torch.set_num_threads(threads)


def test_wrong_calls_are_one_line(ten: Path, network: gradbox.Classifier, tmp_path: Path) -> None:
    locate(ten, network, tmp_path / "out")
    with pytest.raises(gradbox.UsageError, match="in shards of 4: leave out --shard"):
        locate(ten, network, tmp_path / "out", shard=5)
    locate(ten, network, tmp_path / "out", shard=None)  # as it was begun
    locate(ten, network, tmp_path / "lines", shard=None)
    with pytest.raises(gradbox.UsageError, match="without shards: leave out --shard"):
        locate(ten, network, tmp_path / "lines", shard=4)
    with pytest.raises(gradbox.UsageError, match="which one process makes"):
        locate(ten, network, tmp_path / "lines", shard=None, engine=Local(processes=2))
    (tmp_path / "out/shards/part-000001.parquet").unlink()
    with pytest.raises(gradbox.UsageError, match="not finished: make the same call again"):
        list(run(tmp_path / "out").results())


def test_a_run_takes_the_place_of_another_when_it_is_finished(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    locate(ten, network, tmp_path / "out")
    before = parts(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        locate(ten, network, tmp_path / "out", shard=5, overwrite=True, track=stopping_after(4))
    assert parts(tmp_path / "out") == before
    locate(ten, network, tmp_path / "out", shard=5, overwrite=True)
    assert [len(run(tmp_path / "out").lines(number)) for number in range(2)] == [5, 5]


def test_images_that_are_no_files_are_made_anew_by_their_data_set(tmp_path: Path) -> None:
    classifier = load_classifier("gradbox/scenes", device="cpu")
    dataset = gradbox.load_dataset("scenes:6,seed=3")
    gradbox.evaluate(
        dataset, classifier, tmp_path / "out", method="sensitivity", running=Running(shard=SIZE)
    )
    found = list(run_with(tmp_path / "out", dataset.samples).pairs())
    assert [sample.image_id for sample, _ in found] == [s.image_id for s in dataset.samples]
    assert all(isinstance(one, Localization) for _, one in found)


def run_with(out: Path, samples: Any) -> ShardedRun:
    found = run(out)
    found.samples = samples
    return found


@pytest.mark.slow
def test_processes_give_the_bytes_of_one_process(ten: Path, card: Path, tmp_path: Path) -> None:
    network = load_classifier(str(card), device="cpu")
    locate(ten, network, tmp_path / "one", engine=Local(threads=1))
    locate(ten, network, tmp_path / "two", engine=Local(processes=2, threads=1))
    assert parts(tmp_path / "two") == parts(tmp_path / "one")


def test_a_module_that_was_wrapped_stays_in_this_process(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    wrapped = gradbox.Classifier.wrap(network.module, preprocessing=network.preprocessing)
    with pytest.raises(gradbox.UsageError, match="was made in Python"):
        locate(ten, wrapped, tmp_path / "out", engine=Local(processes=2))


@pytest.mark.slow
def test_a_part_of_a_data_set_without_files_is_the_same_part_in_other_processes(
    tmp_path: Path,
) -> None:
    # a worker loads the whole data set, in which the images of the part have other numbers
    classifier = load_classifier("gradbox/scenes", device="cpu")
    dataset = gradbox.load_dataset("scenes:16,seed=3,size=64")
    part = gradbox.Part(shares=(0.5, 0.5), number=2)
    for name, engine in (("one", Local(threads=1)), ("two", Local(processes=2, threads=1))):
        gradbox.evaluate(
            dataset,
            classifier,
            tmp_path / name,
            method="sensitivity",
            part=part,
            running=Running(shard=SIZE, engine=engine),
        )
    assert parts(tmp_path / "two") == parts(tmp_path / "one")


def test_a_call_with_nothing_to_do_leaves_what_run_json_promises(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    locate(ten, network, tmp_path / "out")
    before = run(tmp_path / "out").facts
    locate(ten, network, tmp_path / "out")
    after = run(tmp_path / "out").facts
    for name in ("basis", "mixed", "same_numbers", "why_not"):
        assert after[name] == before[name]


class Eager(Local):
    """An engine that would take as many threads as nobody else says."""

    @property
    def usual_threads(self) -> int:
        return 2


def test_the_threads_that_a_run_was_begun_with_go_before_the_usual_ones(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    try:
        locate(ten, network, tmp_path / "out", engine=Local(threads=1))
        (tmp_path / "out/shards/part-000001.parquet").unlink()
        locate(ten, network, tmp_path / "out", engine=Eager())
        assert run(tmp_path / "out").facts["basis"]["threads"] == 1
        locate(ten, network, tmp_path / "new", engine=Eager())
        assert run(tmp_path / "new").facts["basis"]["threads"] == 2
    finally:
        torch.set_num_threads(threads)


def test_batches_that_memory_halved_are_said(
    ten: Path, network: gradbox.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchSize, "is_halved", True)
    locate(ten, network, tmp_path / "out")
    facts = run(tmp_path / "out").facts
    assert facts["same_numbers"] is False
    assert facts["why_not"] == ["out of memory: some batches were halved"]


def test_overwriting_leaves_the_files_of_others(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    # the folder of a csv: data set, say: its images are no run's
    out = tmp_path / "out"
    (out / "images").mkdir(parents=True)
    draw(out / "images" / "mine.png", 1)
    for shard in (None, 4, 5, None):
        locate(ten, network, out, shard=shard, overwrite=True)
        assert [one.name for one in (out / "images").iterdir()] == ["mine.png"]
    assert not (out / "shards").exists()
    assert not (out / "listing").exists()


def test_of_a_store_the_run_is_removed_and_nothing_else(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    locate(ten, network, out, formats=("csv",))
    (out / "images").mkdir()
    (out / "images" / "mine.png").touch()
    (out / "mine.txt").touch()
    store = open_store(out)
    remove_run(store)
    assert store.names() == ["images/mine.png", "mine.txt"]


@pytest.mark.slow
def test_overwriting_in_a_bucket_leaves_what_others_put_there(
    ten: Path, network: gradbox.Classifier, s3: str
) -> None:
    store = open_store(f"{s3}/out")
    for shard in (4, 5):
        locate(ten, network, Path(f"{s3}/out"), shard=shard, overwrite=True)
        store.write("mine/cat.png", b"mine")
    assert store.names("mine") == ["mine/cat.png"]
    assert len(store.names("shards")) == 2  # of ten images, five in each


@pytest.mark.slow
def test_a_method_of_the_users_own_file_goes_to_other_processes(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    for name, engine in (("one", Local(threads=1)), ("two", Local(processes=2, threads=1))):
        locate(ten, network, tmp_path / name, engine=engine, method=f"{file}:Brightness")
    assert parts(tmp_path / "two") == parts(tmp_path / "one")


def test_pictures_and_maps_that_are_asked_for_later_are_made_and_no_part_changes(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    locate(ten, network, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "shards").iterdir()}
    locate(ten, network, tmp_path / "out", pictures=True, save_maps=tmp_path / "maps")
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 10
    assert len(gradbox.open_maps(tmp_path / "maps")) == 10
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (tmp_path / "out" / "pictures" / "5.png.jpg").unlink()
    locate(ten, network, tmp_path / "out", pictures=True)
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 10


def test_maps_of_another_run_are_not_mixed_with_those_of_shards(
    ten: Path, network: gradbox.Classifier, tmp_path: Path
) -> None:
    # both would number their parts from 1
    locate(ten, network, tmp_path / "lines", shard=None, save_maps=tmp_path / "maps")
    with pytest.raises(gradbox.UsageError, match="made otherwise: give another --save-maps"):
        locate(ten, network, tmp_path / "shards", save_maps=tmp_path / "maps")
    assert len(gradbox.open_maps(tmp_path / "maps")) == 10
