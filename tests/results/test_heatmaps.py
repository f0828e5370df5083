"""Maps on disk: float16 keeps eleven bits of the maximum, whatever the scale; parts are whole."""

from pathlib import Path

import numpy as np
import pytest

from gradbox.errors import UsageError
from gradbox.localization import Sample
from gradbox.results.heatmaps import create_maps, open_maps
from gradbox.results.inputs import Input


def sample(name: str) -> Sample:
    """An image whose file is away."""
    return Sample(image_id=name, source=Path("nowhere") / name)


ONES = np.ones((2, 2), np.float32)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_maps_of_any_scale_come_back_to_a_thousandth(tmp_path: Path, scale: float) -> None:
    heatmap = np.random.default_rng(0).random((8, 9)).astype(np.float32) * np.float32(scale)
    with create_maps(tmp_path, {}) as store:
        store.put([("b", Input(), heatmap), ("a", Input(), np.zeros((8, 9), dtype=np.float32))])
    read = open_maps(tmp_path)
    np.testing.assert_allclose(read["b"], heatmap, atol=float(heatmap.max()) / 2000)
    assert not read["a"].any()


def test_an_interrupted_store_goes_on(tmp_path: Path) -> None:
    with create_maps(tmp_path, {"method": "m"}) as store:
        store.put([("a", Input(), ONES)])
    with create_maps(tmp_path, {"method": "m"}) as again:
        assert again.has(sample("a"), Input())
        again.put([("b", Input(), 3 * ONES)])
    read = open_maps(tmp_path)
    assert (read["a"].max(), read["b"].max()) == (1, 3)


def test_a_map_of_another_file_or_class_is_not_the_one_asked_for(tmp_path: Path) -> None:
    needed = Input(bytes=9, mtime_ns=1, sha256="0" * 64, asked=(1,))
    with create_maps(tmp_path, {}) as store:
        store.put([("a", needed, ONES)])
        assert store.has(sample("a"), needed)
        for other in ({"bytes": 8}, {"mtime_ns": 2}, {"asked": (2,)}):
            changed = Input(**{"bytes": 9, "mtime_ns": 1, "asked": (1,), **other})
            assert not store.has(sample("a"), changed)
        store.put([("a", needed, 5 * ONES)])  # made again, it takes the place of the first
    assert open_maps(tmp_path)["a"].max() == 5


def test_maps_made_otherwise_are_not_overwritten(tmp_path: Path) -> None:
    with create_maps(tmp_path, {"method": "m"}) as store:
        store.put([("a", Input(), ONES)])
    with pytest.raises(UsageError, match="made otherwise"), create_maps(tmp_path, {"method": "x"}):
        pass


@pytest.mark.parametrize("name", ["0000001.npy", "0000001.jsonl"])
def test_a_part_cut_anywhere_is_made_again_and_never_zeros(name: str, tmp_path: Path) -> None:
    with create_maps(tmp_path, {}) as store:
        store.put([("a", Input(), ONES)])
        store.put([("b", Input(), ONES)])
    whole = (tmp_path / "parts" / name).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "parts" / name).write_bytes(whole[:length])
        with create_maps(tmp_path, {}) as store:
            there = [store.has(sample(name), Input()) for name in ("a", "b")]
            assert there == [False, True]
    (tmp_path / "parts" / name).write_bytes(whole)
    assert open_maps(tmp_path)["a"].max() == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"size": [0, 1]}', '{"size": "ab"}'])
def test_a_damaged_header_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text(content)
    for opened in (lambda: open_maps(tmp_path), lambda: create_maps(tmp_path, {}).__enter__()):
        with pytest.raises(UsageError, match=r"maps\.json is damaged"):
            opened()
