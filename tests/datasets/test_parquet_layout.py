"""`parquet:FILE` on tiny files written here, on broken ones, and on rows that are read in parts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

from gradbox.datasets import limit, load_dataset, parquet, split  # noqa: E402
from gradbox.errors import UsageError  # noqa: E402

CAT: Mapping[str, Any] = {
    "path": "in/a.jpg",
    "class": "cat",
    "width": 40,
    "height": 30,
    "boxes": [[1.0, 2.0, 11.5, 22.0], [30.0, 3.0, 50.0, 9.0]],
    "labels": ["cat", "dog"],
    "mask": "masks/a.png",
}
BARE: Mapping[str, Any] = {**dict.fromkeys(CAT), "path": "b.jpg"}

Write = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(rows: Sequence[Mapping[str, Any]], schema: Any = None, **how: Any) -> str:
        table = pa.Table.from_pylist(list(rows), schema=schema)
        pq.write_table(table, tmp_path / "truth.parquet", **how)
        return f"parquet:{tmp_path}/truth.parquet"

    return write


def numbered(count: int) -> list[dict[str, Any]]:
    """Images of which each has a box as wide as its number."""
    return [
        {"path": f"{i:05}.jpg", "class": "a" if i % 2 else "b", "boxes": [[0.0, 0.0, i + 1.0, 5.0]]}
        for i in range(count)
    ]


def test_a_row_is_an_image(written: Write, tmp_path: Path) -> None:
    dataset = load_dataset(written([CAT, BARE]))
    a, b = dataset.samples
    assert (a.image_id, a.source, a.size) == ("in/a.jpg", tmp_path / "in/a.jpg", (30, 40))
    assert a.boxes.tolist() == [[1, 2, 11.5, 22], [30, 3, 40, 9]]  # the second reached outside
    assert (a.labels, a.label, a.mask) == (("cat", "dog"), "cat", tmp_path / "masks/a.png")
    assert (b.label, b.labels, b.mask, b.size, len(b.boxes)) == (None, (), None, None, 0)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.spec == f"parquet:{tmp_path}/truth.parquet"
    assert dataset.problems == (
        "1 of 2 images without boxes, such as b.jpg",
        "1 of 2 images with a box that reached outside (clipped), such as in/a.jpg",
    )


def test_boxes_without_labels_are_of_the_images_class(written: Write) -> None:
    row = {key: CAT[key] for key in ("path", "class", "boxes")}
    assert load_dataset(written([row])).samples[0].labels == ("cat", "cat")


def test_rows_in_any_order_of_access_are_those_of_the_file(
    written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held in windows of 10 rows over row groups of 16: the box says which row came back."""
    monkeypatch.setattr(parquet, "_ROWS", 10)
    samples = load_dataset(written(numbered(57), row_group_size=16)).samples
    assert len(samples) == 57
    for number in (0, 9, 10, 31, 30, 56, -1, 3, 48):
        assert samples[number].boxes[0, 2] == number % 57 + 1
    assert [one.boxes[0, 2] for one in samples[5:40:7]] == [6, 13, 20, 27, 34]
    assert [one.boxes[0, 2] - 1 for one in samples] == list(range(57))
    pairs = zip(samples, samples, strict=True)  # two readers at once
    assert all(a.image_id == b.image_id for a, b in pairs)
    with pytest.raises(IndexError):
        samples[57]


def test_parts_are_those_of_the_same_images_in_a_list(written: Write) -> None:
    samples = load_dataset(written(numbered(40))).samples
    for one in (list(samples), list(samples)[::-1]):
        for part in (1, 2):
            lazy = {s.image_id for s in split(samples, (0.3, 0.7), part, 5)}
            assert lazy == {s.image_id for s in split(one, (0.3, 0.7), part, 5)}
        assert {s.image_id for s in limit(samples, 7, 1)} == {s.image_id for s in limit(one, 7, 1)}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"file": "a.jpg"}], "has no column path: its columns are file"),
        ([], "no images in it|has no column path"),
        ([{"path": 3}], "the column path holds int64; write text"),
        ([{**CAT, "boxes": [1.0, 2.0]}], "the column boxes holds list<.*; write a list of lists"),
        ([{**CAT, "width": "40"}], "the column width holds string; write a whole number"),
        ([CAT, {**CAT, "path": None}], "row 2: path: None is no text; write some"),
        ([{**CAT, "boxes": [[1.0, 2.0, 3.0]]}], r"row 1: boxes have the shape .*; write xmin"),
        ([{**CAT, "boxes": [[9.0, 2.0, 3.0, 4.0]]}], "row 1: a box has xmax < xmin"),
        ([{**CAT, "boxes": [[float("nan"), 2.0, 3.0, 4.0]]}], "row 1: .*not a finite number"),
        ([{**CAT, "labels": ["cat"]}], "row 1: 2 boxes and 1 labels; give each box its class"),
        ([{**CAT, "labels": None, "class": None}], "row 1: 2 boxes and 0 labels; give each box"),
        ([{**CAT, "height": -3}], "row 1: height -3: write a whole number of pixels"),
        ([CAT, BARE, CAT], "in/a.jpg is listed twice or more"),
        ([{**CAT, "path": "../a.jpg"}], "lies outside the images"),
        ([{**CAT, "path": "/a.jpg"}], "lies outside the images"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_where(
    rows: Sequence[Mapping[str, Any]], reason: str, written: Write
) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        load_dataset(written(rows))
    assert "\n" not in str(caught.value)


def test_no_file_and_a_damaged_one_are_named(written: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing.parquet: there is no such file"):
        load_dataset(f"parquet:{tmp_path}/missing.parquet")
    text = written([CAT, BARE])
    file = tmp_path / "truth.parquet"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match="is no parquet file"):
        load_dataset(text)
