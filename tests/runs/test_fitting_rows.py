"""Rows that a linear map is fitted on: kept over a stop, and the same whoever makes them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradbox
from gradbox.datasets import Dataset
from gradbox.errors import UsageError
from gradbox.estimators.learned import Regressor
from gradbox.estimators.rows import PART, Stacked
from gradbox.images.batches import Loaded
from gradbox.runs.engines import Local
from gradbox.runs.execution import Running
from gradbox.runs.fitting_rows import RowsWorker

SHARD = 5  # of 24 images: four parts, and one of four
CALL: dict[str, Any] = {"method": "sensitivity", "box": "ridge(grid=4, folds=2)"}


@pytest.fixture
def dataset(discs: Path) -> Dataset:
    return gradbox.load_dataset(f"csv:{discs}")


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that maps were made of, as they are made."""
    found: list[str] = []
    made = RowsWorker._batch

    def noted(self: RowsWorker, usable: list[Loaded]) -> Any:
        found.extend(one.sample.image_id for one in usable)
        return made(self, usable)

    monkeypatch.setattr(RowsWorker, "_batch", noted)
    return found


def fit(
    dataset: Dataset,
    network: gradbox.Classifier,
    out: Path,
    rows: str | Path | None = None,
    **how: Any,
) -> Regressor:
    call = {**CALL, **{name: how.pop(name) for name in ("box", "method") if name in how}}
    running = Running(**{"shard": SHARD, "batch_size": 2, **how})
    found = gradbox.fit(dataset, network, out, running=running, rows=rows, **call)
    assert isinstance(found, Regressor)
    return found


def test_parts_of_any_size_give_the_same_file(
    dataset: Dataset, network: gradbox.Classifier, tmp_path: Path
) -> None:
    files = []
    for shard in (None, 5, 1):
        files.append(tmp_path / f"{shard}.safetensors")
        fit(dataset, network, files[-1], shard=shard, batch_size=1)
    assert len({path.read_bytes() for path in files}) == 1
    assert sorted(path.name for path in tmp_path.glob("*.rows")) == []


@pytest.mark.slow
def test_two_processes_make_the_parts_of_one(
    dataset: Dataset, network: gradbox.Classifier, tmp_path: Path
) -> None:
    parts = []
    for name, engine in (("one", Local(threads=1)), ("two", Local(processes=2, threads=1))):
        rows = tmp_path / name
        fit(dataset, network, tmp_path / f"{name}.safetensors", rows, engine=engine)
        parts.append({path.name: path.read_bytes() for path in rows.iterdir()})
    assert parts[0] == parts[1]
    assert len(parts[0]) == 5
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()


