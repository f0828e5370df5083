"""A run's folder: what is written is read back, and nothing is half written."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradbox.errors import ImageError, UsageError
from gradbox.localization import Found, Localization, Region, Sample
from gradbox.results import place as places
from gradbox.results.inputs import Input
from gradbox.results.opening import open_run
from gradbox.results.predictions import from_line, read_predictions, to_line
from gradbox.results.run_folder import RunFolder


def localization() -> Localization:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:20, 5:30] = True
    return Localization(
        image_id="a/b.jpg",
        size=(40, 60),
        boxes=np.array([[1.5, 2.25, 30.125, 39.0], [0, 0, 60, 40]]),
        labels=(2, None),
        label_scores=(0.75, 1.0),
        scores=(0.5, 0.25),
        names=("class 2", None),
        top_labels=(2, 1, 0),
        blank=True,
        mask=mask,
        regions=(Region(box=np.array([1.0, 2.0, 3.0, 4.0]), score=7.5, label=2, chosen=False),),
    )


def test_a_line_read_back_is_what_was_written() -> None:
    before = localization()
    line = json.loads(json.dumps(to_line("a/b.jpg", before, masks=True)))
    after = from_line(line, masks=True)
    assert isinstance(after, Localization)
    np.testing.assert_array_equal(after.boxes, before.boxes)
    assert after.mask is not None
    np.testing.assert_array_equal(after.mask, before.mask)
    for name in (
        "image_id",
        "size",
        "labels",
        "label_scores",
        "scores",
        "names",
        "top_labels",
        "blank",
    ):
        assert getattr(after, name) == getattr(before, name)
    assert line["names"] == ["class 2", None]
    assert line["proposals"] == [{"box": [1, 2, 3, 4], "score": 7.5, "label": 2, "chosen": False}]
    assert after.regions == ()
    proposing = from_line(line, proposals=True)
    assert isinstance(proposing, Localization)
    assert to_line("a/b.jpg", proposing) == {k: v for k, v in line.items() if k != "mask"}


def test_a_failed_image_is_a_line_with_its_error() -> None:
    line = to_line("x.jpg", ImageError("the file is empty"))
    assert line == {"image": "x.jpg", "error": "the file is empty"}
    assert str(from_line(line)) == "the file is empty"


def test_a_folder_with_other_files_is_refused_unless_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(UsageError, match="other files"),
        open_run(tmp_path, {}, {}, overwrite=False),
    ):
        pass
    with open_run(tmp_path, {}, {}, overwrite=True) as folder:
        folder.finish()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "run.json").exists()


def test_the_message_for_another_call_says_what_changed(tmp_path: Path) -> None:
    with open_run(tmp_path, {"box": "mass", "seed": 0}, {}, overwrite=False):
        pass
    with (
        pytest.raises(UsageError, match="box was 'mass', is now 'whole'"),
        open_run(tmp_path, {"box": "whole", "seed": 0}, {}, overwrite=False),
    ):
        pass


def written(folder: RunFolder, names: Sequence[str], errors: Sequence[str] = ()) -> None:
    """Write what the images lack, and finish; images have no files here."""
    samples = [Sample(image_id=name, source=f"no/{name}") for name in names]
    folder.check(samples, {n: Input(sha256=None) for n in names}, verify=False, retry=False)
    for name in names:
        if not folder.has(name):
            found: Found = replace(localization(), image_id=name)
            if name in errors:
                found = ImageError("broken")
            folder.append([(Input(sha256="0" * 64), to_line(name, found))])
    folder.finish()


def test_final_names_appear_only_at_the_end(tmp_path: Path) -> None:
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        folder.append([(Input(sha256="0" * 64), to_line("a/b.jpg", localization()))])
        assert not folder.predictions.exists()
        written(folder, ["a/b.jpg"])
    assert [image for image, _ in read_predictions(tmp_path / "predictions.jsonl")] == ["a/b.jpg"]
    assert not list(tmp_path.glob("**/*.partial"))
    assert not (tmp_path / "parts").exists()
    assert (tmp_path / "images.sha256").read_text() == f"{'0' * 64}  a/b.jpg\n"


@pytest.mark.parametrize("name", ["a\nb.png", "a\u2028b.png", "a\x85b.png", "a\\b.png"])
def test_any_name_comes_back(name: str, tmp_path: Path) -> None:
    for _ in range(2):
        with open_run(tmp_path, {}, {}, overwrite=False) as folder:
            written(folder, [name, "z.png"])
            assert [image for image, _ in folder.results()] == [name, "z.png"]
            assert dict(folder.digests()) == {name: "0" * 64, "z.png": "0" * 64}


@pytest.mark.parametrize("name", ["predictions.jsonl", "images.jsonl"])
def test_a_final_file_cut_anywhere_loses_only_what_was_cut(name: str, tmp_path: Path) -> None:
    """A property over every length: lines before the cut hold, the others are made again."""
    names = ["a.png", "b.png", "c.png"]
    with open_run(tmp_path / "whole", {}, {}, overwrite=False) as folder:
        written(folder, names)
    whole = (tmp_path / "whole" / name).read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(0, len(whole), 7):
        cut = tmp_path / "cut"
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", cut)
        (cut / name).write_bytes(whole[:length])
        with open_run(cut, {}, {}, overwrite=False) as folder:
            held = [image for image in names if folder.has(image)]
            if name == "predictions.jsonl":
                assert held == names[: sum(end < length for end in ends)]
            written(folder, names)
        for file in ("predictions.jsonl", "images.jsonl", "images.sha256"):
            assert (cut / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_part_that_was_damaged_is_made_again(tmp_path: Path) -> None:
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        for name in ("a.png", "b.png"):
            folder.append([(Input(), to_line(name, replace(localization(), image_id=name)))])
    first, second = sorted((tmp_path / "parts").iterdir())
    content = bytearray(first.read_bytes())
    content[-20] ^= 1
    first.write_bytes(content)
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        assert [folder.has(name) for name in ("a.png", "b.png")] == [False, True]
        written(folder, ["a.png", "b.png"])
    assert not first.exists()
    assert not second.exists()


def test_gone_images_keep_their_line_and_are_no_result(tmp_path: Path) -> None:
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        written(folder, ["a.png", "b.png"])
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        written(folder, ["b.png", "z.png"])
        assert folder.gone == ["a.png"]
        assert [image for image, _ in folder.results()] == ["b.png", "z.png"]
    kept = [image for image, _ in read_predictions(tmp_path / "predictions.jsonl")]
    assert kept == ["b.png", "z.png", "a.png"]


def test_the_second_call_is_told_who_is_at_work(tmp_path: Path) -> None:
    with (
        open_run(tmp_path, {}, {}, overwrite=False),
        pytest.raises(UsageError, match=rf"being written by process {os.getpid()} on "),
        open_run(tmp_path, {}, {}, overwrite=True),
    ):
        pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, pathlib\nfrom gradbox.results.lock import held\n"
        f"with held(pathlib.Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with open_run(tmp_path, {}, {}, overwrite=False):
        pass


def test_what_is_replaced_stays_until_the_new_run_is_finished(tmp_path: Path) -> None:
    with open_run(tmp_path, {"box": "mass"}, {}, overwrite=False) as folder:
        written(folder, ["a.png"])
        (folder.path / "coco.json").write_text("{}")
        folder.finish(files=["coco.json"])
    (tmp_path / "notes.txt").write_text("mine")
    before = (tmp_path / "predictions.jsonl").read_bytes()
    with (
        suppress(KeyboardInterrupt),
        open_run(tmp_path, {"box": "whole"}, {}, overwrite=True) as folder,
    ):
        folder.append([(Input(), to_line("b.png", replace(localization(), image_id="b.png")))])
        raise KeyboardInterrupt
    assert (tmp_path / "predictions.jsonl").read_bytes() == before
    assert (tmp_path / "coco.json").exists()
    with open_run(tmp_path, {"box": "whole"}, {}, overwrite=True) as folder:
        assert folder.has("b.png")  # the same call goes on
        written(folder, ["b.png"])
    assert [image for image, _ in read_predictions(tmp_path / "predictions.jsonl")] == ["b.png"]
    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    finals = ["images.jsonl", "images.sha256", "notes.txt", "predictions.jsonl", "run.json"]
    assert names == finals
    assert not (tmp_path / ".new").exists()


@pytest.mark.parametrize("stop", range(12))
def test_a_kill_while_the_new_run_takes_its_place_is_made_good(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever removal or renaming is the last one done, the next call ends the move."""
    with open_run(tmp_path, {"box": "mass"}, {}, overwrite=False) as folder:
        written(folder, ["a.png"])
    steps = count()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def one(*given: Any, **options: Any) -> Any:
            if next(steps) == stop:
                raise KeyboardInterrupt
            return function(*given, **options)

        return one

    with (
        suppress(KeyboardInterrupt),
        monkeypatch.context() as patched,
        open_run(tmp_path, {"box": "whole"}, {}, overwrite=True) as folder,
    ):
        written(folder, ["b.png"])
        patched.setattr(places, "_remove", counted(places._remove))
        patched.setattr(Path, "rename", counted(Path.rename))
    with open_run(tmp_path, {"box": "whole"}, {}, overwrite=False) as folder:
        assert folder.has("b.png")
        assert folder.facts["finished"]
    assert not (tmp_path / ".new").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"', "{}", '{"format": 1}'])
