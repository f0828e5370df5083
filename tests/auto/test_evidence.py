"""The numbers that a box is judged by, by hand on small grids."""

import numpy as np
import pytest

from gradbox.auto.evidence import FEATURES, evidence


def square(rows: slice, columns: slice, side: int = 10) -> np.ndarray:
    cells = np.zeros((side, side), dtype=bool)
    cells[rows, columns] = True
    return cells


def named(row: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, row.tolist(), strict=True))


def test_a_sharp_square_by_hand() -> None:
    """16 of 100 cells, P 1 inside and 0 outside: nothing speaks against it."""
    cells = square(slice(2, 6), slice(3, 7))
    (row,) = evidence(cells.astype(float), cells.astype(float), cells[None], probability=0.5)
    assert named(row) == {
        "inside": 1.0, "on_object": 1.0, "rim": 0.0, "highest": 1.0, "outside": 0.0, "filled": 1.0,
        "share": 1.0, "wider": 1.0, "tighter": 1.0, "size": pytest.approx(0.4), "border": 0.0,
        "log_probability": pytest.approx(np.log(0.5)), "log_objects": 0.0, "further": 0.0,
    }  # fmt: skip


def test_what_spills_over_speaks_against_a_box() -> None:
    """A core of 4 x 4 with a halo of one cell at half its height: 16 + 20 * 0.5 = 26 in all.

    The object is the core: its box holds 16 / 26 of the map, P on the rim (1 cell wide: 20 cells)
    is 0.5, the box from 0.3 of the peak on is 6 x 6, so the IoU is 16 / 36.
    """
    core, halo = square(slice(3, 7), slice(3, 7)), square(slice(2, 8), slice(2, 8))
    heatmap = np.where(core, 1.0, np.where(halo, 0.5, 0.0))
    (row,) = evidence(heatmap, heatmap, core[None], probability=1.0)
    found = named(row)
    assert found["share"] == pytest.approx(16 / 26)
    assert found["rim"] == pytest.approx(0.5)
    assert found["outside"] == pytest.approx(10 / 84)
    assert found["wider"] == pytest.approx(16 / 36)
    assert (found["tighter"], found["log_probability"]) == (1.0, 0.0)


def test_several_objects_and_the_border() -> None:
    corner, other = square(slice(0, 2), slice(0, 2)), square(slice(5, 9), slice(5, 10))
    heatmap = np.where(corner, 0.7, np.where(other, 1.0, 0.0))
    main, further = map(named, evidence(heatmap, heatmap, np.stack([other, corner]), 0.0))
    assert (main["further"], further["further"]) == (0.0, 1.0)
    assert main["log_objects"] == further["log_objects"] == pytest.approx(np.log(2))
    assert (main["border"], further["border"]) == (0.25, 0.5)  # right; left and top
    assert main["log_probability"] == pytest.approx(np.log(1e-6))  # no logarithm of nothing


def test_p_and_the_heat_map_are_told_apart() -> None:
    """Cells that the class does not look at are still foreground."""
    cells = square(slice(2, 6), slice(2, 6))
    foreground = np.full((10, 10), 0.8)
    (row,) = evidence(cells.astype(float), foreground, cells[None], 0.9)
    found = named(row)
    assert [found[k] for k in ("inside", "rim", "outside")] == pytest.approx([0.8] * 3)
    assert found["share"] == 1.0


def test_an_object_on_the_whole_grid_has_no_outside() -> None:
    cells = np.ones((1, 3, 5), dtype=bool)
    (row,) = evidence(np.ones((3, 5)), np.full((3, 5), 0.3), cells, 0.5)
    found = named(row)
    assert (found["rim"], found["outside"], found["border"], found["size"]) == (0.0, 0.0, 1.0, 1.0)