def test_a_call_that_was_stopped_goes_on(
    dataset: Dataset,
    network: gradbox.Classifier,
    mapped: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = fit(dataset, network, tmp_path / "whole.safetensors")
    mapped.clear()
    write = PART.encode
    left = iter([True, True])

    def stops(*of: Any) -> bytes:
        if not next(left, False):
            raise KeyboardInterrupt
        return write(*of)

    monkeypatch.setattr(type(PART), "encode", lambda _, *of: stops(*of))
    out = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(dataset, network, out)
    monkeypatch.undo()
    assert not out.exists()
    assert len(list((tmp_path / "out.safetensors.rows").iterdir())) == 2
    first = [one.image_id for one in dataset.samples][: 3 * SHARD]
    assert mapped == first  # and the third shard is done again
    (tmp_path / "out.safetensors.rows" / "of others").touch()
    again = fit(dataset, network, out)
    assert np.array_equal(again.weights, whole.weights)
    assert os.listdir(tmp_path / "out.safetensors.rows") == ["of others"]


def test_rows_that_are_kept_are_for_another_fit(
    dataset: Dataset, network: gradbox.Classifier, mapped: list[str], tmp_path: Path
) -> None:
    rows = tmp_path / "rows"
    fit(dataset, network, tmp_path / "one.safetensors", rows)
    assert len(mapped) == 24
    mapped.clear()
    box = "ridge(grid=4, penalty=3.0)"
    other = fit(dataset, network, tmp_path / "two.safetensors", rows, box=box)
    assert mapped == []
    fresh = fit(dataset, network, tmp_path / "three.safetensors", box=box)
    assert np.array_equal(other.weights, fresh.weights)
    mapped.clear()
    fit(dataset, network, tmp_path / "four.safetensors", rows, box="ridge(grid=3, folds=2)")
    assert len(mapped) == 24  # other features


def test_rows_in_a_store_are_those_of_a_folder(
    dataset: Dataset, network: gradbox.Classifier, mapped: list[str], tmp_path: Path, s3: str
) -> None:
    fit(dataset, network, tmp_path / "here.safetensors")
    mapped.clear()
    for name in ("there", "again"):
        fit(dataset, network, tmp_path / f"{name}.safetensors", f"{s3}/rows")
        assert (tmp_path / f"{name}.safetensors").read_bytes() == (
            tmp_path / "here.safetensors"
        ).read_bytes()
    assert len(mapped) == 24


def test_an_image_or_a_box_that_changed_makes_its_part_again(
    discs: Path,
    dataset: Dataset,
    network: gradbox.Classifier,
    mapped: list[str],
    tmp_path: Path,
) -> None:
    rows = tmp_path / "rows"
    fit(dataset, network, tmp_path / "one.safetensors", rows)
    os.utime(discs / "images" / "07.png", ns=(1, 1))
    mapped.clear()
    fit(dataset, network, tmp_path / "two.safetensors", rows)
    assert mapped == ["05.png", "06.png", "07.png", "08.png", "09.png"]
    table = discs / "boxes.csv"
    lines = table.read_text().splitlines()
    (row,) = [i for i, line in enumerate(lines) if line.startswith("20.png")]
    values = lines[row].split(",")
    lines[row] = ",".join([*values[:-1], str(int(values[-1]) - 1)])
    table.write_text("\n".join(lines))
    mapped.clear()
    fit(gradbox.load_dataset(f"csv:{discs}"), network, tmp_path / "three.safetensors", rows)
    assert mapped == ["20.png", "21.png", "22.png", "23.png"]


def test_a_part_that_is_damaged_is_named(
    dataset: Dataset, network: gradbox.Classifier, tmp_path: Path
) -> None:
    rows = tmp_path / "rows"
    fit(dataset, network, tmp_path / "one.safetensors", rows)
    part = sorted(rows.iterdir())[2]
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(UsageError, match=rf"{part.name} is not a whole safetensors file"):
        fit(dataset, network, tmp_path / "two.safetensors", rows)


def test_auto_is_fitted_in_one_process(
    dataset: Dataset, network: gradbox.Classifier, tmp_path: Path
) -> None:
    call = (dataset, network, tmp_path / "out.safetensors")
    for how in ({"shard": 4}, {"engine": Local(processes=2)}):
        with pytest.raises(UsageError, match="auto is fitted in one process"):
            gradbox.fit(*call, method="auto", running=Running(**how))
    with pytest.raises(UsageError, match="leave out --rows"):
        gradbox.fit(*call, method="auto", rows=tmp_path / "rows")


@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    seed=st.integers(0, 9),
)
def test_stacked_rows_are_those_of_one_array(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.random((n, 6), dtype=np.float32) for n in lengths]
    whole, stacked = np.concatenate(parts), Stacked(parts)
    assert stacked.shape == whole.shape
    for start in range(len(whole) + 1):
        for stop in range(start, len(whole) + 3):
            assert np.array_equal(stacked[start:stop], whole[start:stop])
    assert np.array_equal(stacked[:, 2:4], whole[:, 2:4])
    if len(whole):
        chosen = rng.integers(0, len(whole), 7)
        assert np.array_equal(stacked[chosen], whole[chosen])


def test_a_mapped_array_is_the_one_that_was_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for count in (0, 3):
        path = tmp_path / f"{count}.safetensors"
        arrays = {
            "features": rng.random((count, 5), dtype=np.float32),
            "targets": rng.random((count, 4)),
            "images": rng.integers(0, 255, (count, 32)).astype(np.uint8),
        }
        PART.save(path, arrays, {"blank": "0"})
        found, header = PART.load(path, mapped=("features",))
        assert header["blank"] == "0"
        for name, array in arrays.items():
            assert np.array_equal(found[name], array)
            assert found[name].dtype == array.dtype
