"""Each format is read back by another reader than the one that wrote it."""

import csv
import json
import weakref

import numpy as np
import pytest
import supervision
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.mask import decode, encode

from gradbox import datasets
from gradbox.boxes import from_inclusive
from gradbox.brush import from_brush
from gradbox.datasets import annotation
from gradbox.datasets.documents import read_xml
from gradbox.errors import UsageError
from gradbox.exports import FORMATS, About
from gradbox.exports.coco import run_lengths
from gradbox.geometry import filled_box
from gradbox.labelstudio.configuration import parse
from gradbox.localization import Localization

NAMES = {None: "object", 3: 'käfer, "big" <&>', 7: "crane"}
ABOUT = About(names=NAMES.__getitem__, source_of=lambda _: np.zeros((100, 200, 3), dtype=np.uint8))
PYCOCOTOOLS_DECODES = pytest.mark.filterwarnings("ignore:__array__ implementation")  # its own
few = settings(max_examples=10, deadline=None)


def localization(image_id, boxes, labels, size=(100, 200), mask=None):
    n = len(labels)
    return Localization(
        image_id=image_id,
        size=size,
        boxes=np.array(boxes, dtype=float).reshape(n, 4),
        labels=tuple(labels),
        label_scores=(0.75,) * n,
        scores=tuple(0.5 / (i + 1) for i in range(n)),
        mask=mask,
    )


@st.composite
def sides(draw, length):
    """A part of at least one pixel of a side of this length."""
    low = draw(st.floats(0, length - 1))
    return low, draw(st.floats(low + 1, length))


@st.composite
def contents(draw):
    """The size, boxes and labels of one image, with up to three boxes."""
    height, width = draw(st.integers(3, 300)), draw(st.integers(3, 300))
    labels = draw(st.lists(st.sampled_from(list(NAMES)), max_size=3))
    boxes = []
    for _ in labels:
        (xmin, xmax), (ymin, ymax) = draw(sides(width)), draw(sides(height))
        boxes.append([xmin, ymin, xmax, ymax])
    return boxes, labels, (height, width)


some_images = st.lists(contents(), min_size=1, max_size=3)


def localizations(images, pattern="{0}.png"):
    return [localization(pattern.format(i), *image) for i, image in enumerate(images)]


def written(name, found, out):
    return FORMATS[name](iter(found), ABOUT, out)


def with_images(found, factory):
    """A new folder with an image of the right size for each of these localizations."""
    out = factory.mktemp("out")
    for one in found:
        path = out / "images" / one.image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", one.size[::-1]).save(path)
    return out


def names_of(one):
    return tuple(NAMES[label] for label in one.labels)


SPECS = {
    "csv": "csv:{out}",
    "coco": "coco:{out}/images@{path}",
    "cvat": "cvat:{out}/images@{path}",
    "yolo": "yolo:{path}",
}
"""The formats that are data sets too."""


@pytest.mark.parametrize("name", SPECS)
@few
@given(images=some_images)
def test_the_data_set_loaders_read_the_same_boxes(tmp_path_factory, name, images):
    found = localizations(images, "folder {0}/a.png")
    out = with_images(found, tmp_path_factory)
    path = written(name, found, out)
    if name == "yolo":  # whose images the user puts there
        (path / "images").rmdir()
        (path / "images").symlink_to(out / "images")
    samples = datasets.load_dataset(SPECS[name].format(out=out, path=path)).samples
    for one, sample in zip(found, samples, strict=True):
        assert sample.image_id == one.image_id
        assert sample.labels == names_of(one)
        # COCO holds differences, so the last bit may be lost; YOLO and CVAT hold rounded numbers.
        atol = {"yolo": 1e-5, "cvat": 0.00501}.get(name, 1e-12)
        np.testing.assert_allclose(sample.boxes, one.boxes, rtol=1e-13, atol=atol)


def from_coco(images, path):
    return supervision.DetectionDataset.from_coco(images, str(path))


