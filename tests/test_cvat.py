"""CVAT's own client on the function: its mapper, its command, its masks."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cvat_sdk.auto_annotation as cvat
import numpy as np
import pytest
from cvat_sdk import make_client
from cvat_sdk.masks import decode_mask
from cvat_server import FIRST_LABEL, TASK, CvatServer, serving
from PIL import Image

import gradbox
from gradbox.boxes import iou
from gradbox.cvat import create, function
from gradbox.localization import Localization

METHOD = "sensitivity"


@pytest.fixture(scope="module")
def network() -> gradbox.Classifier:
    return gradbox.load_classifier("gradbox/scenes", device="cpu")


@pytest.fixture(scope="module")
def images() -> Mapping[str, Image.Image]:
    samples = gradbox.load_dataset("scenes:3").samples
    return {sample.image_id: Image.fromarray(sample.source()) for sample in samples}  # type: ignore[operator]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client keeps images of the task in the user's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def server(
    images: Mapping[str, Image.Image], names: Sequence[str], kind: str = "rectangle"
) -> CvatServer:
    return CvatServer(images, [(name, kind) for name in names])


def annotate(of: CvatServer, made: Any, **options: Any) -> list[dict[str, Any]]:
    """The shapes that CVAT's client sends to the task."""
    with serving(of), make_client(of.url, credentials=("user", "password")) as client:
        cvat.annotate_task(client, TASK, made, **options)
    return of.shapes


def boxes_of(
    network: gradbox.Classifier, images: Mapping[str, Image.Image], **options: Any
) -> list[Localization]:
    found = gradbox.localize(images.values(), network, **options)
    assert all(isinstance(one, Localization) for one in found)
    return list(gradbox.localize(images.values(), network, **options))  # type: ignore[arg-type]


def test_the_clients_own_driver_sends_the_boxes_of_localize(
    network: gradbox.Classifier, images: Mapping[str, Image.Image]
) -> None:
    of = server(images, list(reversed(network.class_names)))  # ids of the task, not of the model
    shapes = annotate(of, function(network, method=METHOD))
    for frame, found in enumerate(boxes_of(network, images, method=METHOD)):
        (shape,) = (one for one in shapes if one["frame"] == frame)
        np.testing.assert_allclose(shape["points"], found.boxes[0], atol=1e-3)
        label = of.labels[shape["label_id"] - FIRST_LABEL][0]
        assert label == found.names[0]
        assert (shape["type"], shape["source"]) == ("rectangle", "auto")
        assert shape["score"] == pytest.approx(found.scores[0], abs=1e-5)


@pytest.mark.slow
def test_masks_and_their_polygons(
    network: gradbox.Classifier, images: Mapping[str, Image.Image]
) -> None:
    made = function(network, method=METHOD, masks=True)
    shapes = annotate(server(images, network.class_names, "mask"), made)
    expected = boxes_of(network, images, method=METHOD, masks=True)
    for shape, found in zip(shapes, expected, strict=True):
        height, width = found.size
        mask = decode_mask(shape["points"], image_width=width, image_height=height)
        assert found.mask is not None
        np.testing.assert_array_equal(mask, found.mask)
    polygons = annotate(
        server(images, network.class_names, "polygon"), made, conv_mask_to_poly=True
    )
    assert {shape["type"] for shape in polygons} == {"polygon"}
    corners = np.array(polygons[0]["points"]).reshape(-1, 2)
    assert corners.min() >= 0
    assert (corners.max(axis=0) <= np.array(expected[0].size[::-1])).all()


@pytest.mark.slow
def test_the_threshold_is_of_the_class_where_scores_are_no_probabilities(
    network: gradbox.Classifier, images: Mapping[str, Image.Image]
) -> None:
    sure = sorted(one.label_scores[0] for one in boxes_of(network, images, method=METHOD))
    made = function(network, method=METHOD)
    # By hand: above the least sure one are two of three images.
    threshold = (sure[0] + sure[1]) / 2
    assert len(annotate(server(images, network.class_names), made, conf_threshold=threshold)) == 2
    assert len(annotate(server(images, network.class_names), made, conf_threshold=0.0)) == 3


def test_all_classes_of_an_image_keep_their_labels(
    network: gradbox.Classifier, images: Mapping[str, Image.Image]
) -> None:
    made = function(network, method=METHOD, selection=gradbox.Selection(top=3))
    shapes = annotate(server(images, network.class_names), made)
    assert len(shapes) == 3 * len(images)
    assert len({one["label_id"] for one in shapes if one["frame"] == 0}) == 3


