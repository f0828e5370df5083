"""What exporters know beside the boxes: who made them, and where the images are."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradbox
from gradbox.exports import About, model_version
from gradbox.images.find import find_images
from gradbox.images.reading import Reading


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (40, 30), (200, 90, 20)).save(folder / "a.png")
    return folder


def exported(card: Path, images: Path, out: Path, **options: object) -> tuple[str, str]:
    """The `model_version` in the file for Label Studio, and of what `run.json` says."""
    classifier = gradbox.load_classifier(str(card))
    running = gradbox.Running(formats=("labelstudio",))
    gradbox.locate(find_images([images]), classifier, out, running=running, **options)
    (task,) = json.loads((out / "labelstudio/tasks.json").read_text())
    run = json.loads((out / "run.json").read_text())
    of_run = model_version(run["call"], run["versions"]["gradbox"])
    return task["predictions"][0]["model_version"], of_run


def test_the_model_version_tells_methods_apart_and_is_that_of_run_json(
    card: Path, images: Path, tmp_path: Path
) -> None:
    asked = {"a": "sensitivity", "b": "sensitivity", "c": "sensitivity(reduce=max)"}
    found = {n: exported(card, images, tmp_path / n, method=m) for n, m in asked.items()}
    assert all(written == of_run for written, of_run in found.values())
    assert found["a"] == found["b"]
    assert found["a"] != found["c"]
    assert found["a"][0].startswith("gradbox ")
    assert "sensitivity(" in found["a"][0]


@pytest.mark.parametrize("key", ["weights_hash", "box_hash", "min_score", "preprocessing"])
def test_the_model_version_changes_with_what_changes_boxes(key: str) -> None:
    call = {"method": "gradcam()", "weights_hash": "00", "box_hash": None, "dataset": "scenes:3"}
    assert model_version(call) != model_version({**call, key: "other"})
    assert model_version(call) == model_version({**call, "dataset": "other"})
    assert model_version(call, "1.0") != model_version(call, "1.1")


def test_the_images_are_read_as_they_are_said_to_be(tmp_path: Path) -> None:
    # By hand: 100 in the range 0..200 is 127.5, which is rounded to even.
    dim = np.full((4, 6), 100, np.uint16)
    as_said = About(names=str, source_of=lambda _: dim, reading=Reading(range="0:200"))
    assert as_said.rgb("a").shape == (4, 6, 3)
    assert np.unique(as_said.rgb("a")).tolist() == [128]


def test_an_export_of_images_without_images_is_one_line() -> None:
    with pytest.raises(gradbox.UsageError, match=r"^a\.png: this export needs the images"):
        About(names=str).rgb("a.png")


def test_an_image_that_is_gone_is_an_image_error(tmp_path: Path) -> None:
    about = About(names=str, source_of=lambda image_id: tmp_path / image_id)
    with pytest.raises(gradbox.ImageError, match="there is no such file"):
        about.rgb("a.png")