def from_yolo(images, path):
    labels, classes = str(path / "labels"), str(path / "data.yaml")
    return supervision.DetectionDataset.from_yolo(images, labels, classes)


def from_voc(images, path):
    return supervision.DetectionDataset.from_pascal_voc(images, str(path / "Annotations"))


READERS = {"coco": (from_coco, 1e-4), "yolo": (from_yolo, 1e-4), "voc": (from_voc, 0.501)}
"""A second implementation and its tolerance: it holds float32, and VOC's boxes whole pixels."""


@pytest.mark.parametrize("name", READERS)
@few
@given(images=some_images)
def test_supervision_reads_the_same_boxes(tmp_path_factory, name, images):
    found = localizations(images)
    read, tolerance = READERS[name]
    out = with_images(found, tmp_path_factory)
    dataset = read(str(out / "images"), written(name, found, out))
    for one in found:
        detections = dataset.annotations[str(out / "images" / one.image_id)]
        assert len(detections) == len(one.boxes)
        if len(one.boxes):
            np.testing.assert_allclose(detections.xyxy, one.boxes, rtol=0, atol=tolerance)
            assert tuple(dataset.classes[i] for i in detections.class_id) == names_of(one)


@few
@given(images=some_images)
def test_our_reader_of_voc_finds_pixels_counted_from_one(tmp_path_factory, images):
    found = localizations(images, "{0}/a.png")
    folder = written("voc", found, tmp_path_factory.mktemp("out"))
    for one in found:
        read = annotation.read((folder / "Annotations" / one.image_id).with_suffix(".xml"))
        assert read.labels == names_of(one)
        assert read.size == one.size
        assert np.abs(from_inclusive(read.boxes) - one.boxes).max(initial=0) <= 0.5


def test_a_voc_box_has_a_pixel(tmp_path):
    # By hand: 99.7 rounds to 100, which is no first pixel of a side of 100; pixel 100 is the last.
    folder = written(
        "voc", [localization("a.jpg", [[99.7, 0.2, 100, 0.4]], [7], (50, 100))], tmp_path
    )
    read = annotation.read(folder / "Annotations" / "a.xml")
    assert read.boxes.tolist() == [[100, 1, 100, 1]]


def test_csv_has_the_index_and_the_scores_besides(tmp_path):
    found = [localization("a.jpg", [[1, 2, 3, 4.5], [0, 0, 9, 9]], [7, None])]
    with written("csv", found, tmp_path).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["label"], row["label_score"], row["score"]) for row in rows] == [
        ("7", "0.75", "0.5"),
        ("", "0.75", "0.25"),
    ]


def pack(mask):
    """A mask packed by pycocotools, which wrote the format."""
    return encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


@PYCOCOTOOLS_DECODES
@few
@given(mask=arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.booleans()))
def test_run_lengths_are_those_of_pycocotools(mask):
    assert run_lengths(mask) == {"size": list(mask.shape), "counts": pack(mask)}
    np.testing.assert_array_equal(decode(run_lengths(mask)), mask)


@PYCOCOTOOLS_DECODES
def test_pycocotools_loads_coco_with_every_mask_and_every_id_once(tmp_path):
    # Two images of two boxes each: a mask with a hole stays exact, a box is its own pixels.
    mask = np.zeros((100, 200), bool)
    mask[20:40, 10:40] = True
    mask[25:30, 15:20] = False
    boxes = [[10, 20, 40, 40], [50.0, 60, 70, 90]]
    found = [localization(f"{i}.jpg", boxes, [7, 3], mask=mask) for i in range(2)]
    dataset = COCO(str(written("coco", found, tmp_path)))
    assert [len(set(ids)) for ids in (dataset.getAnnIds(), dataset.getImgIds())] == [4, 2]
    for image in dataset.getImgIds():
        first, second = dataset.loadAnns(dataset.getAnnIds(image))
        np.testing.assert_array_equal(dataset.annToMask(first).astype(bool), mask)
        np.testing.assert_array_equal(
            dataset.annToMask(second).astype(bool), filled_box(np.array(boxes[1]), (100, 200))
        )
        assert first["area"] == mask.sum()


