"""Drawn boxes are a data set on disk from the first box on, whatever a browser sends."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradbox.datasets import load_dataset
from gradbox.errors import ImageError, UsageError
from gradbox.web.drawn import CLASS, Drawn


def picture(folder: Path, name: str, value: int = 0, size: tuple[int, int] = (30, 20)) -> Path:
    path = folder / name
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


def test_what_is_drawn_is_read_by_the_data_set_and_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    with Drawn(folder) as drawn:
        assert not folder.exists()  # before the first image nothing is made
        name = drawn.add(picture(tmp_path, "a.png"), "a.png", (20, 30))
        other = drawn.add(picture(tmp_path, "b.png", 9), "=b.png", (20, 30))
        drawn.draw(name, [[1.25, 2, 11, 12], [5, 5, 5, 19]])
        drawn.draw(other, [[-4, -4, 40, 40]])
    dataset = load_dataset(f"csv:{folder}")
    boxes = {one.image_id: one.boxes.tolist() for one in dataset.samples}
    assert boxes == {"a.png": [[1.25, 2, 11, 12]], "=b.png": [[0, 0, 30, 20]]}  # no area; clipped
    assert {label for one in dataset.samples for label in one.labels} == {CLASS}
    with Drawn(folder) as again:
        assert set(again.image_ids) == {"a.png", "=b.png"}
        assert again.counts["a.png"] == 1
        again.draw("a.png", [])
    (a,) = [one for one in load_dataset(f"csv:{folder}").samples if one.image_id == "a.png"]
    assert len(a.boxes) == 0


def test_one_name_twice_is_two_images_and_one_image_twice_is_one(tmp_path: Path) -> None:
    with Drawn(tmp_path / "drawn") as drawn:
        first = picture(tmp_path, "a.png")
        assert drawn.add(first, "a.png", (20, 30)) == "a.png"
        assert drawn.add(first, "a.png", (20, 30)) == "a.png"
        assert drawn.add(picture(tmp_path, "b.png", 7), "a.png", (20, 30)) == "a-2.png"
        assert drawn.image_ids == ["a.png", "a-2.png"]


@pytest.mark.parametrize(
    "boxes",
    [[[0, 0, float("nan"), 5]], [[1, 2, 3]], [["x", 0, 1, 1]], [[5, 5, 1, 1]], "boxes", [None]],
)
def test_no_boxes_are_refused_and_change_nothing(boxes: Any, tmp_path: Path) -> None:
    with Drawn(tmp_path / "drawn") as drawn:
        drawn.add(picture(tmp_path, "a.png"), "a.png", (20, 30))
        drawn.draw("a.png", [[1, 2, 11, 12]])
        with pytest.raises(ImageError, match="these are no boxes"):
            drawn.draw("a.png", boxes)
        assert drawn.boxes("a.png").tolist() == [[1, 2, 11, 12]]
        with pytest.raises(UsageError, match=r"no image '../a.png' here"):
            drawn.draw("../a.png", [])


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="holds something else than drawn boxes"):
            Drawn(path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_two_pages_do_not_write_one_folder(tmp_path: Path) -> None:
    with Drawn(tmp_path / "drawn") as one:
        one.add(picture(tmp_path, "a.png"), "a.png", (20, 30))
        with Drawn(tmp_path / "drawn") as other:
            with pytest.raises(UsageError, match="is being written by process"):
                other.draw("a.png", [[1, 2, 11, 12]])
            assert other.counts == {"a.png": 0}
    with Drawn(tmp_path / "drawn") as later:
        later.draw("a.png", [[1, 2, 11, 12]])


def _draw_and_die(folder: Path, path: Path) -> None:
    import os
    import signal

    drawn = Drawn(folder)
    drawn.draw(drawn.add(path, "a.png", (20, 30)), [[1, 2, 11, 12]])
    os.kill(os.getpid(), signal.SIGKILL)


def test_boxes_survive_a_kill(tmp_path: Path) -> None:
    path = picture(tmp_path, "a.png")
    child = multiprocessing.get_context("fork").Process(
        target=_draw_and_die, args=(tmp_path / "drawn", path)
    )
    child.start()
    child.join()
    assert child.exitcode == -9
    with Drawn(tmp_path / "drawn") as again:
        assert again.boxes("a.png").tolist() == [[1, 2, 11, 12]]
        np.testing.assert_array_equal(again.size("a.png"), (20, 30))
