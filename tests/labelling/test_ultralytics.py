"""Ultralytics' own rules for a folder of YOLO: it finds every image, label and class."""

import numpy as np
import pytest

ultralytics = pytest.importorskip("ultralytics", reason="make labelling")
pytestmark = [pytest.mark.labelling, pytest.mark.filterwarnings("default")]


def test_its_loader_finds_every_box_and_calls_nothing_corrupt(located, tmp_path):
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    yolo = tmp_path / "yolo"
    yolo.symlink_to(located.out / "yolo")
    for image in located.images.iterdir():
        (yolo / "images" / image.name).symlink_to(image)
    checked = check_det_dataset(str(yolo / "data.yaml"), autodownload=False)
    names = list(checked["names"].values())
    dataset = YOLODataset(img_path=checked["train"], data=checked, augment=False)
    by_name = {label["im_file"].rpartition("/")[2]: label for label in dataset.labels}
    assert len(by_name) == len(located.found)
    for found in located.found:
        label, (height, width) = by_name[found.image_id], found.size
        assert label["shape"] == found.size
        x, y, w, h = (label["bboxes"] * [width, height, width, height]).T
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
        np.testing.assert_allclose(boxes, found.boxes, atol=1e-3)
        assert [names[int(number)] for number in label["cls"][:, 0]] == list(found.names)
