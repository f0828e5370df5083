"""Label Studio itself: asked, read back, imported, looked at, corrected."""

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import numpy as np
import pytest
from browser import browser
from commands import run
from serving import METHOD, MODEL, Backend
from studio import LabelStudio

import gradbox
from gradbox.brush import from_brush
from gradbox.localization import Localization

pytestmark = [pytest.mark.labelling, pytest.mark.timeout(1200)]
CLOSE = 0.01
"""Percent of the image's sides."""


@pytest.fixture(scope="session")
def images(scenes: Path) -> list[Path]:
    return sorted((scenes / "images").iterdir())


def known(tasks: list[dict[str, Any]]) -> list[int]:
    return [task["id"] for task in tasks]


def as_found(result: list[Mapping[str, Any]]) -> tuple[list[str], np.ndarray, list[np.ndarray]]:
    """Labels and boxes of a prediction, in percent (n, 4) as x, y, width, height; and its masks."""
    boxes = [one["value"] for one in result if one["type"] == "rectanglelabels"]
    sides = [[value[side] for side in ("x", "y", "width", "height")] for value in boxes]
    masks = [
        from_brush(one["value"]["rle"], one["original_height"], one["original_width"])
        for one in result
        if one["type"] == "brushlabels"
    ]
    labels = [value["rectanglelabels"][0] for value in boxes]
    return labels, np.array(sides).reshape(-1, 4), masks


def as_localized(found: Localization) -> tuple[list[str | None], np.ndarray, list[np.ndarray]]:
    height, width = found.size
    left, top, right, bottom = found.boxes.T
    sides = np.stack([left, top, right - left, bottom - top], axis=1)
    percent = 100 * sides / [width, height, width, height]
    has_mask = found.mask is not None and found.mask.any()
    return list(found.names), percent, [found.mask] if has_mask else []


def assert_equal(result: list[Mapping[str, Any]], found: Localization) -> None:
    labels, boxes, masks = as_found(result)
    expected = as_localized(found)
    assert labels == expected[0]
    np.testing.assert_allclose(boxes, expected[1], atol=CLOSE)
    assert len(masks) == len(expected[2])
    for mask, one in zip(masks, expected[2], strict=True):
        assert (mask != one).mean() <= CLOSE / 100


def localized(images: list[Path], **options: Any) -> Iterator[Localization]:
    classifier = gradbox.load_classifier(MODEL)
    return gradbox.localize(images, classifier, method=METHOD, batch_size=8, masks=True, **options)


class Asked(NamedTuple):
    """The project, its tasks with predictions, the seconds of the call, and of `/health` in it."""

    project: int
    tasks: list[dict[str, Any]]
    seconds: float
    health: float


