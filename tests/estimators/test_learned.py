import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from estimates import stacked
from safetensors import safe_open
from safetensors.numpy import save_file

from gradbox.boxes import choose
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.features import n_features
from gradbox.estimators.learned import FILE, Origin, Regressor, Ridge
from gradbox.geometry import Frame
from gradbox.specs import build, canonical

HASHES = frozenset(f"{number:064x}" for number in (3, 255))
ORIGIN = Origin(
    kind="ridge(grid=2)",
    method="sensitivity(target=class_score)",
    model="net",
    model_hash="aa",
    layer="last",
    preprocessing="224",
    n_images=2,
    n_boxes=3,
    penalty=0.5,
)


@pytest.fixture
def regressor() -> Regressor:
    """On a 2 x 2 grid: xmin is the share of the map in the top left cell, times 4 (4 cells)."""
    weights = np.zeros((4, 4))
    weights[0, 0] = 1
    return Regressor(
        weights=weights,
        bias=np.array([0.0, 0.25, 1.0, 0.75]),
        mean=np.zeros(4),
        scale=np.array([0.5, 1.0, 1.0, 1.0]),
        origin=ORIGIN,
        image_hashes=HASHES,
    )


def test_corners_are_shares_of_the_input(regressor: Regressor):
    # By hand: the top left cell of 4 x 4 pixels holds 1/4 of the sum, on average 1/16 a pixel;
    # divided by the scale 0.5 this is xmin = 1/8 of the input, 25 of 200 original pixels.
    heatmap = np.ones((1, 4, 4), dtype=np.float32)
    boxes, scores = stacked(regressor.estimate(heatmap, [Frame.squash((100, 200), (4, 4))]))
    np.testing.assert_allclose(boxes, [[25, 25, 200, 75]])
    assert scores[0] == pytest.approx(7 / 8 / 2)


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        ([0.75, 0.75, 0.25, 0.25], [25, 25, 75, 75]),  # corners in the wrong order
        ([0.5, 0.5, 0.5, 0.5], [49.5, 49.5, 50.5, 50.5]),  # no area
        ([1.5, -2.0, 1.75, -1.5], [99, 0, 100, 1]),  # beyond the image
    ],
)
def test_corners_that_make_no_box_are_repaired(regressor: Regressor, bias, expected):
    bent = replace(regressor, weights=np.zeros((4, 4)), bias=np.array(bias))
    heatmap = np.ones((1, 4, 4), dtype=np.float32)
    boxes, _ = stacked(bent.estimate(heatmap, [Frame.squash((100, 100), (4, 4))]))
    assert boxes.tolist() == [expected]


def test_a_file_holds_the_whole_regressor(regressor: Regressor, tmp_path: Path):
    path = tmp_path / "new" / "box.safetensors"
    regressor.save(path)
    loaded = Regressor.load(path)
    for name in ("weights", "bias", "mean", "scale"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(regressor, name))
    assert loaded.origin == ORIGIN
    assert loaded.image_hashes == HASHES
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    (path.parent / "any").touch()
    assert path.stat().st_mode == (path.parent / "any").stat().st_mode  # no more private than usual


def test_a_spec_with_a_file_uses_it(regressor: Regressor, tmp_path: Path):
    path = tmp_path / "my box.safetensors"
    regressor.save(path)
    heatmaps = np.random.default_rng(0).random((2, 4, 4), dtype=np.float32)
    frames = [Frame.squash((100, 200), (4, 4))] * 2
    for text in (f"ridge('{path}')", f"sgd(file='{path}')", f"ridge('{path}', grid=2)"):
        boxes, _ = stacked(build(text, ESTIMATORS).estimate(heatmaps, frames))
        np.testing.assert_array_equal(boxes, stacked(regressor.estimate(heatmaps, frames))[0])
    for other in ("grid=14", "features=quantiles"):
        with pytest.raises(UsageError, match=rf"grid=2, not {other}"):
            stacked(build(f"ridge('{path}', {other})", ESTIMATORS).estimate(heatmaps, frames))


def test_an_unfitted_spec_says_how_to_fit_it():
    assert Ridge().grid == 14
    with pytest.raises(UsageError, match=r"gradbox fit .* 'ridge\(grid=7\)'"):
        stacked(Ridge(grid=7).estimate(np.ones((1, 8, 8), dtype=np.float32), []))
    with pytest.raises(UsageError, match=r"gradbox fit .* 'ridge\(features=quantiles\)'"):
        stacked(Ridge(features="quantiles").estimate(np.ones((1, 8, 8), dtype=np.float32), []))
    with pytest.raises(ValueError, match="grid=7"):
        Ridge(grid=7, features="quantiles")