def test_coco_by_hand(tmp_path):
    mask = np.zeros((100, 200), bool)
    mask[20:40, 10:40] = True
    mask[25:30, 15:20] = False
    found = [
        localization("empty.jpg", [], []),
        localization("a.jpg", [[10, 20, 40, 40], [0, 0, 2, 3]], [7, None], mask=mask),
    ]
    content = json.loads(written("coco", found, tmp_path).read_text(encoding="utf-8"))
    assert content["images"][1] == {"id": 2, "file_name": "a.jpg", "width": 200, "height": 100}
    assert content["categories"] == [{"id": 1, "name": "crane"}, {"id": 2, "name": "object"}]
    first, second = content["annotations"]
    assert first == {
        "id": 1,
        "image_id": 2,
        "category_id": 1,
        "bbox": [10, 20, 30, 20],
        "area": 30 * 20 - 5 * 5,
        "iscrowd": 0,
        # Zeros before column 10, row 20 of columns 100 high, then runs of 20 down the columns.
        "segmentation": {"size": [100, 200], "counts": pack(mask)},
        "label_score": 0.75,
        "score": 0.5,
    }
    polygons = json.loads(written("coco_polygons", found, tmp_path).read_text(encoding="utf-8"))
    outline = {"segmentation": [[10, 20, 10, 40, 40, 40, 40, 20]]}
    assert polygons["annotations"][0] == {**first, **outline}
    assert (second["id"], second["area"]) == (2, 6)
    assert second["segmentation"] == [[0, 0, 0, 3, 2, 3, 2, 0]]  # no mask: the box, 2 wide, 3 high


def test_every_coco_annotation_has_pixels_for_a_reader_of_masks(tmp_path):
    # A second implementation reads outlines, also of boxes without a mask or with an empty one: by
    # hand, a box from (10, 20) to (40, 40) covers 30 x 20 pixels. `pycocotools` fails on [].
    found = [
        localization("a.png", [[10, 20, 40, 40], [50, 50, 60, 70]], [7, None]),
        localization("b.png", [[10, 20, 40, 40]], [7], mask=np.zeros((100, 200), bool)),
    ]
    (tmp_path / "images").mkdir()
    for one in found:
        Image.new("RGB", (200, 100)).save(tmp_path / "images" / one.image_id)
    path = written("coco", found, tmp_path)
    read = supervision.DetectionDataset.from_coco(
        str(tmp_path / "images"), str(path), force_masks=True
    )
    masks = [detections.mask for _, _, detections in read]
    # OpenCV's filled polygons include their edge, so a side has up to one pixel more.
    assert 30 * 20 <= masks[0][0].sum() <= 31 * 21
    assert 10 * 20 <= masks[0][1].sum() <= 11 * 21
    assert 30 * 20 <= masks[1][0].sum() <= 31 * 21


SEVERAL = [[10, 20, 40, 40], [50, 50, 60, 70], [0, 0, 200, 100]]


