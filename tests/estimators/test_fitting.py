from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from estimates import stacked
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from gradbox.errors import UsageError
from gradbox.estimators import fitting as regression
from gradbox.estimators import least_squares
from gradbox.estimators.features import pool_features
from gradbox.estimators.fitting import fit, solver_for, targets_for
from gradbox.estimators.learned import Regressor, Ridge, Sgd
from gradbox.estimators.least_squares import (
    ConjugateGradients,
    Gram,
    NormalEquations,
    Problem,
    descend,
    largest_eigenvalue,
)
from gradbox.estimators.rows import TrainingBatch
from gradbox.geometry import Frame

SIZE = 8
FITTED = {"method": "m", "model": "net", "model_hash": "aa"}


def image_hash(number: int) -> str:
    return f"{number:064x}"


def training_set(count: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Maps that are bright inside a box, and the boxes."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.5, (count, 2))
    high = low + rng.uniform(0.2, 0.5, (count, 2))
    targets = np.concatenate([low, high], axis=1)
    x = (np.arange(size) + 0.5) / size
    inside = [(x > low[:, [k]]) & (x < high[:, [k]]) for k in (0, 1)]
    bright = inside[1][:, :, None] & inside[0][:, None, :]
    maps = rng.random((count, size, size)) * np.where(bright, 1.0, 0.3)
    return maps.astype(np.float32), targets


def in_batches(
    maps: np.ndarray, targets: np.ndarray, images: list[str] | None = None
) -> Iterator[TrainingBatch]:
    hashes = images or [image_hash(number) for number in range(len(maps))]
    for start in range(0, len(maps), 7):
        part = slice(start, start + 7)
        yield TrainingBatch(maps[part], targets[part], hashes[part])


def problem(count: int, size: int = SIZE, folds: int = 3) -> Problem:
    maps, targets = training_set(count, size)
    return Problem.standardize(pool_features(maps, size), targets, np.arange(count) % folds)


def sklearn_weights(features: np.ndarray, targets: np.ndarray, penalty: float) -> np.ndarray:
    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    return SklearnRidge(alpha=penalty, solver="svd").fit(scaled, targets).coef_


@pytest.mark.parametrize("count", [40, 150], ids=["fewer rows than cells", "more rows"])
def test_ridge_equals_scikit_learn(count: int):
    maps, targets = training_set(count)
    regressor = fit(Ridge(grid=SIZE, penalty=2.0), in_batches(maps, targets), **FITTED)
    features = pool_features(maps, SIZE)
    np.testing.assert_allclose(
        regressor.weights, sklearn_weights(features, targets, 2.0), atol=1e-10
    )
    scaler = StandardScaler().fit(features.astype(np.float64))
    np.testing.assert_allclose(regressor.mean, scaler.mean_)
    np.testing.assert_allclose(regressor.scale, scaler.scale_)
    np.testing.assert_allclose(regressor.bias, targets.mean(axis=0))


@pytest.mark.parametrize("solver", [Gram, NormalEquations, ConjugateGradients])
@pytest.mark.parametrize("count", [40, 150])
def test_every_solver_finds_the_direct_solution(solver, count: int, monkeypatch):
    monkeypatch.setattr(least_squares, "BLOCK", 500)  # many blocks
    given = problem(count)
    z = given.rows(slice(None))
    centered = given.targets - given.targets.mean(axis=0)
    direct = np.linalg.solve(z.T @ z + 3.0 * np.eye(z.shape[1]), z.T @ centered)
    np.testing.assert_allclose(solver(given).weights(3.0), direct, atol=1e-8)


@pytest.mark.parametrize("solver", [Gram, NormalEquations, ConjugateGradients])
def test_held_out_error_is_that_of_scikit_learn_on_the_same_folds(solver):
    given = problem(60)
    predicted = cross_val_predict(
        SklearnRidge(alpha=4.0),
        given.rows(slice(None)),
        given.targets,
        cv=PredefinedSplit(given.fold),
    )
    expected = np.mean((predicted - given.targets) ** 2)
    assert solver(given).held_out_error(4.0) == pytest.approx(expected, rel=1e-9)


def test_the_chosen_penalty_has_the_least_held_out_error():
    maps, targets = training_set(80)
    regressor = fit(Ridge(grid=4, folds=4), in_batches(maps, targets), **FITTED)
    given = Problem.standardize(pool_features(maps, 4), targets, np.arange(80) % 4)
    errors = {p: Gram(given).held_out_error(p) for p in regression.PENALTIES * 16}
    assert regressor.origin.penalty == pytest.approx(min(errors, key=errors.__getitem__))


def test_a_map_of_every_pixel_streams_to_the_direct_solution(monkeypatch):
    # More cells than the normal equations take and more rows than the Gram matrix: passes on disk.
    monkeypatch.setattr(regression, "LARGEST_NORMAL", 100)
    monkeypatch.setattr(regression, "LARGEST_GRAM", 10)
    monkeypatch.setattr(least_squares, "BLOCK", 2000)
    assert isinstance(solver_for(problem(30, size=16)), ConjugateGradients)
    maps, targets = training_set(30, size=16)
    regressor = fit(Ridge(grid=16, penalty=5.0), in_batches(maps, targets), **FITTED)
    direct = sklearn_weights(pool_features(maps, 16), targets, 5.0)
    np.testing.assert_allclose(regressor.weights, direct, atol=1e-8)


def test_the_cheapest_solver_is_taken():
    assert isinstance(solver_for(problem(20)), Gram)
    assert isinstance(solver_for(problem(100)), NormalEquations)


def test_conjugate_gradients_that_do_not_converge_are_an_error():
    with pytest.raises(UsageError, match="larger penalty"):
        ConjugateGradients(problem(40), max_steps=2).weights(0.1)


def test_the_largest_eigenvalue_is_that_of_the_covariance():
    given = problem(100)
    expected = np.linalg.eigvalsh(np.cov(given.rows(slice(None)).T, bias=True))[-1]
    assert largest_eigenvalue(given, steps=200) == pytest.approx(expected, rel=1e-3)


def test_sgd_converges_to_least_squares():
    # An easy problem: 9 independent cells and no noise to speak of; nothing penalizes here.
    maps = np.random.default_rng(0).random((200, 3, 3), dtype=np.float32)
    targets = maps.reshape(200, 9)[:, :4] / 2
    options = Sgd(grid=3, lr=0.5, batch=200, steps=1000, drop_every=1000)
    regressor = fit(options, in_batches(maps, targets), **FITTED)
    features = pool_features(maps, 3)
    design = (features - regressor.mean) / regressor.scale
    # The shares of a map sum to 1, so one direction is only rounding: leave it out.
    expected = np.linalg.lstsq(design, targets - targets.mean(axis=0), rcond=1e-4)[0]
    np.testing.assert_allclose(design @ regressor.weights.T, design @ expected, atol=1e-6)


def test_sgd_is_seeded_and_takes_the_rate_from_the_eigenvalue():
    maps, targets = training_set(100)

    def weights(seed: int) -> np.ndarray:
        options = Sgd(grid=4, batch=32, steps=50, seed=seed)
        return fit(options, in_batches(maps, targets), **FITTED).weights

    np.testing.assert_array_equal(weights(0), weights(0))
    assert np.abs(weights(0) - weights(1)).max() > 0


def test_one_step_of_descent_by_hand():
    # One feature, z = (-1, 1), y - mean = (-1, 1): the gradient of 1/N sum 1/4 sum e^2 at 0 is
    # 1/4 * 2 * (-1), so a rate of 0.1 moves each weight to 0.05; after the drop it is 0.1 of that.
    features = np.array([[1.0], [3.0]], dtype=np.float32)
    targets = np.array([[0.0] * 4, [2.0] * 4])
    given = Problem.standardize(features, targets, np.zeros(2, dtype=int))
    settings = {"rate": 0.1, "batch": 2, "seed": 0}
    np.testing.assert_allclose(descend(given, steps=1, drop_every=9, **settings), 0.05)
    after_drop = 0.05 + 0.01 * 0.95 / 2
    np.testing.assert_allclose(descend(given, steps=2, drop_every=1, **settings)[0], after_drop)


def test_sgd_that_diverges_is_an_error():
    maps, targets = training_set(100)
    with pytest.raises(UsageError, match="diverged"):
        fit(Sgd(grid=8, lr=10.0), in_batches(maps, targets), **FITTED)


def test_blank_maps_are_left_out_and_counted():
    maps, targets = training_set(40)
    maps[5] = 0
    kept = np.arange(40) != 5
    hashes = [image_hash(number) for number in range(40)]
    with_blank = fit(Ridge(grid=4, penalty=1.0), in_batches(maps, targets, hashes), **FITTED)
    rest = [h for h, keep in zip(hashes, kept, strict=True) if keep]
    without = fit(Ridge(grid=4, penalty=1.0), in_batches(maps[kept], targets[kept], rest), **FITTED)
    np.testing.assert_array_equal(with_blank.weights, without.weights)
    assert (with_blank.origin.n_blank, with_blank.origin.n_images) == (1, 39)
    assert with_blank.image_hashes == frozenset(rest)


def test_a_constant_feature_changes_nothing():
    maps, targets = training_set(60)
    features = pool_features(maps, 4)
    constant = np.full((60, 1), 0.1, dtype=np.float32)
    fold = np.zeros(60, dtype=int)
    plain = Problem.standardize(features, targets, fold)
    more = Problem.standardize(np.concatenate([features, constant], axis=1), targets, fold)
    assert more.scale[-1] == 1
    weights = NormalEquations(more).weights(1.0)
    np.testing.assert_allclose(weights[:-1], NormalEquations(plain).weights(1.0), atol=1e-10)
    np.testing.assert_allclose(weights[-1], 0, atol=1e-10)


def test_rows_of_one_image_stay_in_one_fold_and_count_as_boxes(monkeypatch):
    maps, targets = training_set(40)
    seen: list[Problem] = []

    def keep(given: Problem) -> Gram:
        seen.append(given)
        return Gram(given)

    monkeypatch.setattr(regression, "solver_for", keep)
    images = [image_hash(number // 2) for number in range(40)]
    regressor = fit(Ridge(grid=4, boxes="each"), in_batches(maps, targets, images), **FITTED)
    assert (seen[0].fold[::2] == seen[0].fold[1::2]).all()
    assert set(seen[0].fold) == set(range(5))
    assert (regressor.origin.n_images, regressor.origin.n_boxes) == (20, 40)


def test_too_few_images_are_a_wrong_call():
    maps, targets = training_set(9)
    with pytest.raises(UsageError, match="at least 10"):
        fit(Ridge(), in_batches(maps, targets), **FITTED)
    with pytest.raises(UsageError, match="at least 2"):
        fit(Sgd(), iter([]), **FITTED)


def test_a_fitted_spec_is_not_fitted_again():
    with pytest.raises(UsageError, match="fitted already"):
        fit(Ridge(file="box.safetensors"), iter([]), **FITTED)


def test_the_origin_says_how_it_was_fitted():
    maps, targets = training_set(30)
    regressor: Regressor = fit(Ridge(grid=4, penalty=1.0), in_batches(maps, targets), **FITTED)
    options = "grid=4, features=cells, boxes=largest, penalty=1.0, folds=5"
    assert regressor.origin.kind == f"ridge({options})"
    assert (regressor.origin.method, regressor.origin.model_hash) == ("m", "aa")
    assert regressor.origin.n_boxes == 30


def test_targets_are_shares_of_the_input():
    # By hand: 200 x 400 becomes 100 x 200, of which columns 50 to 150 are the input.
    frame = Frame(original=(200, 400), resized=(100, 200), crop=(0, 50), input=(100, 100))
    boxes = np.array([[120.0, 20, 260, 180], [0.0, 0, 200, 100], [0.0, 0, 90, 90]])
    np.testing.assert_allclose(targets_for(boxes, frame, "largest"), [[0.1, 0.1, 0.8, 0.9]])
    each = [[0.1, 0.1, 0.8, 0.9], [0, 0, 0.5, 0.5]]  # the third lies outside the crop
    np.testing.assert_allclose(targets_for(boxes, frame, "each"), each)
    assert targets_for(boxes, frame, "single").shape == (0, 4)
    np.testing.assert_allclose(targets_for(boxes[1:2], frame, "single"), [[0, 0, 0.5, 0.5]])


@pytest.mark.parametrize("options", [Ridge(features="quantiles"), Sgd(features="quantiles")])
def test_quantiles_find_a_bright_box_anywhere(options: Ridge | Sgd, tmp_path: Path):
    """Fitted on 40 noisy maps, its corners on 40 others are far better than a constant box's."""
    maps, targets = training_set(80)
    fitted = fit(options, in_batches(maps[:40], targets[:40]), **FITTED)
    fitted.save(tmp_path / "box.safetensors")
    regressor = Regressor.load(tmp_path / "box.safetensors")
    assert (regressor.features, regressor.grid) == ("quantiles", None)
    boxes, _ = stacked(regressor.estimate(maps[40:], [Frame.squash((100, 100), (SIZE, SIZE))] * 40))
    constant = np.abs(targets[:40].mean(axis=0) - targets[40:]).mean()
    assert np.abs(boxes / 100 - targets[40:]).mean() < 0.6 * constant