def test_another_method_or_other_weights_are_refused_with_both_values(regressor: Regressor):
    made = {"method": ORIGIN.method, "model_hash": "aa", "layer": "last", "preprocessing": "224"}
    regressor.check(**made)
    with pytest.raises(UsageError, match=r"class_score.*not other"):
        regressor.check(**{**made, "method": "other"})
    with pytest.raises(UsageError, match=r"net.*aa, not bb"):
        regressor.check(**{**made, "model_hash": "bb"})
    with pytest.raises(UsageError, match=r"last, not first"):
        regressor.check(**{**made, "layer": "first"})
    with pytest.raises(UsageError, match=r"224, not 299"):
        regressor.check(**{**made, "preprocessing": "299"})


def test_it_knows_the_images_it_has_seen(regressor: Regressor):
    assert regressor.seen.has("any.png", f"{3:064x}")
    assert not regressor.seen.has("any.png", f"{4:064x}")


def test_files_that_are_no_regressor_are_refused(regressor: Regressor, tmp_path: Path):
    path = tmp_path / "box.safetensors"
    with pytest.raises(UsageError, match="no file"):
        Regressor.load(path)
    path.write_bytes(b"not tensors at all")
    with pytest.raises(UsageError, match="not a whole safetensors"):
        Regressor.load(path)
    regressor.save(path)
    path.write_bytes(path.read_bytes()[:-8])  # cut short
    with pytest.raises(UsageError, match="not a whole safetensors"):
        Regressor.load(path)
    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(UsageError, match="not a box regressor"):
        Regressor.load(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format_version": "2"}, "newer gradbox"),
        ({"format_version": "1"}, "damaged"),
        ({"format_version": "1", "origin": json.dumps({"colour": 1})}, "damaged"),
        ({}, "newer gradbox"),
    ],
)
def test_headers_it_cannot_read_are_refused(tmp_path: Path, header, message):
    path = tmp_path / "box.safetensors"
    save_file({"weights": np.zeros(3)}, path, metadata={"format": FILE.format, **header})
    with pytest.raises(UsageError, match=message):
        Regressor.load(path)


def test_a_file_with_unknown_features_is_refused(regressor: Regressor, tmp_path: Path):
    path = tmp_path / "box.safetensors"
    regressor.save(path)
    with safe_open(path, framework="numpy") as stream:
        header, names = stream.metadata(), stream.keys()
        tensors = {name: stream.get_tensor(name) for name in names}
    save_file(tensors, path, metadata={**header, "features": "edges"})
    with pytest.raises(UsageError, match="features=edges"):
        Regressor.load(path)


def test_arrays_that_do_not_fit_together_are_refused(regressor: Regressor):
    five = np.ones(5)  # no square number of cells
    with pytest.raises(ValueError, match="do not fit"):
        replace(regressor, mean=five, scale=five, weights=np.zeros((4, 5)))
    n = n_features("quantiles", None)
    some = replace(
        regressor, mean=np.ones(n), scale=np.ones(n), weights=np.zeros((4, n)), features="quantiles"
    )
    assert some.grid is None
    with pytest.raises(ValueError, match="do not fit"):
        replace(some, mean=five, scale=five, weights=np.zeros((4, 5)))


@pytest.mark.parametrize("option", ["penalty=3", "boxes=each", "folds=7"])
def test_options_of_the_fit_are_refused_beside_a_file(option: str):
    with pytest.raises(UsageError, match=r"for fitting, and box\.safetensors is fitted"):
        build(f"ridge(box.safetensors, {option})", ESTIMATORS)
    assert canonical(build("ridge(box.safetensors)", ESTIMATORS), ESTIMATORS) == (
        "ridge(file=box.safetensors)"
    )


@pytest.mark.parametrize(
    ("which", "count", "expected"),
    [
        ("largest", 2, [1]),
        ("each", 2, [0, 1]),
        ("single", 2, []),
        ("single", 1, [0]),
        ("largest", 0, []),
    ],
)
def test_choose_by_hand(which, count, expected):
    boxes = np.array([[0.0, 0, 2, 2], [1.0, 1, 9, 9]])[:count]
    np.testing.assert_array_equal(choose(boxes, which), boxes[expected])