def timed(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


@pytest.fixture(scope="session")
def asked(studio: LabelStudio, backend: Backend, config: str, images: list[Path]) -> Asked:
    """A project of 500 tasks whose predictions were asked for in one call."""
    project = studio.project(config)
    for start in range(0, len(images), 100):
        studio.upload(project, {path.name: path for path in images[start : start + 100]})
    status, said = studio.connect(project, backend.url)
    assert status == 201, said
    tasks = known(studio.tasks(project))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(timed, lambda: studio.retrieve(project, tasks))
        health = [0.0]
        while not done.done():
            health.append(timed(lambda: urlopen(f"{backend.url}/health").read()))
            time.sleep(0.2)
    return Asked(project, studio.tasks(project), done.result(), max(health))


def test_one_call_of_500_tasks_equals_gradbox(asked, backend, images, capsys):
    tasks = asked.tasks
    assert len(tasks) == 500
    assert asked.health < 1  # or Label Studio takes the backend for gone
    # Uploads keep the order of their names, behind eight characters and a dash.
    names = [task["data"]["image"].rpartition("-")[2] for task in tasks]
    assert names == [path.name for path in images]
    for task, found in zip(tasks, localized(images), strict=True):
        (prediction,) = task["predictions"]
        assert_equal(prediction["result"], found)
        assert prediction["score"] == pytest.approx(max(found.scores))
        scores = [one["score"] for one in prediction["result"] if one["type"] != "brushlabels"]
        assert scores == pytest.approx(list(found.scores))
    assert "500 of 500 tasks" in backend.log.read_text()
    with capsys.disabled():
        print(
            f"\n500 tasks in one call: {asked.seconds:.1f} s; /health {asked.health:.3f} s at most"
        )


def test_asked_again_nothing_is_stored_twice(asked, studio):
    studio.retrieve(asked.project, known(asked.tasks))
    assert [len(task["predictions"]) for task in studio.tasks(asked.project)] == [1] * 500


def test_the_single_call_of_the_editor(studio, backend, config, images, pictures):
    # Opening a task asks for it alone; the boxes are then in the editor, as a browser shows them.
    project = studio.project(config, "one")
    (task,) = studio.upload(project, {images[0].name: images[0]})
    assert task["predictions"] == []
    assert studio.connect(project, backend.url)[0] == 201
    window_shows(studio, project, task["id"], pictures / "editor.png", n_regions=2)
    (prediction,) = studio.predictions(task["id"])
    (found,) = localized(images[:1])
    assert_equal(prediction["result"], found)


def test_the_interactive_call_of_the_editor(studio, backend, config, images):
    project = studio.project(config, "interactive")
    (task,) = studio.upload(project, {images[0].name: images[0]})
    status, model = studio.connect(project, backend.url, is_interactive=True)
    assert status == 201
    body = {"task": task["id"], "context": {"result": []}}
    said = studio.ask("POST", f"/api/ml/{model['id']}/interactive-annotating", body)
    (found,) = localized(images[:1])
    assert_equal(said["data"]["result"], found)


def window_shows(
    studio: LabelStudio, project: int, task: int, picture: Path, n_regions: int
) -> None:
    """Open a task in the editor of a real browser and keep a picture of it."""
    studio.login()
    with browser(1500, 1000) as window:
        window.get(studio.url + "/user/login/")
        for one in studio.cookies:
            window.add_cookie({"name": one.name, "value": one.value, "path": "/"})
        window.get(f"{studio.url}/projects/{project}/data?task={task}")
        until = time.monotonic() + 90
        shown: list[Any] = []
        while len(shown) < n_regions and time.monotonic() < until:
            time.sleep(1)
            shown = window.find_elements("css selector", ".lsf-outliner-item__title")
        time.sleep(3)  # the picture itself
        window.save_screenshot(str(picture))
        assert len(shown) == n_regions, window.find_element("css selector", "body").text


@pytest.fixture(scope="session")
def located(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over the scenes with its export for Label Studio."""
    out = tmp_path_factory.mktemp("located") / "out"
    words = ("--model", MODEL, "--method", METHOD, "--masks", "--format", "labelstudio", "--quiet")
    assert run("locate", scenes / "images", "--out", out, *words, "--batch-size", 8) == 0
    return out / "labelstudio"


@pytest.fixture(scope="session")
def imported(studio: LabelStudio, located: Path, scenes: Path) -> tuple[int, list[dict[str, Any]]]:
    """A project made of the two files of the export, its images served as local files."""
    project = studio.project((located / "config.xml").read_text(), "by a file")
    storage = {"project": project, "path": str(scenes), "use_blob_urls": True}
    studio.ask("POST", "/api/storages/localfiles", storage)
    tasks = json.loads((located / "tasks.json").read_text())
    for task in tasks:
        task["data"]["image"] = f"/data/local-files/?d={scenes.name}/images/{task['data']['image']}"
    for start in range(0, len(tasks), 100):
        studio.ask("POST", f"/api/projects/{project}/import", tasks[start : start + 100])
    return project, studio.tasks(project)


def test_the_exported_file_is_imported_whole(imported, asked, images):
    # The same boxes as by asking, and the same model version: neither way repeats the other's.
    _, tasks = imported
    assert len(tasks) == len(images)
    for task, other in zip(tasks, asked.tasks, strict=True):
        (one,), (two,) = task["predictions"], other["predictions"]
        assert one["model_version"] == two["model_version"]
        np.testing.assert_allclose(
            as_found(one["result"])[1], as_found(two["result"])[1], atol=CLOSE
        )


def test_the_exported_file_in_the_editor(imported, studio, pictures):
    project, tasks = imported
    window_shows(studio, project, tasks[0]["id"], pictures / "by-a-file.png", n_regions=2)


def test_corrections_come_back_and_make_better_boxes(imported, studio, scenes, tmp_path, capsys):
    """Located, corrected by hand (here: to the truth), exported, fitted, scored on others."""
    project, tasks = imported
    truth = true_boxes(scenes)
    n_taught = 200
    for task in tasks[:n_taught]:
        name = task["data"]["image"].rpartition("/")[2]
        (shown, *_) = task["predictions"][0]["result"]
        body = {"result": [corrected(shown, *truth[name])], "was_cancelled": False}
        studio.ask("POST", f"/api/tasks/{task['id']}/annotations/", body)
    export = tmp_path / "export.json"
    back = studio.ask("GET", f"/api/projects/{project}/export?exportType=JSON")
    export.write_text(json.dumps(back))
    spec = f"labelstudio:{scenes / 'images'}@{export}"
    samples = gradbox.load_dataset(spec).samples
    assert len(samples) == n_taught
    for sample in samples:
        box, label = truth[sample.image_id]
        np.testing.assert_allclose(sample.boxes, [box], atol=CLOSE)
        assert sample.labels == (label,)

    held_out = tmp_path / "held-out"
    keep_others(scenes, held_out, {sample.image_id for sample in samples})
    fitted, model = tmp_path / "box.safetensors", ("--model", MODEL, "--method", METHOD)
    words = ("fit", spec, *model, "--box", "ridge(features=quantiles)", "--out", fitted)
    assert run(*words, "--class-from", "predicted") == 0
    corloc = {}
    for name, box in (("before", "auto"), ("after", f"ridge({fitted})")):
        out = tmp_path / name
        words = ("evaluate", f"csv:{held_out}", *model, "--box", box, "--out", out, "--quiet")
        assert run(*words, "--class-from", "predicted") == 0
        corloc[name] = json.loads((out / "metrics.json").read_text())["corloc"]
    with capsys.disabled():
        print(f"\nCorLoc of {len(truth) - n_taught} others: {corloc}")
    assert corloc["after"] > corloc["before"] + 0.05


def true_boxes(scenes: Path) -> dict[str, tuple[list[float], str]]:
    """The one box of each scene, and its class."""
    with (scenes / "boxes.csv").open(newline="") as stream:
        return {
            row["image"]: (
                [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")],
                row["class"],
            )
            for row in csv.DictReader(stream)
        }


def corrected(shown: Mapping[str, Any], box: list[float], label: str) -> dict[str, Any]:
    """A region as the editor sends it after its box was dragged and its label chosen."""
    width, height = shown["original_width"], shown["original_height"]
    left, top, right, bottom = box
    value = {
        "x": 100 * left / width,
        "y": 100 * top / height,
        "width": 100 * (right - left) / width,
        "height": 100 * (bottom - top) / height,
        "rotation": 0,
        "rectanglelabels": [label],
    }
    kept = {name: shown[name] for name in shown if name not in ("score", "value")}
    return {**kept, "value": value, "origin": "prediction-changed"}


def keep_others(scenes: Path, out: Path, known: set[str]) -> None:
    """The data set without these images."""
    out.mkdir()
    (out / "images").symlink_to(scenes / "images")
    lines = (scenes / "boxes.csv").read_text().splitlines()
    kept = [line for line in lines if line.partition(",")[0] not in known]
    (out / "boxes.csv").write_text("\n".join(kept) + "\n")
