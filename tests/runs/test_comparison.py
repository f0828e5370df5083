"""Comparisons: each run is what `evaluate` gives, on the same images, with honest fitting."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradbox import cli
from gradbox.attribution.class_maps import ClassMaps
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.estimators.learned import Regressor
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier
from gradbox.models.load import SCENES, load_classifier
from gradbox.pipeline import evaluate
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Report, Running

pytestmark = pytest.mark.slow

MASS, TOP = "sensitivity | mass", "sensitivity | top_fraction(0.2, sigma=4)"
HALVES = Part(shares=(0.5, 0.5), number=2)


@pytest.fixture
def network(card: Path) -> Classifier:
    return load_classifier(str(card), device="cpu")


def table(out: Path) -> dict[str, Any]:
    return json.loads((out / "compare.json").read_text("utf-8"))  # type: ignore[no-any-return]


def run(discs: Path, network: Classifier, out: Path, runs: Sequence[str], **how: Any) -> Report:
    return compare(load_dataset(f"csv:{discs}"), [network], out, runs=runs, **how)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The images of each batch that maps are made of, the gallery left out."""
    made: list[tuple[str, ...]] = []
    inner = ClassMaps.maps

    def counted(self: ClassMaps, batch: Batch) -> Any:
        made.append(batch.image_ids)
        return inner(self, batch)

    monkeypatch.setattr(ClassMaps, "maps", counted)
    monkeypatch.setattr("gradbox.runs.comparison.gallery", lambda *_: [])
    return made


def test_each_run_is_what_evaluate_gives(discs: Path, network: Classifier, tmp_path: Path) -> None:
    attention = "sensitivity(target=layer_mean, reduce=max) | mass"
    run(discs, network, tmp_path / "all", [MASS, TOP, attention])
    rows = {row["run"]: row for row in table(tmp_path / "all")["runs"]}
    for i, text in enumerate((MASS, TOP, attention)):
        method, box = text.split(" | ")
        alone = tmp_path / f"alone{i}"
        report = evaluate(load_dataset(f"csv:{discs}"), network, alone, method=method, box=box)
        assert report.metrics is not None
        folder = tmp_path / "all" / rows[text]["folder"]
        for name in ("predictions.jsonl", "images.sha256"):
            assert (folder / name).read_bytes() == (alone / name).read_bytes()
        for key in (
            "corloc",
            "corloc_interval",
            "mean_iou",
            "pointing_game",
            "supervision",
            "detection",
        ):
            assert rows[text][key] == report.metrics[key]
        assert table(tmp_path / "all")["baselines"].keys() == report.metrics["baselines"].keys()
        # the attention map looks for no class, the others for the recognized one: disc is known
        assert rows[text]["detection"]["by_class"] is (text != attention)


