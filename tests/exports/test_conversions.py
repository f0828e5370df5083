"""What was found as values of other libraries, by hand and by the libraries' own arithmetic."""

import json
import subprocess
import sys

import numpy as np
import pandas
import supervision

from gradbox.errors import ImageError
from gradbox.exports import to_dict, to_pandas, to_supervision
from gradbox.exports.csv import COLUMNS
from gradbox.localization import Localization
from gradbox.results.predictions import from_line

MASK = np.zeros((20, 30), bool)
MASK[4:8, 5:15] = True


def found(labels: tuple[int | None, ...] = (7, 3), mask: np.ndarray | None = MASK) -> Localization:
    n = len(labels)
    return Localization(
        image_id="a.jpg",
        size=(20, 30),
        boxes=np.array([[5, 4, 15.5, 8], [0, 0, 30, 20]])[:n],
        labels=labels,
        label_scores=(0.75, 0.25)[:n],
        scores=(0.5, 0.125)[:n],
        names=tuple({7: "crane", 3: "cock", None: None}[label] for label in labels),
        mask=mask,
    )


def test_a_dictionary_is_the_line_of_the_predictions() -> None:
    line = json.loads(json.dumps(to_dict(found())))
    again = from_line(line, masks=True)
    assert isinstance(again, Localization)
    assert (again.names, again.scores) == (("crane", "cock"), (0.5, 0.125))
    np.testing.assert_array_equal(again.boxes, found().boxes)
    np.testing.assert_array_equal(again.mask, MASK)
    failed = ImageError("the file is empty", image_id="b.jpg")
    assert to_dict(failed) == {"image": "b.jpg", "error": "the file is empty"}


def test_detections_of_supervision_are_the_boxes() -> None:
    # A second implementation: supervision's own areas and overlaps of masks and of boxes.
    detections = to_supervision(found())
    np.testing.assert_array_equal(detections.xyxy, found().boxes)
    assert detections.class_id.tolist() == [7, 3]
    assert detections.confidence.tolist() == [0.5, 0.125]
    assert detections["class_name"].tolist() == ["crane", "cock"]
    assert detections.area.tolist() == [4 * 10, 20 * 30]
    assert detections.box_area.tolist() == [4 * 10.5, 20 * 30]
    assert len(detections.with_nms(threshold=0.5, class_agnostic=True)) == 2
    assert len(detections[detections.confidence > 0.3]) == 1


def test_detections_without_class_box_or_mask() -> None:
    assert to_supervision(found((None,))).class_id is None
    assert to_supervision(found(mask=None)).mask is None
    empty = to_supervision(found(()))
    assert len(empty) == 0
    assert len(supervision.Detections.merge([empty, to_supervision(found())])) == 2


def test_supervision_draws_them() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    drawn = supervision.MaskAnnotator(opacity=1.0).annotate(image.copy(), to_supervision(found()))
    assert drawn[4:8, 5:15].any(axis=2).all()


def test_a_frame_has_a_row_for_each_box_and_for_images_without() -> None:
    failed = ImageError("the file is empty", image_id="b.jpg")
    frame = to_pandas(iter([found(), failed, found(())]))
    assert list(frame.columns) == [*COLUMNS, "error"]
    assert frame["image"].tolist() == ["a.jpg", "a.jpg", "b.jpg", "a.jpg"]
    assert frame["class"][:2].tolist() == ["crane", "cock"]
    assert frame.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == [5, 4, 15.5, 8]
    assert frame["score"].isna().tolist() == [False, False, True, True]
    assert frame["error"][2] == "the file is empty"
    assert str(frame.dtypes["label"]) == "Int64"
    # What it is for: the mean score of each class, and boxes above a score.
    assert frame.groupby("class")["score"].mean().to_dict() == {"cock": 0.125, "crane": 0.5}
    assert len(frame[frame["score"] > 0.3]) == 1


def test_a_frame_of_nothing_has_its_columns_and_types() -> None:
    frame = to_pandas([])
    assert len(frame) == 0
    assert isinstance(frame, pandas.DataFrame)
    assert str(frame.dtypes["xmin"]) == "float64"


def test_what_is_not_installed_is_one_line_and_not_needed_before() -> None:
    code = """
import sys
sys.modules["pandas"] = sys.modules["fiftyone"] = None  # as where they are not installed
from gradbox import UsageError, exports
for convert in (exports.to_pandas, exports.to_fiftyone):
    try:
        convert([])
    except UsageError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "to_pandas needs pandas: pip install 'gradbox[pandas]'",
        "to_fiftyone needs fiftyone: pip install fiftyone",
    ]
