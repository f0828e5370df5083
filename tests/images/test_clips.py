"""Frames of clips are those that were drawn, at the times that they were given."""

import json
import pickle
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from clips import SIZE, frame, write_clip

import gradbox
from gradbox.errors import ImageError, UsageError
from gradbox.images.clips import ClipFrame, Every, frame_at, frames, open_clip, with_frames
from gradbox.images.find import find_images

EVERY = Every(nth=1)
KINDS = {"a.mp4": "libx264", "a.mkv": "libx264", "a.ts": "libx264", "a.webm": "libvpx-vp9"}
KINDS |= {"a.avi": "mpeg4", "a.mpg": "mpeg2video"}
UNEVEN = [0, 50, 170, 210, 400, 420, 500, 800, 1000, 1010]
CODED = 4.0  # mean difference that a codec makes; one frame to the next differs by more


def difference(rgb: np.ndarray, number: int) -> float:
    return float(np.abs(rgb.astype(float) - frame(number)).mean())


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_that_were_drawn_in_any_order(name: str, tmp_path: Path) -> None:
    """The next frame's disc lies two pixels further: the frame asked for is the nearest."""
    path = write_clip(tmp_path / name, codec=KINDS[name], rate=25)
    clip = open_clip(path, EVERY)
    assert len(clip.ticks) == 30
    for number in (0, 1, 2, 29, 3, 17, 16, 4, 4, 28):
        rgb = clip.frame(number)
        assert rgb.shape == (*SIZE, 3)
        assert difference(rgb, number) < CODED
        near = [difference(rgb, one) for one in (number - 1, number, number + 1)]
        assert int(np.argmin(near)) == 1


def test_times_are_those_of_the_clip(tmp_path: Path) -> None:
    clip = open_clip(write_clip(tmp_path / "a.mp4", 10, ticks=UNEVEN), EVERY)
    times = [clip.moment(number).time for number in range(10)]
    np.testing.assert_allclose(times, np.array(UNEVEN) / 1000, atol=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_counts_and_times_are_those_of_ffprobe(name: str, tmp_path: Path) -> None:
    probe = shutil.which("ffprobe")
    if probe is None:
        pytest.skip("there is no ffprobe here")
    clip = open_clip(write_clip(tmp_path / name, codec=KINDS[name], rate=25), EVERY)
    asked = ("-v", "error", "-select_streams", "v:0", "-show_frames", "-of", "json")
    done = subprocess.run(
        [probe, *asked, tmp_path / name], capture_output=True, text=True, check=True
    )
    known = json.loads(done.stdout)["frames"]
    assert len(clip.ticks) == len(known)
    for number, one in enumerate(known):
        said = (
            one.get("pts_time") or one.get("pkt_pts_time") or one.get("best_effort_timestamp_time")
        )
        if said is not None:  # MPEG's program streams say the time of some frames only
            assert clip.moment(number).time == pytest.approx(float(said), abs=1e-6)


def test_many_threads_get_the_same_frames_without_going_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mp4")
    samples = list(with_frames(find_images([path]), Every(nth=3)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda sample: sample.source(), samples))  # type: ignore[operator]
    for number, rgb in zip(range(0, 30, 3), found, strict=True):
        assert difference(rgb, number) < CODED


@pytest.mark.parametrize(
    ("every", "numbers"),
    [
        (Every(nth=4), [0, 4, 8]),
        (Every(per_second=10), [0, 2, 3, 4, 7, 8]),  # two in the same tenth of a second: the first
        (Every(per_second=2), [0, 4, 8]),  # 0, 500 and 1000 ms: the first frame at or after
        (Every(), [0, 3, 4, 7, 8]),  # 5 a second: from 0, 200, 400, 600 and 800 ms on
        (Every(per_second=0.5), [0]),
    ],
)
def test_which_frames_are_looked_at(every: Every, numbers: list[int], tmp_path: Path) -> None:
    times = [0, 50, 170, 210, 500, 520, 580, 800, 1000, 1010]
    path = write_clip(tmp_path / "a.mp4", 10, ticks=times)
    samples = list(with_frames(find_images([path]), every))
    assert [sample.image_id for sample in samples] == [f"a.mp4/{n:06}" for n in numbers]


def test_a_frame_has_a_text_and_can_be_sent(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a#1.mp4")
    sample = frames(path, every=7)[2]
    again = frame_at(str(sample.source))
    assert isinstance(again, ClipFrame)
    assert (again.number, again.moment) == (14, sample.source.moment)  # type: ignore[union-attr]
    assert difference(again(), 14) < CODED
    sent = pickle.loads(pickle.dumps(sample.source))
    assert difference(sent(), 14) < CODED
    assert frame_at(str(path)) is None
    with pytest.raises(ImageError, match="the clip has 30 frames, and this is number 30"):
        frame_at(f"{path}#frame=30")()  # type: ignore[misc]
    path.unlink()
    with pytest.raises(ImageError, match="the clip cannot be read: No such file"):
        frame_at(f"{path.with_name('b.mp4')}#frame=3")()  # type: ignore[operator]


def test_what_a_telephone_films_upright_is_upright(tmp_path: Path) -> None:
    """The matrix of an MP4's track, as telephones write it: a quarter turn clockwise."""
    path = write_clip(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: 40 bytes before the matrix
    one, minus = 0x00010000, 0xFFFF0000
    turned = [0, one, 0, minus, 0, 0, SIZE[0] << 16, 0, 0x40000000]
    data[start : start + 36] = b"".join(number.to_bytes(4, "big") for number in turned)
    path.write_bytes(data)
    rgb = open_clip(path, EVERY).frame(5)
    assert rgb.shape == (SIZE[1], SIZE[0], 3)
    assert difference(np.rot90(rgb), 5) < CODED


def test_a_clip_that_cannot_be_read_is_an_image_that_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index stands at the end
    for name in ("text.mp4", "empty.mp4", "cut.mp4"):
        (sample,) = with_frames(find_images([tmp_path / name]), EVERY)
        assert sample.image_id == name
        with pytest.raises(ImageError, match="the clip cannot be read: "):
            sample.source()  # type: ignore[operator]


def test_of_a_clip_that_ends_in_its_middle_what_is_there_is_taken(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    clip = open_clip(path, EVERY)
    assert 5 < len(clip.ticks) < 30
    assert difference(clip.frame(0), 0) < CODED


def test_wrong_numbers_are_one_line() -> None:
    with pytest.raises(UsageError, match="--every and --fps both say"):
        Every(nth=2, per_second=2)
    with pytest.raises(UsageError, match="--every 0: "):
        Every(nth=0)
    with pytest.raises(UsageError, match="--fps nan: "):
        Every(per_second=float("nan"))


def test_a_clip_is_no_image_for_localize(tmp_path: Path, card: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    classifier = gradbox.load_classifier(str(card), device="cpu")
    with pytest.raises(UsageError, match=r"is a clip: give its frames, gradbox\.frames\("):
        gradbox.localize(path, classifier, method="sensitivity")
    found = list(gradbox.localize(frames(path, every=10), classifier, method="sensitivity"))
    assert [one.moment.frame for one in found] == [0, 10, 20]  # type: ignore[union-attr]
