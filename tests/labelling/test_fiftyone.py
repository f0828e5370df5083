"""FiftyOne itself, on its own database: boxes, masks and maps go in and come out again."""

import re
from pathlib import Path

import numpy as np
import pytest

import gradbox
from gradbox.boxes import iou
from gradbox.exports import to_fiftyone
from gradbox.localization import Localization

fo = pytest.importorskip("fiftyone", reason="make labelling")
pytestmark = [pytest.mark.labelling, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def network():
    return gradbox.load_classifier("gradbox/scenes", device="cpu")


def corners(detection, size):
    height, width = size
    x, y, w, h = detection.bounding_box
    return np.array([x * width, y * height, (x + w) * width, (y + h) * height])


def whole_mask(detection, size, first=np.floor):
    """A detection's mask over the whole image, from the first pixel of its box on."""
    mask = np.zeros(size, bool)
    left, top = first(corners(detection, size)[:2] + 1e-6).astype(int)
    height, width = detection.mask.shape
    mask[top : top + height, left : left + width] = detection.mask
    return mask


def test_samples_come_back_from_the_database_as_they_were(located, network):
    found = gradbox.localize(located.samples, network, method="sensitivity", masks=True)
    kept = list(found)
    dataset = fo.Dataset("gradbox")
    dataset.add_samples(
        [
            fo.Sample(filepath=str(one.source), **to_fiftyone(what))
            for one, what in zip(located.samples, kept, strict=True)
        ]
    )
    dataset.reload()
    for sample, what in zip(dataset, kept, strict=True):
        assert isinstance(what, Localization)
        (detection,) = sample.boxes.detections
        np.testing.assert_allclose(corners(detection, what.size), what.boxes[0], atol=1e-9)
        assert detection.label == what.names[0]
        assert (detection.confidence, detection.label_score) == (
            what.scores[0],
            what.label_scores[0],
        )
        left, top, right, bottom = what.boxes[0]
        inside = np.zeros(what.size, bool)
        inside[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
        np.testing.assert_array_equal(whole_mask(detection, what.size), what.mask & inside)
        np.testing.assert_allclose(
            sample.heatmap.map, what.heatmap.clip(min=0), rtol=1e-6, atol=1e-9
        )
        assert sample.heatmap.range == [0, pytest.approx(what.heatmap.max())]
    # A second implementation of overlap: FiftyOne's own evaluation finds as many boxes as we do.
    for sample, truth in zip(dataset, located.samples, strict=True):
        height, width = 224, 224
        sample["truth"] = fo.Detections(
            detections=[
                fo.Detection(
                    label=label,
                    bounding_box=[
                        *(box[:2] / [width, height]),
                        *((box[2:] - box[:2]) / [width, height]),
                    ],
                )
                for box, label in zip(truth.boxes, truth.labels, strict=True)
            ]
        )
        sample.save()
    dataset.evaluate_detections(
        "boxes", gt_field="truth", eval_key="eval", iou=0.5, classwise=False
    )
    expected = [
        int(iou(what.boxes, truth.boxes).max() >= 0.5)
        for what, truth in zip(kept, located.samples, strict=True)
    ]
    assert dataset.values("eval_tp") == expected
    assert sum(expected) > 0


@pytest.mark.parametrize(
    ("kind", "file"), [("COCODetectionDataset", "coco.json"), ("CVATImageDataset", "cvat.xml")]
)
def test_its_importers_read_the_files(located, kind, file):
    dataset = fo.Dataset.from_dir(
        data_path=str(located.images),
        labels_path=str(located.out / file),
        dataset_type=getattr(fo.types, kind),
        **({"label_types": ["detections", "segmentations"]} if "COCO" in kind else {}),
    )
    by_name = {sample.filepath.rpartition("/")[2]: sample for sample in dataset}
    assert len(by_name) == len(located.found)
    for what in located.found:
        sample = by_name[what.image_id]
        (detection,) = sample.detections.detections
        # Its importer of CVAT's files makes whole pixels of all numbers.
        atol = 0.001 if "COCO" in kind else 0.51
        np.testing.assert_allclose(corners(detection, what.size), what.boxes[0], atol=atol)
        assert detection.label == what.names[0]
        if "COCO" in kind:
            (segmented,) = sample.segmentations.detections
            # The mask is cut at the pixels that are nearest to the box.
            left, top, right, bottom = np.rint(what.boxes[0]).astype(int)
            inside = np.zeros(what.size, bool)
            inside[top:bottom, left:right] = True
            np.testing.assert_array_equal(
                whole_mask(segmented, what.size, np.rint), what.mask & inside
            )


def test_the_program_of_the_page_runs(located, network):
    page = (Path(__file__).parents[2] / "docs" / "exports.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(import fiftyone.*?)session = ", page, flags=re.DOTALL)
    paths = [one.source for one in located.samples]
    names = {"gradbox": gradbox, "to_fiftyone": to_fiftyone, "network": network, "paths": paths}
    exec(program, names)
    samples = {sample.filepath: sample for sample in names["dataset"]}
    assert set(samples) == set(map(str, paths))
    assert all(sample.boxes.detections and sample.heatmap for sample in samples.values())


def test_it_reads_the_yolo_folder(located):
    yolo = located.out / "yolo"
    for image in located.images.iterdir():
        (yolo / "images" / image.name).symlink_to(image)
    dataset = fo.Dataset.from_dir(
        dataset_dir=str(yolo),
        dataset_type=fo.types.YOLOv5Dataset,
        split="train",
        yaml_path="data.yaml",
    )
    by_name = {sample.filepath.rpartition("/")[2]: sample for sample in dataset}
    for what in located.found:
        (detection,) = by_name[what.image_id].ground_truth.detections
        np.testing.assert_allclose(corners(detection, what.size), what.boxes[0], atol=1e-4)