class Wrapped:
    """A method that gives what a function says of each image."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def localize(self, batch: gradbox.Batch, *, details: bool = False) -> list[Any]:
        return [self.answer(batch)]


def answer(score: float) -> Any:
    def found(batch: gradbox.Batch) -> Localization:
        return Localization(
            image_id=batch.image_ids[0],
            size=batch.frames[0].original,
            boxes=np.array([[1.0, 2, 30, 40]]),
            labels=(1,),
            label_scores=(0.5,),
            scores=(score,),
        )

    return found


def test_a_score_that_is_no_number_is_refused(
    network: gradbox.Classifier, images: Mapping[str, Image.Image]
) -> None:
    made = function(network, method=Wrapped(answer(float("nan"))))
    of = server(images, network.class_names)
    with pytest.raises(cvat.BadFunctionError, match="score is nan"):
        annotate(of, made)
    assert of.sent == []


def test_an_image_that_fails_has_no_shapes_and_says_why(
    network: gradbox.Classifier,
    images: Mapping[str, Image.Image],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(batch: gradbox.Batch) -> gradbox.ImageError:
        return gradbox.ImageError("nothing to see")

    assert (
        annotate(server(images, network.class_names), function(network, method=Wrapped(failing)))
        == []
    )
    assert caplog.messages == [f"{name}: no shapes: nothing to see" for name in images]


def test_equal_names_of_classes_are_told_apart(images: Mapping[str, Image.Image]) -> None:
    # CVAT finds labels by name: two of one name would both become the first.
    from gradbox.models.small import Small

    network = gradbox.Classifier.wrap(
        Small(3), class_names=["crane", "crane", "cock"], device="cpu"
    )
    labels = function(network, method=METHOD).spec.labels
    assert [label.name for label in labels] == ["crane (0)", "crane (1)", "cock"]
    assert [label.id for label in labels] == [0, 1, 2]


def test_a_table_maps_classes_to_labels(
    network: gradbox.Classifier, images: Mapping[str, Image.Image], tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("class,label\nfish,animal\nbird,animal\n*,thing\n")
    made = function(network, method=METHOD, labels_map=table)
    assert [label.name for label in made.spec.labels] == ["thing", "animal"]
    assert len(annotate(server(images, ["animal", "thing"]), made)) == len(images)
    table.write_text("class,label\nfish,animal\n")
    only = function(network, method=METHOD, labels_map=table)
    assert [label.name for label in only.spec.labels] == ["animal"]
    table.write_text("class,label\nfisch,animal\n")
    with pytest.raises(gradbox.UsageError, match=r"line 2 \('fisch'\): no class .*mean fish"):
        function(network, method=METHOD, labels_map=table)


def test_a_method_without_classes_has_the_label_object(network: gradbox.Classifier) -> None:
    made = function(network, method="sensitivity(target=layer_mean)")
    assert [label.name for label in made.spec.labels] == ["object"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "nowhere"}, "gradbox: cannot tell the model from 'nowhere'"),
        ({"methods": "gradcam"}, "gradbox: unknown parameter 'methods' .did you mean method"),
        ({"labels": "bird;cat"}, "gradbox: gradbox/scenes has no class 'cat'"),
        ({"method": "gradcam", "min_score": 0.5}, "gradbox: min_score=0.5: the scores of"),
    ],
)
def test_a_wrong_parameter_is_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        create(**{"model": "gradbox/scenes", "method": METHOD, **wrong})


@pytest.mark.slow
def test_the_command_of_cvat_runs_it(
    network: gradbox.Classifier, images: Mapping[str, Image.Image]
) -> None:
    of = server(images, network.class_names)
    with serving(of):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "cvat_cli", "--server-host", of.url, "--auth", "user:pass"),
                *("task", "auto-annotate", str(TASK), "--function-module", "gradbox.cvat"),
                *("-p", "model=str:gradbox/scenes", "-p", f"method=str:{METHOD}"),
                *("-p", "device=str:cpu", "--conf-threshold", "0.01"),
            ],
            env={**os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    for shape, found in zip(of.shapes, boxes_of(network, images, method=METHOD), strict=True):
        assert iou(np.array([shape["points"]]), found.boxes[:1])[0, 0] > 0.999
