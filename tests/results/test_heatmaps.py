"""Maps on disk: float16 keeps eleven bits of the maximum, whatever the scale."""

from pathlib import Path

import numpy as np
import pytest

from gradbox.errors import UsageError
from gradbox.results.heatmaps import create_maps, open_maps


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_maps_of_any_scale_come_back_to_a_thousandth(tmp_path: Path, scale: float) -> None:
    heatmap = np.random.default_rng(0).random((8, 9)).astype(np.float32) * np.float32(scale)
    store = create_maps(tmp_path, ["a", "b"], {})
    store.put("b", heatmap)
    store.put("a", np.zeros((8, 9), dtype=np.float32))
    store.finish()
    read = open_maps(tmp_path)
    np.testing.assert_allclose(read["b"], heatmap, atol=float(heatmap.max()) / 2000)
    assert not read["a"].any()
    assert isinstance(read.maps, np.memmap)


def test_an_interrupted_store_goes_on_and_is_not_read_before(tmp_path: Path) -> None:
    create_maps(tmp_path, ["a", "b"], {"method": "m"}).put("a", np.ones((2, 2), np.float32))
    with pytest.raises(UsageError, match="no finished maps"):
        open_maps(tmp_path)
    again = create_maps(tmp_path, ["a", "b"], {"method": "m"})
    again.put("b", np.full((2, 2), 3, np.float32))
    again.finish()
    read = open_maps(tmp_path)
    assert (read["a"].max(), read["b"].max()) == (1, 3)


def test_maps_made_otherwise_are_not_overwritten(tmp_path: Path) -> None:
    store = create_maps(tmp_path, ["a"], {"method": "m"})
    store.put("a", np.ones((2, 2), np.float32))
    store.finish()
    with pytest.raises(UsageError, match="made otherwise"):
        create_maps(tmp_path, ["a"], {"method": "other"})