def scored_csv(path):
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            box = [float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")]
            yield row["class"], box, float(row["score"])


def scored_coco(path):
    content = json.loads(path.read_text("utf-8"))
    names = {one["id"]: one["name"] for one in content["categories"]}
    for one in content["annotations"]:
        left, top, width, height = one["bbox"]
        yield names[one["category_id"]], [left, top, left + width, top + height], one["score"]


def scored_labelstudio(path):
    tasks = json.loads((path / "tasks.json").read_text("utf-8"))
    ((prediction,),) = (task["predictions"] for task in tasks)
    for one in prediction["result"]:
        value = one["value"]
        x, y, width, height = (value[key] for key in ("x", "y", "width", "height"))
        box = [2 * x, y, 2 * (x + width), y + height]  # percent of 200 x 100
        yield value["rectanglelabels"][0], box, one["score"]


def scored_yolo(path):
    classes = (path / "classes.txt").read_text("utf-8").splitlines()
    for line in (path / "labels" / "a.txt").read_text("utf-8").splitlines():
        number, x, y, width, height = map(float, line.split())
        left, top = 200 * (x - width / 2), 100 * (y - height / 2)
        yield classes[int(number)], [left, top, left + 200 * width, top + 100 * height], None


def scored_voc(path):
    read = annotation.read(path / "Annotations" / "a.xml")
    for name, box in zip(read.labels, from_inclusive(read.boxes).tolist(), strict=True):
        yield name, box, None


def scored_cvat(path):
    for one in read_xml(path).iterfind("image/box"):
        yield one.get("label"), [float(one.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")], None


def scored_openimages(path):
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            shares = [float(row[key]) for key in ("XMin", "YMin", "XMax", "YMax")]
            yield (
                row["LabelName"],
                np.multiply(shares, [200, 100, 200, 100]),
                float(row["Confidence"]),
            )


def scored_crops(path):
    return scored_csv(path / "crops.csv")


SCORED = {
    "coco": scored_coco,
    "coco_polygons": scored_coco,
    "crops": scored_crops,
    "csv": scored_csv,
    "cvat": scored_cvat,
    "labelstudio": scored_labelstudio,
    "openimages": scored_openimages,
    "voc": scored_voc,
    "yolo": scored_yolo,
}


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"masks"}))
def test_every_box_of_an_image_is_written_with_its_score(name, tmp_path):
    # Matrix over the registry: two boxes of one class and one without, the main one first; CVAT,
    # VOC and YOLO have no place for a score.
    found = localization("a.jpg", SEVERAL, [7, 7, None])
    names, boxes, scores = zip(*SCORED[name](written(name, [found], tmp_path)), strict=True)
    assert names == ("crane", "crane", "object")
    np.testing.assert_allclose(boxes, SEVERAL, atol=1e-5)
    assert scores in (found.scores, (None,) * 3)
    assert (None in scores) is (name in ("cvat", "voc", "yolo"))


def test_yolo_by_hand(tmp_path):
    # 200 x 100: centre (50, 30) and sides 80 x 40 as shares; classes count as they are met.
    found = [
        localization("a/b.v1.jpg", [[10, 10, 90, 50], [0, 0, 200, 100]], [7, None]),
        localization("a/c.jpg", [], []),
    ]
    folder = written("yolo", found, tmp_path)
    assert (folder / "labels/a/b.v1.txt").read_text() == (
        "0 0.25000000 0.30000000 0.40000000 0.40000000\n"
        "1 0.50000000 0.50000000 1.00000000 1.00000000\n"
    )
    assert (folder / "labels/a/c.txt").read_text() == ""
    assert (folder / "classes.txt").read_text() == "crane\nobject\n"
    config = yaml.safe_load((folder / "data.yaml").read_text())
    assert config == {"train": "images", "val": "images", "names": ["crane", "object"]}
    assert (folder / config["train"]).is_dir()  # its images go there


def test_label_studio_by_hand(tmp_path):
    # Percent of a 200 x 100 image.
    found = [localization("a/b.jpg", [[10, 10, 90, 50]], [7]), localization("c.jpg", [], [])]
    folder = written("labelstudio", found, tmp_path)
    task, empty = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    assert task["data"] == {"image": "a/b.jpg"}
    (prediction,) = task["predictions"]
    (result,) = prediction["result"]
    assert (prediction["score"], result["score"]) == (0.5, 0.5)
    assert (result["original_width"], result["original_height"]) == (200, 100)
    assert result["value"] == {
        "x": 5.0,
        "y": 10.0,
        "width": 40.0,
        "height": 40.0,
        "rotation": 0,
        "rectanglelabels": ["crane"],
    }
    assert empty["predictions"][0]["result"] == []
    config = parse((folder / "config.xml").read_text(encoding="utf-8"))
    assert config.key in task["data"]
    assert {name: [*one.labels] for name, one in config.controls.items()} == {
        "rectangle": ["crane"]
    }