def test_best_first_with_differences_to_it(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    run(discs, network, tmp_path / "out", [TOP, MASS, "sensitivity | whole"])
    found = table(tmp_path / "out")
    first, *others = found["runs"]
    assert "difference" not in first
    assert all(first["corloc"] >= row["corloc"] for row in others)
    for row in [*others, *found["baselines"].values()]:
        for key in ("corloc", "mean_iou"):
            mean, low, high = row["difference"][key]
            assert mean == pytest.approx(row[key] - first[key])
            assert low <= mean <= high
        assert 0 <= row["mcnemar"] <= 1
    whole = next(row for row in others if row["run"] == "sensitivity | whole")
    assert whole["corloc"] == found["baselines"]["whole"]["corloc"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_maps_are_made_once_for_all_boxes(
    discs: Path, network: Classifier, tmp_path: Path, calls: list[tuple[str, ...]]
) -> None:
    run(discs, network, tmp_path / "out", [MASS, TOP, "sensitivity | whole"])
    images = [image for batch in calls for image in batch]
    assert sorted(images) == [f"{i:02}.png" for i in range(24)]


def test_it_goes_on_with_more_runs_and_makes_nothing_twice(
    discs: Path, network: Classifier, tmp_path: Path, calls: list[tuple[str, ...]]
) -> None:
    run(discs, network, tmp_path / "out", [MASS])
    before = table(tmp_path / "out")
    calls.clear()
    run(discs, network, tmp_path / "out", [MASS])
    assert calls == []
    assert table(tmp_path / "out") == before  # also the seconds of the first call
    run(discs, network, tmp_path / "out", [MASS, "sensitivity(reduce=max) | mass"])
    assert len([image for batch in calls for image in batch]) == 24
    with pytest.raises(UsageError, match="--overwrite"):
        run(discs, network, tmp_path / "out", [MASS], part=HALVES)


def test_a_box_is_learned_on_the_other_part(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(discs, network, out, [MASS, "sensitivity | ridge(grid=4)"], part=HALVES)
    rows = {row["run"]: row for row in table(out)["runs"]}
    learned = rows["sensitivity | ridge(grid=4)"]
    assert (learned["supervision"], rows[MASS]["supervision"]) == ("12 boxes", "none")
    assert learned["detection"]["n_predicted_boxes"] == 12  # a learned box is one each image
    (file,) = (out / "boxes").glob("*.safetensors")
    scored = (out / learned["folder"] / "images.sha256").read_text("utf-8").split()[::2]
    assert len(scored) == 12
    seen = Regressor.load(file).seen
    assert not any(seen.has("", digest) for digest in scored)
    assert table(out)["baselines"]["center(mean)"]["oracle"] is False


def test_twins_across_the_parts_are_named_and_not_fitted_on(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    dataset = load_dataset(f"csv:{discs}")
    scored, fitted = (
        next(iter(Part(shares=(0.5, 0.5), number=n).of(dataset.samples))).image_id for n in (2, 1)
    )
    shutil.copy(discs / "images" / scored, discs / "images" / fitted)
    out = tmp_path / "out"
    run(discs, network, out, ["sensitivity | ridge(grid=4, folds=2)"], part=HALVES)
    (row,) = table(out)["runs"]
    assert row["supervision"] == "11 boxes"
    assert f"{fitted} = {scored}" in table(out)["problems"][0]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["sensitivity | ridge(grid=4)"], "--split 0.5/0.5"),
        (["sensitivity | mass", "sensitivity|mass"], "given twice"),
        ([], "--run"),
        (["sensitivty | mass"], "did you mean sensitivity"),
        (["sensitivity | mas"], "did you mean mass"),
        (["dam(instances=true) | mass"], "boxes that dam makes itself"),
        (["sensitivity | mass", "dam(abstain=0.1) | ridge"], "boxes that dam makes itself"),
    ],
)
def test_a_wrong_call_says_what_to_type(
    runs: list[str], said: str, discs: Path, network: Classifier, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        run(discs, network, tmp_path / "out", runs)
    assert not list((tmp_path / "out").glob("*/predictions.jsonl*"))


def test_two_models_and_an_image_that_cannot_be_read(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (discs / "images" / "03.png").write_text("no image")
    other = card.with_name("other.toml")
    other.write_text(card.read_text().replace("[64, 64]", "[48, 48]"))
    words = ["gradbox", "compare", f"csv:{discs}", "--model", str(card), "--model", str(other)]
    words += ["--run", MASS, "--out", str(tmp_path / "out"), "--device", "cpu"]
    argv, sys.argv = sys.argv, words
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        sys.argv = argv
    assert end.value.code == 1
    found = table(tmp_path / "out")
    assert sorted(row["run"] for row in found["runs"]) == [
        f"{name}: {MASS}" for name in sorted((card.stem, other.stem))
    ]
    assert (found["n_images"], list(found["failures"])) == (23, ["03.png"])
    said = capsys.readouterr()
    assert "23 units of 23 images" in said.out
    assert said.err.count("gradbox: 03.png") == 1


def test_saved_maps_are_scored_by_wsolevaluations_protocol(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    running = Running(save_maps=tmp_path / "maps")
    run(discs, network, tmp_path / "out", [MASS, TOP], running=running)
    wsol = table(tmp_path / "out")["wsol"]
    assert list(wsol) == ["sensitivity"]  # one method, two boxes: one set of maps
    for key in ("max_box_acc", "max_box_acc_v2"):
        assert 0 <= wsol["sensitivity"][key]["held_out"] <= wsol["sensitivity"][key]["maximum"] <= 1


DAM = "dam(percentile=90, dilations=2, erosions=2)"


def scenes(out: Path, runs: Sequence[str]) -> dict[str, Any]:
    """Four scenes, which have true masks, with the classifier that is built in."""
    compare(
        load_dataset("scenes:4,seed=11"), [load_classifier(SCENES, device="cpu")], out, runs=runs
    )
    return table(out)


@pytest.mark.slow
def test_masks_of_scenes_are_scored_as_evaluate_scores_them(tmp_path: Path) -> None:
    found = scenes(tmp_path / "all", [DAM, MASS])
    rows = {row["run"]: row for row in found["runs"]}
    dataset, classifier = load_dataset("scenes:4,seed=11"), load_classifier(SCENES, device="cpu")
    for text, kinds in ((DAM, {"mask", "box_filled"}), (MASS, {"box_filled"})):
        method, _, box = text.partition(" | ")
        report = evaluate(dataset, classifier, tmp_path / method, method=method, box=box or None)
        assert report.metrics is not None
        assert rows[text]["masks"] == report.metrics["masks"]
        assert set(rows[text]["masks"]) == {*kinds, "true_box_filled"}
        for name, row in found["baselines"].items():
            assert row["masks"] == report.metrics["baselines"][name]["masks"]
    # the visible pixels of scenes are all inside the whole image
    assert found["baselines"]["whole"]["masks"]["box_filled"]["mean_recall"] == 1
    said = (tmp_path / "all" / "report.html").read_text("utf-8")
    assert said.count(">own mask<") == 1
    assert said.count(">box, filled<") == 2 + 3 + 1  # the runs, the constant boxes, the true box


def test_masks_are_read_again_where_a_comparison_goes_on(
    tmp_path: Path, calls: list[tuple[str, ...]]
) -> None:
    before = scenes(tmp_path / "out", [DAM, MASS])
    calls.clear()
    assert scenes(tmp_path / "out", [DAM, MASS]) == before
    assert calls == []


def with_masks(discs: Path) -> str:
    """The data set with the true mask of each image: its upper half."""
    half = np.zeros((80, 100, 3), dtype=np.uint8)
    half[:40] = 255
    (discs / "masks").mkdir()
    for i in range(24):
        Image.fromarray(half).save(discs / "masks" / f"{i:02}.png")
    return f"csv:{discs}"


def test_masks_are_scored_on_the_images_that_failed_in_no_run(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    dataset = load_dataset(with_masks(discs))
    (discs / "images" / "03.png").write_text("no image")
    compare(dataset, [network], tmp_path / "out", runs=[MASS, "sensitivity | whole"])
    found = table(tmp_path / "out")
    rows = [row["masks"]["box_filled"] for row in (*found["runs"], *found["baselines"].values())]
    assert [row["n_masks"] for row in rows] == [23] * 5
    every = [row["detection"] for row in (*found["runs"], *found["baselines"].values())]
    assert [row["n_true_boxes"] for row in every] == [23] * 5
    (whole,) = (row["masks"] for row in found["runs"] if row["run"] == "sensitivity | whole")
    assert whole["box_filled"] == found["baselines"]["whole"]["masks"]["box_filled"]
    assert whole["box_filled"]["mean_iou"] == 0.5  # half of each image is the object
    # a box of the whole image is that of the baseline too, but for its score, always 1 there
    (boxes,) = (row["detection"] for row in found["runs"] if row["run"] == "sensitivity | whole")
    constant = found["baselines"]["whole"]["detection"]
    assert boxes["recall30"] == constant["recall30"]


def test_masks_that_came_later_are_not_scored_with_what_was_found_without(
    discs: Path, network: Classifier, tmp_path: Path
) -> None:
    run(discs, network, tmp_path / "out", [MASS])
    assert table(tmp_path / "out")["runs"][0]["masks"] == {}
    with_masks(discs)
    with pytest.raises(UsageError, match=r"masks was False, is now True.*--overwrite"):
        run(discs, network, tmp_path / "out", [MASS])


def test_the_maps_of_dam_are_saved_and_scored_too(tmp_path: Path) -> None:
    running = Running(save_maps=tmp_path / "maps")
    dataset, classifier = load_dataset("scenes:4,seed=11"), load_classifier(SCENES, device="cpu")
    runs = ["dam", "dam | mass", "dam(abstain=1)"]
    compare(dataset, [classifier], tmp_path / "out", runs=runs, running=running)
    # One set of maps a method; that of an image without an answer is there, too.
    assert list(table(tmp_path / "out")["wsol"]) == ["dam", "dam(abstain=1)"]


def test_a_model_given_twice_is_refused(discs: Path, network: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        compare(load_dataset(f"csv:{discs}"), [network, network], tmp_path / "out", runs=[MASS])
    assert not (tmp_path / "out").exists()
