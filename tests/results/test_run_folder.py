"""A run's folder: what is written is read back, and nothing is half written."""

import json
from pathlib import Path

import numpy as np
import pytest

from gradbox.errors import ImageError, UsageError
from gradbox.localization import Localization, Region
from gradbox.results.predictions import from_line, read_predictions, to_line
from gradbox.results.run_folder import open_run


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


def test_a_failed_image_is_a_line_with_its_error() -> None:
    line = to_line("x.jpg", ImageError("the file is empty"))
    assert line == {"image": "x.jpg", "error": "the file is empty"}
    assert str(from_line(line)) == "the file is empty"


def test_a_folder_with_other_files_is_refused_unless_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        open_run(tmp_path, {}, {}, overwrite=False)
    open_run(tmp_path, {}, {}, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_message_for_another_call_says_what_changed(tmp_path: Path) -> None:
    open_run(tmp_path, {"box": "mass", "seed": 0}, {}, overwrite=False)
    with pytest.raises(UsageError, match="box was 'mass', is now 'whole'"):
        open_run(tmp_path, {"box": "whole", "seed": 0}, {}, overwrite=False)


def test_final_names_appear_only_at_the_end(tmp_path: Path) -> None:
    folder = open_run(tmp_path, {}, {}, overwrite=False)
    folder.append([to_line("a/b.jpg", localization())], {"a/b.jpg": "0" * 64})
    assert not folder.predictions.exists()
    folder.finish()
    assert [image for image, _ in read_predictions(folder.predictions)] == ["a/b.jpg"]
    assert not list(tmp_path.glob("*.partial"))
    assert (tmp_path / "images.sha256").read_text() == f"{'0' * 64}  a/b.jpg\n"