def test_label_studio_has_the_mask_as_a_brush(tmp_path):
    # Read back by the decoder; the configuration gets the tag that shows it.
    mask = np.zeros((100, 200), dtype=bool)
    mask[10:50, 10:90] = True
    found = localization("b.jpg", [[10, 10, 90, 50]], [7], mask=mask)
    folder = written("labelstudio", [found], tmp_path)
    (task,) = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    _, brush = task["predictions"][0]["result"]
    np.testing.assert_array_equal(from_brush(brush["value"]["rle"], 100, 200), mask)
    config = parse((folder / "config.xml").read_text(encoding="utf-8"))
    assert (brush["from_name"], brush["to_name"]) == (
        config.controls["brush"].from_name,
        config.controls["brush"].to_name,
    )


def test_a_cvat_mask_by_hand(tmp_path):
    # Its own box is 3 x 2 from (10, 20): 110 and 011, so no zeros, 2 ones, 2 zeros, 2 ones.
    mask = np.zeros((100, 200), bool)
    mask[20, 10:12] = mask[21, 11:13] = True
    found = [localization("a.jpg", [[10, 20, 13, 22]], [7], mask=mask)]
    tree = read_xml(written("cvat", found, tmp_path))
    one = tree.find("image/mask")
    assert {key: one.get(key) for key in ("label", "rle", "left", "top", "width", "height")} == {
        "label": "crane",
        "rle": "0, 2, 2, 2",
        "left": "10",
        "top": "20",
        "width": "3",
        "height": "2",
    }
    assert [name.text for name in tree.iterfind("meta//label/name")] == ["crane"]


def snapshot(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", FORMATS)
def test_writing_again_replaces_and_leaves_the_arguments(name, tmp_path):
    # Matrix over the registry: nothing of an earlier run stays, and no array is shifted.
    old = [localization("old.jpg", [[1, 2, 3, 4]], [3])]
    new = [localization("new.jpg", [[10.5, 20, 40, 50]], [7])]
    before = new[0].boxes.copy()
    written(name, old, tmp_path / "twice")
    path = written(name, new, tmp_path / "twice")
    written(name, new, tmp_path / "once")
    assert path.exists()
    assert snapshot(tmp_path / "twice") == snapshot(tmp_path / "once")
    np.testing.assert_array_equal(new[0].boxes, before)


@pytest.mark.parametrize("name", FORMATS)
def test_a_failure_leaves_what_was_there(name, tmp_path):
    # Matrix over the registry: an export that breaks off is no export.
    def broken():
        yield localization("b.jpg", [[1, 2, 3, 4]], [3])
        raise RuntimeError("power cut")

    written(name, [localization("a.jpg", [[1, 2, 3, 4]], [3])], tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        FORMATS[name](broken(), ABOUT, tmp_path)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", FORMATS)
def test_no_localization_is_kept_in_memory(name, tmp_path):
    # Matrix over the registry: the one before the last is gone when the next one is asked for.
    given = []

    def lazily():
        for i in range(5):
            one = localization(f"{i}.jpg", [[1, 2, 3, 4]], [3])
            given.append(weakref.ref(one))
            yield one
            del one
            assert all(before() is None for before in given[:-1])

    FORMATS[name](lazily(), ABOUT, tmp_path)
    assert len(given) == 5


@pytest.mark.parametrize("name", ["yolo", "voc"])
def test_images_that_share_a_file_are_refused(name, tmp_path):
    found = [localization("a.jpg", [], []), localization("a.png", [], [])]
    with pytest.raises(UsageError, match=r"a\.png and another image would both have a\."):
        written(name, found, tmp_path)


def test_a_folder_of_the_user_beside_the_labels_stays(tmp_path):
    # Who trains puts the images beside the labels; a second export must not remove them.
    mine = tmp_path / "yolo" / "images" / "a.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    written("yolo", [localization("a.jpg", [], [])], tmp_path)
    assert mine.read_bytes() == b"mine"
