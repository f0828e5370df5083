"""`locate clip.mp4`: frames with number and time, boxes linked over them, a clip with boxes."""

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import RADIUS, SIZE, frame, place, write_clip
from commands import run

from gradbox.images.clips import Every, open_clip, with_frames
from gradbox.images.find import find_images
from gradbox.localization import Found, Localization, Sample
from gradbox.progress import silent
from gradbox.results.finished import read_run
from gradbox.runs.clips import write_clips


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "clips.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def on_discs(sample: Sample, boxes: list[tuple[float, float]]) -> Found:
    """Boxes of the disc's size around these middles."""
    edges = [[x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS] for x, y in boxes]
    ones = (1.0,) * len(boxes)
    return Localization(
        image_id=sample.image_id,
        size=SIZE,
        boxes=np.array(edges, dtype=float).reshape(-1, 4),
        labels=(0,) * len(boxes),
        label_scores=ones,
        scores=ones,
        names=("disc",) * len(boxes),
    )


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    path = write_clip(tmp_path / "a.mp4")
    return list(with_frames(find_images([path]), Every(nth=1)))


def test_boxes_are_linked_over_frames(samples: list[Sample], tmp_path: Path) -> None:
    """Two discs that pass on their own lines keep a number each, whatever their order."""
    pytest.importorskip("trackers")

    def found(i: int, sample: Sample) -> Found:
        x, _ = place(i)
        both = [(x, 30.0), (140.0 - 2 * i, 90.0)]
        return on_discs(sample, both if i % 2 else both[::-1])

    pairs = [(sample, found(i, sample)) for i, sample in enumerate(samples)]
    assert write_clips(pairs, tmp_path, pictures=False, track=silent) == ["clips.csv"]
    tracks: dict[str, set[float]] = {}
    for row in rows(tmp_path)[2:]:  # a track has its number from its second frame on
        tracks.setdefault(row["track"], set()).add(float(row["ymin"]))
    assert tracks == {"1": {14.0}, "2": {74.0}} or tracks == {"2": {14.0}, "1": {74.0}}
    assert len(rows(tmp_path)) == 60


def test_without_the_tracker_the_table_has_no_tracks_and_says_why(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackers", None)
    pairs = [(sample, on_discs(sample, [(50.0, 60.0)])) for sample in samples]
    with pytest.warns(match="not linked over frames: pip install --no-deps trackers"):
        write_clips(pairs, tmp_path, pictures=False, track=silent)
    assert {row["track"] for row in rows(tmp_path)} == {""}


def test_the_annotated_clip_has_the_frames_at_their_times_with_boxes(
    samples: list[Sample], tmp_path: Path
) -> None:
    pytest.importorskip("trackers")
    taken = samples[::3]
    pairs = [(sample, on_discs(sample, [place(3 * i)])) for i, sample in enumerate(taken)]
    write_clips(pairs, tmp_path, pictures=True, track=silent)
    original = open_clip(tmp_path / "a.mp4", Every(nth=1))
    made = open_clip(tmp_path / "clips" / "a.mp4", Every(nth=1))
    times = [made.moment(i).time for i in range(len(made.ticks))]
    np.testing.assert_allclose(times, [original.moment(3 * i).time for i in range(10)], atol=1e-4)
    x, y = place(9)
    rgb = made.frame(3).astype(int)
    changed = np.abs(rgb - frame(9)).sum(axis=2) > 90
    assert changed[y - 8 : y + 8, x - RADIUS - 1 : x - RADIUS + 2].any(axis=1).all()  # left edge
    assert changed[y - 8 : y + 8, x + RADIUS - 2 : x + RADIUS + 2].any(axis=1).all()  # right edge
    assert not changed[100:, :].any()  # nothing below


@pytest.mark.slow
def test_the_command_goes_on_after_a_kill_and_sees_that_a_clip_has_changed(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "a.mp4")
    (tmp_path / "bad.mkv").write_text("no clip")
    out = tmp_path / "out"
    how = ("--model", card, "--method", "sensitivity", "--out", out, "--pictures", "--fps", 2)
    assert run("locate", path, tmp_path / "bad.mkv", *how) == 1
    assert "bad.mkv: the clip cannot be read: Invalid data" in capsys.readouterr().err
    lines = [json.loads(one) for one in (out / "predictions.jsonl").read_text().splitlines()]
    seen: list[Any] = [(one["image"], one.get("frame"), one.get("time")) for one in lines]
    assert seen[:2] == [("a.mp4/000000", 0, 0.0), ("a.mp4/000005", 5, 0.5)]
    assert len(seen) == 7
    assert (out / "pictures" / "a.mp4" / "000005.jpg").exists()
    assert sorted(one.name for one in (out / "clips").iterdir()) == ["a.mp4"]
    assert [one.found.moment.time for one in read_run(out) if "a.mp4" in one.image_id] == [
        0.0, 0.5, 1.0, 1.5, 2.0, 2.5,
    ]  # fmt: skip
    before = sorted((out / "predictions.jsonl").read_bytes().splitlines())
    write_clip(path, 20)
    os.utime(path, ns=(1, 1))
    assert run("locate", path, tmp_path / "bad.mkv", *how) == 1
    said = capsys.readouterr().err
    assert "2 images of an earlier call are gone, such as a.mp4/000020" in said
    after = sorted((out / "predictions.jsonl").read_bytes().splitlines())
    assert after == before  # the first 20 frames are as they were, what is gone keeps its line
    assert len({row["frame"] for row in rows(out)}) == 4
    assert run("view", out) == 0
    assert "view.html" in capsys.readouterr().out


def test_options_of_clips_are_refused_together(
    tmp_path: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "a.mp4", 3)
    assert run("locate", path, "--model", card, "--every", 2, "--fps", 2) == 2
    assert "--every and --fps both say" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_in_shards_makes_the_same_of_a_clip(tmp_path: Path, card: Path) -> None:
    """By two processes, which find their frames by the texts of the listing."""
    pytest.importorskip("pyarrow")
    path = write_clip(tmp_path / "a.mp4")
    how = ("--model", card, "--method", "sensitivity", "--every", 3, "--quiet")
    assert run("locate", path, *how, "--out", tmp_path / "lines") == 0
    shards = ("--shard", 4, "--processes", 2)
    assert run("locate", path, *how, "--out", tmp_path / "shards", *shards) == 0
    assert rows(tmp_path / "shards") == rows(tmp_path / "lines")
    seen = [(one.image_id, one.source, repr(one.found)) for one in read_run(tmp_path / "lines")]
    again = [(one.image_id, one.source, repr(one.found)) for one in read_run(tmp_path / "shards")]
    assert seen == again
