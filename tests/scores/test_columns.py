"""Rows that stand on disk beyond a block: whatever the block, they are those of one array."""

import tracemalloc

import numpy as np
import pytest

from gradbox.scores import columns
from gradbox.scores.columns import Columns

TYPES = {"image": "i4", "iou": "f8", "hit": "?"}


def rows(count: int) -> list[tuple[int, float, bool]]:
    rng = np.random.default_rng(0)
    return [(i, float(rng.random()), bool(rng.integers(2))) for i in range(count)]


def made(some: list[tuple[int, float, bool]]) -> Columns:
    table = Columns(TYPES)
    for row in some:
        table.append(row)
    return table


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 40])
def test_columns_are_those_of_one_array(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BLOCK", 7)
    table, expected = made(rows(count)), np.array(rows(count), dtype=[*TYPES.items()])
    assert len(table) == count
    for name in TYPES:
        assert table[name].tolist() == expected[name].tolist()
    assert np.concatenate([*table.blocks()]).tolist() == expected.tolist()


@pytest.mark.parametrize("cut", [0, 3, 7, 20, 40])
def test_rows_of_others_come_behind(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BLOCK", 7)
    first, rest = made(rows(40)[:cut]), made(rows(40)[cut:])
    first.extend(rest)
    assert first["iou"].tolist() == made(rows(40))["iou"].tolist()
    first.append(rows(1)[0])
    assert len(first) == 41
    assert first["image"][-1] == 0


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is held whatever comes: 8,000 rows of 13 bytes would take 104,000."""
    monkeypatch.setattr(columns, "_BLOCK", 200)
    peaks = []
    for count in (800, 8000):
        tracemalloc.start()
        table = Columns(TYPES)
        for i in range(count):
            table.append((i, 0.5, True))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 10_000
    assert table["image"].tolist() == list(range(8000))