def test_a_damaged_run_json_is_one_line(content: str, tmp_path: Path) -> None:
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        written(folder, ["a.png"])
    (tmp_path / "run.json").write_text(content)
    with (
        pytest.raises(UsageError, match=r"give another --out, or --overwrite"),
        open_run(tmp_path, {}, {}, overwrite=False),
    ):
        pass
    with open_run(tmp_path, {}, {}, overwrite=True) as folder:
        written(folder, ["a.png"])


def test_a_place_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    for place, said in (
        ("file", "is a file"),
        ("file/below", "nothing can be written there|is a file"),
        ("nowhere", "a link that leads nowhere"),
    ):
        with (
            pytest.raises(UsageError, match=said),
            open_run(tmp_path / place, {}, {}, overwrite=False),
        ):
            pass


@pytest.mark.parametrize(
    "record", ['{"image": ["a"], "line": 1}', '{"image": "a.png", "line": 1, "x": 2}']
)
def test_a_foreign_line_among_the_inputs_counts_as_damaged(record: str, tmp_path: Path) -> None:
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        written(folder, ["a.png"])
    (tmp_path / "images.jsonl").write_text(record + "\n")
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        assert not folder.has("a.png")
        written(folder, ["a.png"])
    with open_run(tmp_path, {}, {}, overwrite=False) as folder:
        assert folder.has("a.png")


def test_strays_are_cleaned_in_this_run_and_not_in_others(tmp_path: Path) -> None:
    for place in ("pictures/a/b", "other"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / ".x.jpg.17.partial").write_text("half")
    (tmp_path / "other" / "run.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"format": 2, "call": {}}')
    with open_run(tmp_path, {}, {}, overwrite=False):
        pass
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.partial")]
    assert left == ["other/.x.jpg.17.partial"]


def test_strays_of_a_killed_call_are_cleaned(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("run/.coco.json.17.partial", "run/.x.17.replaced"):
        (tmp_path / name).write_text("half")
    (tmp_path / "run" / ".labels.17.partial").mkdir()
    with open_run(tmp_path / "run", {}, {}, overwrite=False):
        pass
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "run.json"]
